"""constraints.txt is installed without a resolver, so this test compares it with the packages' own metadata."""

from importlib.metadata import PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.paths import ROOT


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in found.items()}


def requirements(name: str) -> list[Requirement]:
    try:
        found = [Requirement(text) for text in distribution(name).requires or ()]
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed: make setup")
    return [one for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]


def test_the_pins_disagree_with_no_metadata_but_llamafactorys() -> None:
    pinned = pins()
    wants = [(name, one.specifier, canonicalize_name(one.name)) for name in pinned for one in requirements(name)]
    disagreements = {
        f"{name} wants {other}"
        for name, specifier, other in wants
        if other not in pinned or not specifier.contains(pinned[other], prereleases=True)
    }
    assert disagreements == {
        "llamafactory wants av",  # at most 16.0.0; tests/mmafflm/media/test_budget.py compares the pixels
        "llamafactory wants gradio",  # only for its web page
    }


def test_the_decoders_have_no_known_holes() -> None:
    """PyAV bundles a fixed FFmpeg from 17.1 on, Pillow a fixed libtiff from 12 on."""
    for name in ("constraints.txt", "constraints-vllm.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "\nav==18." in text and "\npillow==13." in text


def test_the_installed_decoders_are_the_pinned_ones() -> None:
    for name in ("av", "pillow"):
        assert distribution(name).version == pins()[name], f"{name} is not the pinned version: make setup"
