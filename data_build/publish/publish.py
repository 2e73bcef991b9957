"""`mmaffin publish`: upload what the terms of a build's corpora allow, as a data set on the Hugging Face Hub."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from data_build.corpora.find import corpora
from data_build.dataset.licences import Held, held_back
from data_build.publish.portion import write_portion
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.inside import quoted
from mmafflm.terminal.command import say

STAGE = ".publish"  # a hidden folder below DATA that is not part of the data; it holds hard links
TOKEN = "HF_TOKEN"
_FOLDERS = ("mmaffin", "mmaffben", "media", "figures")
# An upload deletes the files of an earlier one that match these patterns and that it does not contain.
OURS = [*(f"{name}/*" for name in _FOLDERS), "leakage.*", "import.md", "quarantine.jsonl", "origins.jsonl"]
_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Choice:
    """Corpora to publish, those of them that needed --allow, and corpora to leave out, with the reason.

    withheld: records of published corpora to leave out: {corpus: {"LICENCE (REASON)": number of records}}.
    """

    kept: list[str]
    allowed: list[str]
    left_out: dict[str, str]
    withheld: dict[str, dict[str, int]] = field(default_factory=dict)


def choose(there: Collection[str], allow: Collection[str]) -> Choice:
    """Choose which corpora of a build to publish. there: its corpora. allow: those that the user may pass on.

    Raises UsageFault when `allow` names a corpus that is not in the build, and Fault when the build has an unknown one.
    """
    if strange := [name for name in there if name not in corpora()]:
        raise Fault(f"manifest.json: corpora: {quoted(strange[0])} is not one of {', '.join(corpora())}. Build again.")
    if unknown := [name for name in allow if name not in there]:
        raise UsageFault(f"--allow {','.join(unknown)}: not in this build, which has {', '.join(there)}.")
    refused = {name: corpora()[name].terms for name in there if not corpora()[name].redistribute}
    return Choice(
        kept=[name for name in there if name not in refused or name in allow],
        allowed=[name for name in refused if name in allow],
        left_out={name: reason for name, reason in refused.items() if name not in allow},
    )


def _without_empty(dataset: Dataset, choice: Choice, held: Mapping[str, Held]) -> Choice:
    """Add the withheld records of each corpus to the choice, and leave out corpora that have only such records."""
    counted: dict[str, Counter[str]] = {}
    for one in held.values():
        counted.setdefault(one.corpus, Counter())[f"{one.licence or 'a licence'} ({one.reason})"] += 1
    empty = {name for name, of in counted.items() if of.total() == _rows(dataset, name)}
    for name in empty:
        say(f"{name}: left out, because no row in this build has a licence of its own that allows it")
    return replace(
        choice,
        kept=[name for name in choice.kept if name not in empty],
        allowed=[name for name in choice.allowed if name not in empty],
        left_out=choice.left_out | dict.fromkeys(empty, "no row in this build has a licence of its own that allows it"),
        withheld={name: dict(sorted(of.items())) for name, of in counted.items() if name not in empty},
    )


def _rows(dataset: Dataset, corpus: str) -> int:
    """The number of records of a corpus."""
    of = (splits for name, splits in dataset.manifest["subsets"].items() if benchmark()[name].corpus == corpus)
    return sum(int(about["rows"]) for splits in of for about in splits.values())


def publish(dataset: Dataset, repo: str, allow: Collection[str] = (), dry_run: bool = False) -> None:
    """Upload what may be published to the hub's data set `repo`, as one commit. dry_run: only print files and sizes.

    A repository that does not exist is created as private. Files of an earlier upload in the build's own folders that
    this one lacks are deleted; other files of the repository stay. Publishing the same build again makes no commit.
    Raises UsageFault when `repo` is not OWNER/NAME, when `allow` has a corpus that is not in the build, or without
    HF_TOKEN or huggingface_hub; Fault when nothing may be published, the build has changed, or the upload fails.
    """
    if not _NAME.fullmatch(repo):
        raise UsageFault(f"--repo {repo}: expected OWNER/NAME.")
    choice = choose(list(dataset.manifest["corpora"]), allow)
    for name, reason in choice.left_out.items():
        say(f"{name}: left out, because {reason}. If you have the right to pass it on: --allow {name}")
    held = held_back(dataset, choice.kept)
    choice = _without_empty(dataset, choice, held)
    for name, licences in choice.withheld.items():
        told = "; ".join(f"{rows} rows: {licence}" for licence, rows in licences.items())
        say(f"{name}: rows left out, because their own licence does not allow it: {told}")
    if not choice.kept:
        raise Fault(f"{dataset.path}: no corpus in it may be passed on. Nothing is published.")
    token = "" if dry_run else _token()
    with _staged(dataset, choice, held) as folder:
        sizes = _sizes(folder)
        say(f"{repo}: {len(sizes)} files, {sum(sizes.values()):,} bytes, of {', '.join(choice.kept)}")
        if dry_run:
            print("".join(f"{size:>14,}  {name}\n" for name, size in sizes.items()), end="")
        else:
            say(f"{repo}: {_upload(folder, repo, token, dataset.hash)}")


def _token() -> str:
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise UsageFault(f"{TOKEN} is not set. Set it to a token of the hub that has write access.")
    return token


@contextmanager
def _staged(dataset: Dataset, choice: Choice, held: Mapping[str, Held]) -> Iterator[Path]:
    """Write the folder to upload; it is removed afterwards."""
    folder = dataset.path / STAGE
    if folder.is_symlink():
        raise Fault(f"{folder}: is a symbolic link, but publish needs a folder of that name. Remove the link.")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        about = {"allowed": choice.allowed, "left_out": choice.left_out, "withheld": choice.withheld}
        held = {name: one for name, one in held.items() if one.corpus in choice.kept}
        write_portion(dataset, choice.kept, folder, about, held)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sizes(folder: Path) -> dict[str, int]:
    """The size in bytes of each file, by its path below the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _upload(folder: Path, repo: str, token: str, data_hash: str) -> str:
    """Upload the folder. Returns the address of the commit."""
    try:
        from httpx import HTTPError
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise UsageFault("publish needs huggingface_hub. Run: pip install huggingface_hub") from None
    hub = HfApi(token=token)
    try:
        hub.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
        done = hub.upload_folder(
            repo_id=repo,
            repo_type="dataset",
            folder_path=folder,
            commit_message=f"Publish the redistributable part of build {data_hash[:12]}",
            delete_patterns=OURS,
        )
    except (HfHubHTTPError, HTTPError, OSError, ValueError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0].replace(token, "***")
        raise Fault(f"--repo {repo}: {said}. Check the name, the token's rights and the network.") from None
    return str(done.commit_url)
