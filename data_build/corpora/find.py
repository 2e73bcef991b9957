"""Find the corpora: every other module of this folder defines a corpus as CORPUS."""

import importlib
import pkgutil
from functools import cache

import data_build.corpora
from data_build.reading.corpus import Corpus


@cache
def corpora() -> dict[str, Corpus]:
    """Every corpus in the folder, by name."""
    names = sorted({module.name for module in pkgutil.iter_modules(data_build.corpora.__path__)} - {"find"})
    found = (importlib.import_module(f"data_build.corpora.{name}").CORPUS for name in names)
    return {corpus.name: corpus for corpus in found}
