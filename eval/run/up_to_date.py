"""Skip work whose output is up to date, which means that it was made from the same files, arguments and code.

Scores, diagnosis and report store the hash of made_of() under "made_of". So the same command does no work the second
time, and after a change of parser, prompt or answers an old file is never used.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmafflm.errors import Fault
from mmafflm.files.documents import read_json
from mmafflm.files.source_hash import source_hash
from mmafflm.records import sha256_of

KEY = "made_of"


def made_of(files: Iterable[Path], **given: Any) -> str:
    """The hash of the files (names and contents; None if missing), the arguments, and the code of eval."""
    hashes = [(path.name, sha256_of(path) if path.exists() else None) for path in files]
    text = json.dumps([source_hash("eval"), hashes, given], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def standing(path: Path, made: str) -> dict[str, Any] | None:
    """The JSON object in `path` if its "made_of" equals `made`. None for other, missing and malformed files."""
    try:
        found = read_json(path, "")
    except (FileNotFoundError, Fault):
        return None
    return found if found.get(KEY) == made else None
