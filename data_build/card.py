"""DATA/README.md: the data set card, made from the manifest alone."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from mmafflm.benchmark import benchmark
from mmafflm.records import write_text


def write_card(data: Path, manifest: dict[str, Any]) -> None:
    """Write the card; what the paper leaves open stands in it as our choice."""
    text = files("data_build").joinpath("card.md.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    write_text(data / "README.md", environment.from_string(text).render(**manifest, benchmark=benchmark()))
