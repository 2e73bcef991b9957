"""Does what a command would write stand already? Then it was made of the same files, arguments and code.

Scores, diagnosis and report keep the hash that made_of() gives, under "made_of": the same command twice does no work
the second time, and another parser, prompt or answer is never served from an old file.
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
    """The hash of the files (one that is missing counts as such), of the arguments and of this package's code."""
    hashes = [(path.name, sha256_of(path) if path.exists() else None) for path in files]
    text = json.dumps([source_hash("eval"), hashes, given], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def standing(path: Path, made: str) -> dict[str, Any] | None:
    """The JSON object in `path` if it was made of just this, else None. A file that is no JSON does not stand."""
    try:
        found = read_json(path, "")
    except (FileNotFoundError, Fault):
        return None
    return found if found.get(KEY) == made else None
