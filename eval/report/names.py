"""Names for a reader: of languages, and of metrics that are not what their keys suggest."""

from mmafflm.benchmark.benchmark import Task

# XED's br is the Portuguese of Brazil (mmafflm/hub.py).
_LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "br": "Portuguese, Brazil", "bs": "Bosnian", "cs": "Czech", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew",
    "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "it": "Italian", "ja": "Japanese", "ko": "Korean",
    "lv": "Latvian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian", "sv": "Swedish",
    "th": "Thai", "tr": "Turkish", "ur": "Urdu", "zh": "Chinese",
}  # fmt: skip
JACCARD = "weighted Jaccard"  # what the paper's scorer calls accuracy of label sets and of MELD_EC (scoring.md)


def language_name(code: str) -> str:
    """The English name of a language of the benchmark; nothing for a code that is none, such as a total's."""
    return _LANGUAGES.get(code, "")


def is_jaccard(task: Task, metric: str) -> bool:
    """Whether a task's "accuracy" is the paper's: weighted Jaccard, beside which subset_accuracy is the plain one."""
    return metric == "accuracy" and task.paper_accuracy == "weighted_jaccard"


def metric_name(task: Task, metric: str) -> str:
    """The metric's key, and what it is where that is another thing."""
    if is_jaccard(task, metric):
        return f"{metric}, as the paper has it: {JACCARD}"
    return f"{metric}, in the scale's own units" if metric == "mae" else metric
