"""The mark in predictions/SUBSET.jsonl for a row that the server rejected: the reason, in place of an answer."""

_MARK = "[no answer: "


def no_answer(reason: str) -> str:
    """The prediction of a row that was asked but got no answer."""
    return f"{_MARK}{reason}]"


def reason_of(prediction: str) -> str | None:
    """The reason in a no_answer(); None for every other text."""
    return prediction[len(_MARK) : -1] if prediction.startswith(_MARK) and prediction.endswith("]") else None
