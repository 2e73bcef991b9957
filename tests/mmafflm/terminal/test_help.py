"""What the help of each verb shows, `make help`, and `mmafflm list`."""

import os
import shlex
import subprocess
from itertools import groupby

import pytest
import typer

import data_build.cli
import eval.cli
import mmafflm.cli
from data_build.corpora.find import corpora
from mmafflm.benchmark.benchmark import benchmark
from tests.command import mmaffin
from tests.command import mmafflm as mmafflm_command
from tests.paths import ROOT

APPS = {"mmaffin": data_build.cli.app, "mmafflm": mmafflm.cli.app, "mmaffben": eval.cli.app}
COMMANDS = {name: typer.main.get_command(app) for name, app in APPS.items()}
VERBS = [(name, verb) for name, command in COMMANDS.items() for verb in command.commands]


@pytest.mark.parametrize(("name", "verb"), VERBS)
def test_the_help_of_a_verb_has_defaults_and_an_example_that_is_a_valid_command(name: str, verb: str) -> None:
    command = COMMANDS[name].commands[verb]
    assert command.epilog, "registered without an example"
    first, second, *words = shlex.split(command.epilog.removeprefix("Example: "))
    assert (first, second) == (name, verb)
    with command.make_context(verb, words) as context:
        shown = command.get_help(context)
        for option in command.get_params(context):
            if option.param_type_name == "option" and not option.required and not option.is_flag:
                assert option.default is not None or "default" in option.help, option.opts
    assert "<bool>" not in shown


def test_make_help_names_every_verb_within_80_columns() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    shown = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True, env=env).stdout
    assert max(map(len, shown.splitlines())) <= 80
    command, (_, _, last) = "", shown.partition("COMMAND VERB")
    found: list[tuple[str, str]] = []
    for word in last[last.index("\n") :].split():
        command = word if word in APPS else command
        found += [] if word in APPS else [(command, word)]
    assert sorted(found) == sorted(VERBS)


def test_list_names_what_commands_take() -> None:
    whole = mmafflm_command("list")
    assert whole.returncode == 0, whole.stderr
    tables = [list(lines) for blank, lines in groupby(whole.stdout.splitlines(), lambda line: not line) if not blank]
    names = [[line.split()[0] for line in table] for table in tables]
    assert [one[0] for one in names] == ["subset", "task", "language", "recipe", "experiment"]
    assert names[0][1:] == list(benchmark()) and {"ei_reg", "sp"} <= {*names[1]} and {"en", "zh"} <= {*names[2]}
    assert {path.stem for path in (ROOT / "train_configs").glob("*.yaml")} == {*names[3][1:]}
    one = mmafflm_command("list", "recipes").stdout
    assert one.startswith("recipe ") and "subset" not in one.splitlines()[0] and one.strip() in whole.stdout


def test_doctor_works_before_there_is_a_raw_folder_and_cuts_no_address(tmp_path: os.PathLike[str]) -> None:
    done = mmaffin("doctor", "--raw", f"{tmp_path}/none", COLUMNS="60")
    assert done.returncode == 0 and done.stdout.count("missing") == len(corpora()), done.stderr
    assert "https://github.com/BrownSweater/BERT_SMP2020-EWECT" in done.stdout
    assert "http://web.eecs.umich.edu/~mihalcea/downloads/MELD.Raw.tar.gz" in done.stdout
