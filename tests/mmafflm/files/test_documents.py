import pytest

from data_build.config import load_config, load_mix
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.documents import parse_json, read_yaml
from mmafflm.train.experiment import load
from mmafflm.train.plan.recipe_file import read_recipe

ALIASES = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)
BAD = {
    "deep": ("a: " + "[" * 600, "nested too deep"),
    "deep and closed": ("a: " + "[" * 600 + "]" * 600, "nested too deep"),
    "aliases": (ALIASES, "its aliases expand to more than 1,048,576 values"),
    "own alias": ("a: &a [*a]", "nested too deep, or an alias in its own value"),
    "date": ("a: 2024-13-45", "not YAML (month must be in 1..12"),
    "digits": ("a: " + "9" * 5000, "not YAML (Exceeds the limit"),
    "long": ("a: " + "x" * (1 << 20), "more than 1,048,576 bytes"),
    "not UTF-8": (b"a: \xff", "not YAML ('utf-8' codec"),
    "NUL": ("a: \0", "not YAML (unacceptable character"),
    "python": ("a: !!python/object/apply:os.system [x]", "not YAML (could not determine a constructor"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("reader", [read_yaml, load_config, load_mix, read_recipe, load])
def test_a_yaml_file_that_nobody_can_mean_is_a_sentence(tmp_path, reader, name):
    content, sentence = BAD[name]
    path = tmp_path / "x.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UsageFault) as fault:
        reader(path)
    assert str(path) in str(fault.value) and sentence in str(fault.value) and "\n" not in str(fault.value)


def test_aliases_within_reason_are_read(tmp_path):
    (tmp_path / "x.yaml").write_text("a: &a {lr: 1.0e-5}\nb: *a\nc: [*a, *a]\n")
    assert read_yaml(tmp_path / "x.yaml")["c"] == [{"lr": 1e-5}] * 2


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UsageFault, match="cannot be read \\(Is a directory\\)"):
        load_config(tmp_path)
    with pytest.raises(UsageFault, match="no such file"):
        load_config(tmp_path / "gone.yaml")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[" * 100_000, "manifest.json: not JSON (nested too deeply). Build the data again."),
        (b"{\n]", "manifest.json: not JSON (Expecting"),
        (b"\xff", "manifest.json: not JSON ('utf-8' codec"),
    ],
)
def test_a_damaged_manifest_is_a_sentence(tmp_path, content, sentence):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(Fault) as fault:
        Dataset.open(tmp_path)
    assert sentence in str(fault.value)


def test_more_digits_than_python_converts_stay_digits():
    assert parse_json(f"[1, -2, {'7' * 5000}]", "x", "") == [1, -2, "7" * 5000]
