"""What a run has found: distinct levels, the best path, the chi-squared test, hit rates.

Every function here takes the `xarray.Dataset` of a run (fresh or loaded from NetCDF) and returns
plain numbers or a table. Plots of the same numbers live in `symda.show`.
"""

from symda.analyse.judge import ChiSquared, chi_squared, hits, stopped_after, wilson
from symda.analyse.levels import (
    PathCounts,
    best_path,
    endings,
    expected_measurement_term,
    free_parameters,
    last_rung,
    level_members,
    levels_table,
    measured_channels,
    parameters_per_step,
    path_counts,
    reached,
)
from symda.analyse.lowest import TimeToLowest, time_to_lowest
from symda.anneal.levels import FAILED

__all__ = [
    "FAILED",
    "ChiSquared",
    "PathCounts",
    "TimeToLowest",
    "best_path",
    "chi_squared",
    "endings",
    "expected_measurement_term",
    "free_parameters",
    "hits",
    "last_rung",
    "level_members",
    "levels_table",
    "measured_channels",
    "parameters_per_step",
    "path_counts",
    "reached",
    "stopped_after",
    "time_to_lowest",
    "wilson",
]
