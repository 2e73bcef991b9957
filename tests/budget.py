"""The pixel and frame budget of the shipped build config, for tests that ask no build for it."""

from data_build.config import shipped_budget

BUDGET = shipped_budget()
