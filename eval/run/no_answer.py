"""The text in predictions/SUBSET.jsonl for a row that the server rejected: the reason replaces the answer."""

_MARK = "[no answer: "


def no_answer(reason: str) -> str:
    """The prediction of a row that was sent to the server but got no answer."""
    return f"{_MARK}{reason}]"


def reason_of(prediction: str) -> str | None:
    """The reason in a text that no_answer() made; None for every other text."""
    return prediction[len(_MARK) : -1] if prediction.startswith(_MARK) and prediction.endswith("]") else None
