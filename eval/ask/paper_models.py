"""Read a list of models: paper_models.yaml with the paper's models, or another file in the same format."""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmafflm.errors import Fault
from mmafflm.files.documents import first_wrong, read_yaml
from mmafflm.files.inside import is_below, quoted

PAPER = Path(__file__).with_name("paper_models.yaml")


class PaperModel(BaseModel):
    """One model of the list; the header of paper_models.yaml explains each key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")  # also the name of its run's folder
    hub: str = Field(min_length=1)
    accepts: tuple[Literal["text", "image", "video"], ...] = Field(min_length=1)
    engine: Literal["hf", "vllm", "openai"]
    options: dict[str, str | int | float] = {}
    unconfirmed: str = ""


class _Listed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    models: tuple[PaperModel, ...] = Field(min_length=1)


@cache
def paper_models(path: Path = PAPER) -> tuple[PaperModel, ...]:
    """The models of a list, in the order of the file; the path in the option chat_template is made absolute.

    Raises UsageFault when the file cannot be read or is not YAML; Fault when it is not a list of models, has a name
    twice, or has a chat_template outside the folder of the list.
    """
    try:
        models = _Listed.model_validate(read_yaml(path)).models
    except ValidationError as error:
        raise Fault(f"{path}: not a list of models ({first_wrong(error)}). See eval/ask/paper_models.yaml.") from None
    if double := [one.name for at, one in enumerate(models) if one.name in {before.name for before in models[:at]}]:
        raise Fault(f"{path}: {double[0]} is listed twice, but each model needs its own folder. Rename one of them.")
    return tuple(_with_paths(one, path) for one in models)


def _with_paths(model: PaperModel, path: Path) -> PaperModel:
    """The model with the chat template's path made absolute. Raises Fault when the path leaves the list's folder."""
    if (template := model.options.get("chat_template")) is None:
        return model
    if not is_below(str(template)):
        raise Fault(f"{path}: {model.name}: chat_template: {quoted(template)} is not a path below the list's folder.")
    options = model.options | {"chat_template": str((path.parent / str(template)).resolve())}
    return model.model_copy(update={"options": options})
