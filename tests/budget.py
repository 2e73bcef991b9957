"""The pixel and frame budget of the shipped build config, for tests without a build."""

from data_build.config import shipped_budget

BUDGET = shipped_budget()
