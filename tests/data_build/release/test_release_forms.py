"""Read an export with other tools: LLaMA-Factory's own loader, and `datasets` for Parquet and tars."""

import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from data_build.config import Config
from data_build.dataset.check import check
from data_build.release.export import COLUMNS, export
from data_build.release.import_release import import_release
from data_build.release.names import SubsetSplit, registered
from data_build.translate.rows import Order
from data_build.translate.translate import translate
from mmafflm.dataset import MIX, Dataset
from mmafflm.errors import UsageFault
from mmafflm.records import Record, media_files, read_records
from tests.data_build.translate.translating import SayTheSame

SUBSETS = ["semeval2018_english", "XED", "CFAPS_EC", "CHSIMS_SI"]
TWO = ["XED", "semeval2018_english"]


@pytest.fixture(scope="module")
def dataset(built: Path) -> Dataset:
    return Dataset.open(built)


def all_records(dataset: Dataset, subset: str, split: str) -> list[Record]:
    return list(dataset.records(subset, split))


@pytest.mark.parametrize("form", ["llamafactory-alpaca", "sharegpt"])
def test_llamafactorys_loader_reads_its_forms(dataset: Dataset, tmp_path: Path, form: str) -> None:
    loader, parser = pytest.importorskip("llamafactory.data.loader"), pytest.importorskip("llamafactory.data.parser")
    from llamafactory.hparams import DataArguments

    export(dataset, form, tmp_path / "out", SUBSETS)
    data_args = DataArguments(dataset_dir=str(tmp_path / "out"), media_dir=str(tmp_path / "out"), overwrite_cache=True)
    model_args = SimpleNamespace(cache_dir=str(tmp_path / "cache"), hf_hub_token=None)
    for subset in SUBSETS:
        for name in registered(SubsetSplit(subset, "val")):
            (attr,) = parser.get_dataset_list([name], data_args.dataset_dir)
            rows = list(
                loader._load_single_dataset(attr, model_args, data_args, SimpleNamespace(local_process_index=0))
            )
            records = all_records(dataset, subset, "val")
            assert [row["_prompt"] for row in rows] == [[record.messages[0]] for record in records]
            assert [row["_response"] for row in rows] == [[record.messages[1]] for record in records]
            assert [found(row) for row in rows] == [media_files(record) for record in records], name
            assert all(Path(file).is_file() for row in rows for file in opened(row))


def opened(row: dict[str, Any]) -> list[str]:
    return [*(row["_images"] or []), *(frame for video in row["_videos"] or [] for frame in video)]


def found(row: dict[str, Any]) -> list[str]:
    return [file[file.index("media/") :] for file in opened(row)]


