"""Does what a command would write stand already? Then it was made of the same files, arguments and code.

Scores, diagnosis and report keep the hash that made_of() gives, under "made_of": the same command twice does no work
the second time, and another parser, prompt or answer is never served from an old file.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import mmafflm
from mmafflm.records import sha256_of

KEY = "made_of"
_CODE = {".py", ".j2", ".yaml", ".csv", ".json"}  # the source, and the data that ships with it


@cache
def code_hash() -> str:
    """The hash of this package's source and of the ground that it stands on."""
    seen = hashlib.sha256()
    for package in (Path(__file__).parent, Path(str(mmafflm.__file__)).parent):
        for path in sorted(path for path in package.rglob("*") if path.suffix in _CODE):
            seen.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return seen.hexdigest()


def made_of(files: Iterable[Path], **given: Any) -> str:
    """The hash of the files (one that is missing counts as such), of the arguments and of the code."""
    hashes = [(path.name, sha256_of(path) if path.exists() else None) for path in files]
    text = json.dumps([code_hash(), hashes, given], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def standing(path: Path, made: str) -> dict[str, Any] | None:
    """The JSON object in `path` if it was made of just this, else None. A file that is no JSON does not stand."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get(KEY) == made else None
