"""Displayed names of languages, metrics and readouts, and the meanings of the report's words."""

from mmafflm.benchmark.benchmark import Task

# XED's br is Brazilian Portuguese (mmafflm/hub.py).
_LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "br": "Portuguese, Brazil", "bs": "Bosnian", "cs": "Czech", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew",
    "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "it": "Italian", "ja": "Japanese", "ko": "Korean",
    "lv": "Latvian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian", "sv": "Swedish",
    "th": "Thai", "tr": "Turkish", "ur": "Urdu", "zh": "Chinese",
}  # fmt: skip
METRICS = {"macro_f1": "Macro F1", "pearson": "Pearson's r"}
READOUTS = {
    "greedy": "the text that the model writes",
    "expectation": "the mean of the admissible numbers, weighted by their likelihood",
    "choice": "the likeliest admissible labels",
}
# Words of this project that the report uses, with their meanings, in the order in which they are shown.
WORDS = {
    "Macro F1": "the mean of all labels' F1 scores, so a rare label counts as much as a frequent one. From 0 to 1.",
    "Pearson's r": "the correlation of the answered numbers with gold, from -1 to 1. It counts as 0 if all answers are "
    "equal.",
    "gold": "the right answer according to the corpus.",
    "human agreement": "the score of one annotator's answers against those of the other annotators combined, if the "
    "corpus has them. It is a dashed line in the chart of all tasks.",
    "strongest baseline": "the best score of a simple method: always the most frequent gold label (majority) or the "
    "median number, gold's answers assigned at random (prior sampling), every label (all labels), or TF-IDF.",
    "TF-IDF": "a linear model of the text's character n-grams, trained on the subset's own training split.",
    "95% interval": "computed from resampled rows (bootstrap): the score on other rows of the same kind is likely "
    "within it.",
    "unparsed": "an answer in which no admissible answer was found. It counts as wrong in strict mode.",
    "strict mode, paper mode": "strict mode counts an unparsed answer as wrong. Paper mode repeats the published "
    "scorer with its quirks, so its numbers can be compared with the paper's.",
    "readout": "how an answer is obtained from the model: greedy is the text that the model writes; expectation and "
    "choice are computed from the likelihoods of the admissible answers.",
    "ablation": "a run with changed questions: blank pictures, pictures of another record, no text, or another form of "
    "the prompt. It shows whether the model uses the pictures and the text, and depends on the form.",
}
# The paper's scorer calls this accuracy, for label sets and MELD_EC (docs/reference/scoring.md).
JACCARD = "weighted Jaccard"


def language_name(code: str) -> str:
    """The English name of a language of the benchmark; "" for any other word, such as "all"."""
    return _LANGUAGES.get(code, "")


def readout_words(readout: str) -> str:
    """The run's readouts with their meanings, for example "greedy: the text that the model writes"."""
    return "; ".join(f"{name}: {READOUTS.get(name, 'unknown')}" for name in readout.split(" and "))


def is_jaccard(task: Task, metric: str) -> bool:
    """Whether the task's metric "accuracy" is weighted Jaccard, which the paper calls accuracy."""
    return metric == "accuracy" and task.paper_accuracy == "weighted_jaccard"


def metric_name(task: Task, metric: str) -> str:
    """The metric's key, with an explanation if the key could mislead."""
    if is_jaccard(task, metric):
        return f"{metric}, as the paper defines it: {JACCARD}"
    if metric == "macro_f1_supported":
        return "macro_f1 over the classes that occur in gold"
    return f"{metric}, in units of the scale" if metric == "mae" else metric
