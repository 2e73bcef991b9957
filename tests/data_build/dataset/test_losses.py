"""The same build command does nothing, other code builds again, and nothing finished is lost without --replace."""

import json
import shutil
from pathlib import Path

import pytest

import data_build.dataset.inputs
from data_build.build import build
from data_build.config import Config, load_mix
from data_build.dataset.check import check
from data_build.remix import remix
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from tests.command import mmaffin
from tests.data_build.raw_rows import hashes


def put_reviews(raw: Path, name: str = "online_shopping_10_cats.csv", rows: int = 60, word: str = "评论") -> None:
    (raw / "onlineshopping").mkdir(parents=True, exist_ok=True)
    lines = [f"书籍,{at % 2},{word} 的 第 {at} 条" for at in range(rows)]
    (raw / "onlineshopping" / name).write_text("\n".join(["cat,label,review", *lines]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, config: Config) -> Path:
    """A folder with raw/ (reviews) and data/ (a build of raw/)."""
    folder = tmp_path_factory.mktemp("finished")
    put_reviews(folder / "raw")
    assert build(folder / "raw", folder / "data", config, choose_subsets("onlineshopping"), jobs=1)
    return folder


@pytest.fixture
def place(finished: Path, tmp_path: Path) -> Path:
    """A copy of `finished` with the same file times, so that the raw files count as the same."""
    return Path(shutil.copytree(finished, tmp_path / "place", copy_function=shutil.copy2))


def make(place: Path, config: Config, subsets: str = "onlineshopping", **how: object) -> bool:
    return build(place / "raw", place / "data", config, choose_subsets(subsets), jobs=1, **how)  # type: ignore[arg-type]


def refusal(place: Path, config: Config, **how: object) -> str:
    """The message of the refusal; checks that nothing was changed."""
    before = hashes(place / "data")
    with pytest.raises(UsageFault, match="holds a finished build") as caught:
        make(place, config, **how)  # type: ignore[arg-type]
    assert hashes(place / "data") == before and "--replace" in str(caught.value)
    return str(caught.value)


def test_the_same_again_does_nothing_and_other_code_builds_anew(
    place: Path, config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not make(place, config) and not make(place, config, replace=True)
    before = hashes(place / "data")
    capsys.readouterr()
    monkeypatch.setattr(data_build.dataset.inputs, "source_hash", lambda *names: "corrected")
    assert make(place, config)
    assert "was built from other code; building again" in capsys.readouterr().err
    after = hashes(place / "data")
    assert {name for name in before if before[name] != after[name]} == {"manifest.json"}  # it has the code's hash
    assert Dataset.open(place / "data").manifest["code"] == "corrected"
    assert not make(place, config)


def test_a_raw_file_that_changed_builds_anew(place: Path, config: Config) -> None:
    put_reviews(place / "raw", rows=80)
    assert make(place, config)
    assert Dataset.open(place / "data").manifest["corpora"]["onlineshopping"]["rows_read"] == 80


def test_a_broken_raw_file_leaves_the_finished_build(place: Path, config: Config) -> None:
    (place / "raw/onlineshopping/online_shopping_10_cats.csv").write_bytes(b"cat,label,review\n\xff\xfe\x00")
    with pytest.raises(Fault):
        make(place, config)
    assert check(Dataset.open(place / "data")) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 1}, "the 60 rows, made with another config (seed)"),
        ({"mix": {"onlineshopping": 7}}, "(mix.semeval2018_english, "),
        ({"most_translated": 0.25}, "the training mix of "),
        ({"corpora": {}}, "(corpora.semeval2018, corpora.xed)"),
    ],
)
def test_another_config_is_refused(changes: dict[str, object], said: str, place: Path, config: Config) -> None:
    assert said in refusal(place, config.model_copy(update=changes))


def test_another_budget_is_another_config(place: Path, config: Config) -> None:
    budget = config.budget.to_json() | {"video_max_pixels": 4096}
    other = Config.model_validate(config.model_dump() | {"budget": budget})
    assert "(budget.video_max_pixels)" in refusal(place, other)
    assert make(place, other, replace=True)
    assert Dataset.open(place / "data").budget == other.budget
    assert not make(place, other)


def test_flags_that_take_rows_away_are_refused(place: Path, config: Config) -> None:
    assert "the rows beyond --limit 5 (its own limit: None)" in refusal(place, config, limit=5)
    assert "the frames of its clips" in refusal(place, config, raw_video=True)
    assert make(place, config, limit=5, replace=True)
    assert make(place, config)  # more rows lose nothing


def test_what_translate_and_mix_have_made_is_named(place: Path, config: Config) -> None:
    (place / "mix.yaml").write_text("seed: 3\nmix: {onlineshopping: 20}\n")
    assert remix(Dataset.open(place / "data"), load_mix(place / "mix.yaml")) == 20
    assert not make(place, config)  # the same again still does nothing
    put_reviews(place / "raw", rows=80)
    assert "the training mix of 20 rows that mmaffin mix drew" in refusal(place, config)
    path = place / "data/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"translation": {"rows_kept": 1234}}))
    assert "1,234 translated rows" in refusal(place, config)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"import": {"from": ["owner/name"]}}))
    assert "what was imported from owner/name" in refusal(place, config)
    path.write_text("{")
    assert "unknown contents, because manifest.json" in refusal(place, config)
    assert make(place, config, replace=True)
    assert check(Dataset.open(place / "data")) == []


def test_corpora_and_raw_files_that_are_gone_are_named(place: Path, config: Config) -> None:
    folder = place / "raw/onlineshopping"
    (folder / "online_shopping_10_cats.csv").rename(place / "kept.csv")
    (folder / "again").mkdir()
    put_reviews(place / "raw", "again/online_shopping_10_cats.csv")
    assert "the rows of online_shopping_10_cats.csv, no longer among the raw files" in refusal(place, config)


def test_as_a_user_types_it(place: Path) -> None:
    """Replacing the corpus is refused with exit code 2; adding another corpus works."""
    raw, data = place / "raw", place / "data"
    assert mmaffin("samples", "--out", place / "made", "--subsets", "EWECT_usual,EWECT_virus").returncode == 0
    shutil.copytree(place / "made/ewect", raw / "ewect")
    words = ["build", "--raw", raw, "--out", data, "--jobs", "1", "--subsets"]
    refused = mmaffin(*words, "EWECT_virus")
    assert refused.returncode == 2 and "It would lose the subsets onlineshopping (60 rows)" in refused.stderr
    added = mmaffin(*words, "EWECT_virus,onlineshopping")
    assert added.returncode == 0, added.stderr
    assert set(Dataset.open(data).manifest["subsets"]) == {"EWECT_virus", "onlineshopping"}
    replaced = mmaffin(*words, "EWECT_virus", "--replace")
    assert replaced.returncode == 0, replaced.stderr
    assert set(Dataset.open(data).manifest["subsets"]) == {"EWECT_virus"} and check(Dataset.open(data)) == []
