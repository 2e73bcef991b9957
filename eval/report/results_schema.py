"""The format of results.json, version 1, as types. The JSON Schema next to every results.json is made from these types.

The report checks its input (a run's scores and diagnosis) and the results.json that it writes against the types. The
version goes up when a key is renamed or removed or its meaning changes. A new key does not change the version.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmafflm.errors import Fault
from mmafflm.files.documents import first_wrong

VERSION = 1
Ends = tuple[float, float]


class Model(BaseModel):
    """An object with at least the keys of its class. It may have more keys."""

    model_config = ConfigDict(extra="allow")


class Sample(Model):
    """The rows are part of a sample of at most `limit` rows per subset. `of`: the number of rows without the limit."""

    limit: int
    of: int


class Parsed(Model):
    """The main metric of a numeric task on the rows whose answers could be parsed."""

    n: int
    metrics: dict[str, float | None]
    ci95: dict[str, Ends | None]


class ScoredEntry(Model):
    """The scores of one task or one of its languages. A metric that is not defined is None."""

    n: int = Field(ge=1)
    sample: Sample | None = None
    withheld: str | None = Field(None, description="why tables do not show its metrics: most answers are unparsed")
    unparsed: int = Field(ge=0)
    unparsed_rate: float | None = None
    metrics: dict[str, float | None]
    ci95: dict[str, Ends | None]
    unit: str | None = Field(None, description="what the intervals resample: row, dialogue, film, picture or tweet")
    units: int | None = Field(None, description="the number of groups, if groups are resampled")
    design_effect: float | None = Field(None, description="variance of the main metric over groups / over rows")
    attainable: dict[str, float] | None = Field(None, description="for labels: the metrics of a perfect model")
    parsed: Parsed | None = None
    majority: dict[str, float | None] | None = None
    baselines: dict[str, dict[str, float | None]] = Field({}, description="majority, median, prior, all_labels, tfidf")
    no_learned: str | None = Field(None, description="why there is no learned baseline (tfidf)")
    readout: Literal["greedy", "expectation", "choice"] | None = Field(
        None, description="how the answers of this task or language were obtained"
    )
    calibration: dict[str, Any] | None = Field(
        None, description="only for a task or language that was answered from likelihoods, in strict mode"
    )
    humans: dict[str, Any] | None = Field(
        None, description="human agreement on this task: one annotator against the others combined"
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
    p_holm: float | None = Field(description="p corrected for all checks of the same kind")
    value: float | None
    ci95: Ends | None
    threshold: float
    side: Literal["above", "below"]
    n: int
    sentence: str


class Diagnosis(Model):
    """The content of diagnosis.json, which `mmaffben diagnose` writes."""

    version: Literal[2] = Field(alias="schema")
    findings: list[FindingEntry]


class RunEntry(Model):
    """One run: run.json, its scores by mode, its diagnosis, and the hashes of the files that were read."""

    run: dict[str, Any]
    scores: dict[Literal["strict", "paper"], ScoresEntry]
    diagnosis: Diagnosis | None
    sha256: dict[str, str]


class Mean(Model):
    """A mean with its approximate interval; n and unparsed are sums over the averaged scores."""

    value: float
    ci95: Ends | None
    n: int
    unparsed: int


class AverageEntry(Model):
    """The mean of several scores, with a cell for each run in the order of `runs`; None if the run lacks a score."""

    over: Literal["subset", "task", "modality", "language", "languages"]
    group: str
    metric: str
    cells: list[Mean | None]
    of: list[str]
    missing: list[str]
    refused: str


class ComparisonEntry(Model):
    """A comparison of run b with run a. found: the content of comparison.NAME.json, which `mmaffben compare` writes."""

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
    """The content of results.json."""

    model_config = ConfigDict(extra="forbid")

    schema_file: str = Field(alias="$schema")
    version: Literal[1] = Field(alias="schema")
    generator: str
    made_of: str
    data: Data
    runs: dict[str, RunEntry]
    averages: dict[Literal["strict", "paper"], list[AverageEntry]]
    comparisons: list[ComparisonEntry] = Field(description="comparisons between two of the runs, if stored")
    figures: dict[str, dict[str, dict[str, Any]]] = Field(description="subset, task, run: the numbers in the charts")
    examples: dict[str, dict[str, list[ExampleEntry]]] = Field(description="subset, task: the rows shown")


def require(model: type[BaseModel], found: object, path: Path, again: str) -> None:
    """Raises Fault with the first difference if `found` does not have the format of `model`.

    path: the file that the message is about. again: a sentence that tells the user what to do.
    """
    try:
        model.model_validate(found)
    except ValidationError as error:
        raise Fault(f"{path}: {first_wrong(error)}. {again}") from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of results.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Results.model_json_schema(by_alias=True)}
