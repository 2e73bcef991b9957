"""Names for a reader: of languages, metrics and readouts, and what the report's words mean."""

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
# Words of this project that a reader of the report meets, where they first appear.
WORDS = {
    "Macro F1": "the mean of every label's F1, so that a rare label counts as much as a frequent one. From 0 to 1.",
    "Pearson's r": "the correlation of the answered numbers with gold. From -1 to 1; a constant answer has none: 0.",
    "gold": "the right answer, as the corpus has it.",
    "human agreement": "one annotator's answers scored against those of the others combined, where the corpus "
    "has them; a dashed line in the chart of all tasks.",
    "strongest baseline": "the best score without a model: always the most frequent gold label (majority) or the median"
    " number, gold's answers dealt out at random (prior sampling), every label (all labels), or TF-IDF.",
    "TF-IDF": "a linear model of the text's character n-grams, trained on the subset's own training split.",
    "95% interval": "from resampled rows (bootstrap): the score on other rows of the same kind is likely within it.",
    "unparsed": "an answer that the question does not admit. It counts as wrong in strict mode.",
    "strict mode, paper mode": "strict counts an unparsed answer as wrong. Paper is the published scorer, answer for "
    "answer, with its quirks: the numbers to compare with the paper's.",
    "readout": "how the answer is taken from the model: greedy is the text that it writes; expectation and choice come "
    "from the likelihoods of the admissible answers.",
    "ablation": "a run that was asked without pictures or without words, to see whether the model uses them.",
}
# The paper's scorer calls this accuracy, for label sets and MELD_EC (docs/reference/scoring.md).
JACCARD = "weighted Jaccard"


def language_name(code: str) -> str:
    """The English name of a language of the benchmark; "" for any other word, such as the name of a total."""
    return _LANGUAGES.get(code, "")


def readout_words(readout: str) -> str:
    """What a run's readout takes as the answer, such as "greedy: the text that the model writes"."""
    return "; ".join(f"{name}: {READOUTS.get(name, 'unknown')}" for name in readout.split(" and "))


def is_jaccard(task: Task, metric: str) -> bool:
    """Whether a task's "accuracy" is the paper's: weighted Jaccard. Then subset_accuracy is the plain accuracy."""
    return metric == "accuracy" and task.paper_accuracy == "weighted_jaccard"


def metric_name(task: Task, metric: str) -> str:
    """The metric's key, with an explanation where the key misleads."""
    if is_jaccard(task, metric):
        return f"{metric}, as the paper has it: {JACCARD}"
    if metric == "macro_f1_supported":
        return "macro_f1 over the classes with gold"
    return f"{metric}, in the scale's own units" if metric == "mae" else metric
