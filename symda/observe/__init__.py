"""What was measured, and the model grid it lies on: observations -> `Problem`."""

from symda.observe.bind import bind
from symda.observe.experiments import Experiments
from symda.observe.grid import Grid
from symda.observe.join import bind_experiments
from symda.observe.observations import Observations
from symda.observe.pairs import Pairs
from symda.observe.problem import Problem
from symda.observe.pulses import Pulses
from symda.observe.samples import Rule, Samples
from symda.observe.segment import Segment
from symda.observe.weights import Averaging, ErrorForm, averaging_factors

__all__ = [
    "Averaging",
    "ErrorForm",
    "Experiments",
    "Grid",
    "Observations",
    "Pairs",
    "Problem",
    "Pulses",
    "Rule",
    "Samples",
    "Segment",
    "averaging_factors",
    "bind",
    "bind_experiments",
]
