"""The form of results.json, version 1, as types. pydantic makes the JSON Schema next to every results.json from them.

The report checks its input (a run's scores and diagnosis) and the results.json that it writes against these types. The
version goes up when a key is renamed, removed or changes its meaning; a new key alone does not raise it.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmafflm.errors import Fault
from mmafflm.files.documents import first_wrong

VERSION = 1
Ends = tuple[float, float]


class Model(BaseModel):
    """An object with at least these keys; it may have more."""

    model_config = ConfigDict(extra="allow")


class Sample(Model):
    """The rows are a sample of at most `limit` rows per subset, drawn from `of` rows here."""

    limit: int
    of: int


class Parsed(Model):
    """The main metric of a numeric task on the rows whose answers could be parsed."""

    n: int
    metrics: dict[str, float | None]
    ci95: dict[str, Ends | None]


class ScoredEntry(Model):
    """One task, or one of its languages; metrics are fractions, None if not defined."""

    n: int = Field(ge=1)
    sample: Sample | None = None
    withheld: str | None = Field(None, description="why its metrics are in no table: most answers are unparsed")
    unparsed: int = Field(ge=0)
    unparsed_rate: float | None = None
    metrics: dict[str, float | None]
    ci95: dict[str, Ends | None]
    unit: str | None = Field(None, description="what the intervals resample: row, dialogue, film, picture or tweet")
    units: int | None = Field(None, description="how many groups, where groups are resampled")
    design_effect: float | None = Field(None, description="variance of the main metric over groups / over rows")
    attainable: dict[str, float] | None = Field(None, description="of labels: what a perfect model would get")
    parsed: Parsed | None = None
    majority: dict[str, float | None] | None = None
    baselines: dict[str, dict[str, float | None]] = Field({}, description="majority, median, prior, all_labels, tfidf")
    no_learned: str | None = Field(None, description="why there is no learned baseline (tfidf)")
    readout: Literal["greedy", "expectation", "choice"] | None = Field(
        None, description="of a task, and of its languages"
    )
    calibration: dict[str, Any] | None = Field(
        None, description="of a task or language that was answered from likelihoods, in strict mode"
    )
    humans: dict[str, Any] | None = Field(
        None, description="how well people agree in this task: one annotator against the others combined"
    )
    notes: list[str] = []
    by_language: dict[str, "ScoredEntry"] = {}


class Tasks(Model):
    """A subset with several tasks."""

    n: int = Field(ge=1)
    sample: Sample | None = None
    unparsed: int = Field(ge=0)
    tasks: dict[str, ScoredEntry]


class ScoresEntry(Model):
    """scores.MODE.json, without the lists of unparsed rows."""

    version: Literal[1] = Field(alias="schema")
    mode: Literal["strict", "paper"]
    subsets: dict[str, ScoredEntry | Tasks]


class FindingEntry(Model):
    """One check of the diagnosis on one task or a part of it."""

    kind: str
    check: str
    subset: str
    task: str
    part: str
    verdict: Literal["found", "unsure", "absent"]
    p: float | None
    p_holm: float | None = Field(description="corrected for the checks of the same kind")
    value: float | None
    ci95: Ends | None
    threshold: float
    side: Literal["above", "below"]
    n: int
    sentence: str


class Diagnosis(Model):
    """diagnosis.json as `mmaffben diagnose` wrote it."""

    version: Literal[2] = Field(alias="schema")
    findings: list[FindingEntry]


class RunEntry(Model):
    """One run: run.json, its scores by mode, its diagnosis, and the hashes of the files that were read."""

    run: dict[str, Any]
    scores: dict[Literal["strict", "paper"], ScoresEntry]
    diagnosis: Diagnosis | None
    sha256: dict[str, str]


class Mean(Model):
    """A mean with its approximate interval."""

    value: float
    ci95: Ends | None
    n: int
    unparsed: int


class AverageEntry(Model):
    """The mean of several scores, a cell for each run in the order of `runs`; None if the run lacks one of them."""

    over: Literal["subset", "task", "modality", "language", "languages"]
    group: str
    metric: str
    cells: list[Mean | None]
    of: list[str]
    missing: list[str]
    refused: str


class ComparisonEntry(Model):
    """comparison.NAME.json as `mmaffben compare` wrote it: run b against run a."""

    a: str
    b: str
    found: dict[str, Any]


class Data(Model):
    """The build that the runs answered."""

    hash: str
    versions: dict[str, Any]


class ExampleEntry(Model):
    """A row that the page shows, and the rule that chose it."""

    id: str
    why: str


class Results(BaseModel):
    """results.json."""

    model_config = ConfigDict(extra="forbid")

    schema_file: str = Field(alias="$schema")
    version: Literal[1] = Field(alias="schema")
    generator: str
    made_of: str
    data: Data
    runs: dict[str, RunEntry]
    averages: dict[Literal["strict", "paper"], list[AverageEntry]]
    comparisons: list[ComparisonEntry] = Field(description="of two of the runs, where they were compared")
    figures: dict[str, dict[str, dict[str, Any]]] = Field(description="subset, task, run: what its figures draw")
    examples: dict[str, dict[str, list[ExampleEntry]]] = Field(description="subset, task: the rows shown")


def require(model: type[BaseModel], found: object, path: Path, again: str) -> None:
    """Raises Fault for JSON that does not have the form of `model`, naming the first difference; again: the fix."""
    try:
        model.model_validate(found)
    except ValidationError as error:
        raise Fault(f"{path}: {first_wrong(error)}. {again}") from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of results.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Results.model_json_schema(by_alias=True)}
