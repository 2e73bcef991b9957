"""`mmaffin publish`: a build, or what of it the terms of its corpora allow, as a data set on the Hugging Face Hub."""

import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from data_build.corpus import corpora
from data_build.portion import write_portion
from mmafflm.command import say
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault

STAGE = ".publish"  # below DATA, hidden: not part of the data; of hard links
TOKEN = "HF_TOKEN"
OURS = ["mmaffin/*", "mmaffben/*", "media/*", "leakage.*", "import.md", "quarantine.jsonl"]  # replaced on the hub
_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Choice:
    """Corpora that go along; of them those only told to; and those that stay behind, with the reason."""

    kept: list[str]
    allowed: list[str]
    left_out: dict[str, str]


def choose(there: Collection[str], allow: Collection[str]) -> Choice:
    """What of the corpora that are there may go. Raises UsageFault when `allow` names one that is not there."""
    if unknown := [name for name in allow if name not in there]:
        raise UsageFault(f"--allow {','.join(unknown)}: not in this build, which has {', '.join(there)}.")
    refused = {name: corpora()[name].terms for name in there if not corpora()[name].redistribute}
    return Choice(
        kept=[name for name in there if name not in refused or name in allow],
        allowed=[name for name in refused if name in allow],
        left_out={name: reason for name, reason in refused.items() if name not in allow},
    )


def publish(dataset: Dataset, repo: str, allow: Collection[str] = (), dry_run: bool = False) -> None:
    """Upload what may go as one commit of the hub's data set `repo`; with dry_run only print its files and sizes.

    A repository that is not there is made, private. What an earlier upload left below the build's own folders and is
    not in this one is deleted; other files of the repository stay. The same again makes no commit.
    Raises UsageFault for a wrong name or without HF_TOKEN, Fault when nothing may go or the hub refuses.
    """
    if not _NAME.fullmatch(repo):
        raise UsageFault(f"--repo {repo}: expected OWNER/NAME.")
    choice = choose(list(dataset.manifest["corpora"]), allow)
    for name, reason in choice.left_out.items():
        say(f"{name}: stays behind, since {reason}. If you have the right to pass it on: --allow {name}")
    if not choice.kept:
        raise Fault(f"{dataset.path}: no corpus in it may be passed on. Nothing is published.")
    token = "" if dry_run else _token()
    with _staged(dataset, choice) as folder:
        sizes = _sizes(folder)
        say(f"{repo}: {len(sizes)} files, {sum(sizes.values()):,} bytes, of {', '.join(choice.kept)}")
        if dry_run:
            print("".join(f"{size:>14,}  {name}\n" for name, size in sizes.items()), end="")
        else:
            say(f"{repo}: {_upload(folder, repo, token, dataset.hash)}")


def _token() -> str:
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise UsageFault(f"{TOKEN} is not set. Put a token of the hub that may write into the environment.")
    return token


@contextmanager
def _staged(dataset: Dataset, choice: Choice) -> Iterator[Path]:
    """The folder to upload; it is gone afterwards."""
    folder = dataset.path / STAGE
    shutil.rmtree(folder, ignore_errors=True)
    try:
        write_portion(dataset, choice.kept, folder, {"allowed": choice.allowed, "left_out": choice.left_out})
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes of each file, by its path below the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _upload(folder: Path, repo: str, token: str, data_hash: str) -> str:
    """Upload the folder; returns the address of the commit."""
    try:
        from httpx import HTTPError
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise UsageFault("publish uploads with huggingface_hub: pip install huggingface_hub first.") from None
    hub = HfApi(token=token)
    try:
        hub.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
        done = hub.upload_folder(
            repo_id=repo,
            repo_type="dataset",
            folder_path=folder,
            commit_message=f"Publish what may be passed on of build {data_hash[:12]}",
            delete_patterns=OURS,
        )
    except (HfHubHTTPError, HTTPError, OSError, ValueError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0].replace(token, "***")
        raise Fault(f"--repo {repo}: {said}. Check the name, the token's rights and the network.") from None
    return str(done.commit_url)
