"""Where the tests find the project, and the raw corpora and inputs next to it, which are never part of it."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
