"""Plots, text and progress, all from the dataset of a run.

Matplotlib and Rich are loaded by the first call that draws.
"""

from symda.show.levels import plot_levels
from symda.show.parameters import plot_parameters
from symda.show.progress import NoProgress, ProgressBar
from symda.show.search import plot_search
from symda.show.states import plot_states
from symda.show.text import summary
from symda.show.trajectory import energy_error, plot_trajectory

__all__ = [
    "NoProgress",
    "ProgressBar",
    "energy_error",
    "plot_levels",
    "plot_parameters",
    "plot_search",
    "plot_states",
    "plot_trajectory",
    "summary",
]
