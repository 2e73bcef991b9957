"""Names for a reader: of languages, and of metrics with misleading keys."""

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
# The paper's scorer calls this accuracy, for label sets and MELD_EC (docs/reference/scoring.md).
JACCARD = "weighted Jaccard"


def language_name(code: str) -> str:
    """The English name of a language of the benchmark; "" for any other word, such as the name of a total."""
    return _LANGUAGES.get(code, "")


def is_jaccard(task: Task, metric: str) -> bool:
    """Whether a task's "accuracy" is the paper's: weighted Jaccard. Then subset_accuracy is the plain accuracy."""
    return metric == "accuracy" and task.paper_accuracy == "weighted_jaccard"


def metric_name(task: Task, metric: str) -> str:
    """The metric's key, with an explanation where the key misleads."""
    if is_jaccard(task, metric):
        return f"{metric}, as the paper has it: {JACCARD}"
    return f"{metric}, in the scale's own units" if metric == "mae" else metric
