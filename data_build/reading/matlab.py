"""Read a .mat file in a worker process with limits of memory and time, because a file of 1 MB can need 7 GB."""

import io
import pickle
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from data_build.reading.raw import RawFile
from data_build.reading.unreadable import Unreadable
from data_build.workers.pool import Failed, run_guarded

SIZE = 256 << 20  # most bytes of the file; EMOTIC's Annotations.mat has some 14 MB
MEMORY, LIMIT_S = 6 << 30, 300.0  # of the worker: bytes of address space, seconds


def load_variables(file: RawFile, name: str) -> dict[str, Any]:
    """{name: value} of a variable in a MATLAB 5 .mat file. If it is missing, {name: None} for each variable there.

    Structs become dicts; a struct array or cell array of one element becomes that element. Raises Unreadable.
    """
    task = (file.read(SIZE), name)
    ((_, found),) = run_guarded(_load, iter([task]), 1, LIMIT_S, MEMORY)
    if isinstance(found, Failed):
        why = f"cannot be read as a .mat of MATLAB 5 ({found.reason})"
        raise Unreadable(file.name, why, "Download it again.")
    return found


def _load(task: tuple[bytes, str]) -> dict[str, Any] | Failed:
    from scipy.io import loadmat, whosmat  # the import takes a quarter of a second, and only this reader needs it

    data, name = task
    try:
        with warnings.catch_warnings(action="ignore"):
            variables = loadmat(io.BytesIO(data), simplify_cells=True, variable_names=[name])
            found = (
                {name: variables[name]}
                if name in variables
                else dict.fromkeys(row[0] for row in whosmat(io.BytesIO(data)))
            )
        pickle.dumps(found)  # raises when values are nested too deep to be sent to the parent process
        return found
    except MemoryError:
        return Failed(f"it needs more than {MEMORY >> 30} GiB of memory")
    except Exception as error:  # a damaged file can make scipy raise anything
        return Failed(" ".join(f"{type(error).__name__}: {error}".split())[:200])


def listed(value: Any) -> list[Any]:
    """A cell or struct array as a list. loadmat simplifies an array of one element to the element itself."""
    return value.ravel().tolist() if isinstance(value, np.ndarray) else value if isinstance(value, list) else [value]


def structs(value: Any, names: Iterable[str]) -> list[dict[str, Any]]:
    """The structs of a struct array that have all these fields."""
    return [one for one in listed(value) if isinstance(one, dict) and all(name in one for name in names)]