def test_datasets_reads_parquet_with_every_field(dataset: Dataset, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = export(dataset, "parquet", tmp_path / "out", SUBSETS)
    assert rows == sum(of["rows"] for name in SUBSETS for of in dataset.manifest["subsets"][name].values())
    for name, records in (
        ("XED_test", all_records(dataset, "XED", "test")),
        ("CHSIMS_SI_val", all_records(dataset, "CHSIMS_SI", "val")),
        (MIX, [row for row in read_records(dataset.path / f"mmaffin/{MIX}.jsonl") if row.subset in SUBSETS]),
    ):
        file = str(tmp_path / "out" / f"{name}.parquet")
        table = datasets.load_dataset("parquet", data_files=file, split="train", cache_dir=str(tmp_path / "cache"))
        assert table.column_names == list(COLUMNS)
        assert [restored(row) for row in table] == records
        assert all((tmp_path / "out" / media).is_file() for record in records for media in media_files(record))


def restored(row: dict[str, Any]) -> Record:
    texts = {name: json.loads(row[name] or "null") for name in ("gold", "translated_from")}
    return Record(**row | texts | {name: row[name] or None for name in ("emotion", "group")})


def test_datasets_reads_the_tars_and_each_sample_has_its_members(dataset: Dataset, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    export(dataset, "webdataset", tmp_path / "out", [*SUBSETS])
    for subset, suffix in (
        ("CHSIMS_SI", "frames.zip"),
        ("CFAPS_EC", "png"),
        ("XED", None),
        ("semeval2018_english", None),
    ):
        file = tmp_path / "out" / f"{subset}_val-000000.tar"
        records = all_records(dataset, subset, "val")
        with tarfile.open(file) as tar:
            assert len(tar.getnames()) == len(records) * (1 if suffix is None else 2)
        samples = datasets.load_dataset("webdataset", data_files=str(file), split="train", streaming=True)
        for sample, record in zip(samples, records, strict=True):
            assert sample["__key__"] == record.id and restored(sample["json"]) == record
            if suffix == "frames.zip":
                with zipfile.ZipFile(io.BytesIO(sample[suffix])) as frames:
                    shown = [frames.read(name) for name in frames.namelist()]
                assert shown == [(dataset.path / name).read_bytes() for name in media_files(record)]
            assert suffix != "png" or sample["png"].size[0] > 0


@pytest.fixture(scope="module")
def translated(two_texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A build with translations; several have the same text."""
    data = tmp_path_factory.mktemp("translated") / "data"
    shutil.copytree(two_texts, data)
    translate(data, SayTheSame(), Order(TWO, ["en"], ["es"]))
    rows = [one for name in TWO for one in Dataset.open(data).records(name, "train") if one.translated_from]
    assert len({one.prompt for one in rows}) < len(rows) > 5
    return Dataset.open(data)


@pytest.mark.parametrize("form", ["llamafactory-alpaca", "sharegpt", "parquet"])
def test_translations_come_back_as_they_went(translated: Dataset, form: str, config: Config, tmp_path: Path) -> None:
    export(translated, form, tmp_path / "out", TWO)
    assert import_release([str(tmp_path / "out")], tmp_path / "data", config, jobs=1)
    back = Dataset.open(tmp_path / "data")
    assert check(back) == []
    ours = {name for name in translated.files if name.startswith(("mmaffin/", "mmaffben/"))}
    assert {name for name in back.files if name.startswith(("mmaffin/", "mmaffben/"))} == ours
    for name in ours:
        assert back.files[name]["sha256"] == translated.files[name]["sha256"], name


def test_parquet_and_tars_say_what_is_translated(translated: Dataset, tmp_path: Path) -> None:
    export(translated, "parquet", tmp_path, TWO)
    export(translated, "webdataset", tmp_path, TWO)
    for name in TWO:
        records = all_records(translated, name, "train")
        sources = [one.translated_from for one in records]
        assert any(sources) and not all(sources)
        table = pl.read_parquet(tmp_path / f"{name}_train.parquet")
        assert [restored(row) for row in table.to_dicts()] == records
        with tarfile.open(tmp_path / f"{name}_train-000000.tar") as tar:
            rows = [json.loads(tar.extractfile(member).read()) for member in tar.getmembers()]
        assert [restored(row) for row in rows] == records
        assert [json.loads(row["translated_from"] or "null") for row in rows] == sources


def test_export_is_the_same_the_second_time_and_says_what_is_wrong(dataset: Dataset, tmp_path: Path) -> None:
    for out in ("one", "two"):
        export(dataset, "webdataset", tmp_path / out, ["XED"])
    assert (tmp_path / "one" / "XED_test-000000.tar").read_bytes() == (
        tmp_path / "two" / "XED_test-000000.tar"
    ).read_bytes()
    with pytest.raises(UsageFault, match="not one of llamafactory-alpaca, sharegpt, parquet, webdataset"):
        export(dataset, "csv", tmp_path / "out", SUBSETS)
    with pytest.raises(UsageFault, match="it is inside"):
        export(dataset, "sharegpt", dataset.path / "out", SUBSETS)
