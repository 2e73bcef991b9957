"""Where the tests find the project, and the raw corpora and inputs that are beside it and never in it."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
