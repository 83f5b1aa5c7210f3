"""What a run has found: distinct levels, the best path, hit rates, and how far to trust it.

`assess` needs a run's kernels and adds what it finds to the dataset. Every other function takes
the `xarray.Dataset` of a run (fresh or loaded from NetCDF) and returns plain numbers or a table.
Plots of the same numbers live in `symda.show`.
"""

from symda.analyse.assess import ModelEquations, assess
from symda.analyse.assessment import Assessment, assessment
from symda.analyse.judge import ChiSquared, chi_squared, hits, stopped_after, wilson
from symda.analyse.levels import (
    Expected,
    PathCounts,
    best_path,
    expected_action,
    free_parameters,
    last_rung,
    level_members,
    levels_table,
    measured_channels,
    parameters_per_step,
    path_counts,
    reached,
    status_counts,
)
from symda.analyse.lowest import TimeToLowest, time_to_lowest
from symda.analyse.verdict import Finding, Verdict, stiff, verdict
from symda.anneal.levels import FAILED

__all__ = [
    "FAILED",
    "Assessment",
    "ChiSquared",
    "Expected",
    "Finding",
    "ModelEquations",
    "PathCounts",
    "TimeToLowest",
    "Verdict",
    "assess",
    "assessment",
    "best_path",
    "chi_squared",
    "expected_action",
    "free_parameters",
    "hits",
    "last_rung",
    "level_members",
    "levels_table",
    "measured_channels",
    "parameters_per_step",
    "path_counts",
    "reached",
    "status_counts",
    "stiff",
    "stopped_after",
    "time_to_lowest",
    "verdict",
    "wilson",
]
