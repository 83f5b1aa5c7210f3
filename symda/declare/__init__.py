"""Declare: symbols, models and what is measured; all symbolic validation happens here."""

from symda.declare.check import as_expression, check_expression
from symda.declare.functions import KNOWN, exprel, known_names
from symda.declare.measure import Measurement, measure
from symda.declare.model import Model
from symda.declare.ranges import Range
from symda.declare.symbols import (
    Declared,
    Forcing,
    Parameter,
    State,
    Time,
    forcing,
    parameter,
    parameters,
    state,
    states,
    time,
)

__all__ = [
    "KNOWN",
    "Declared",
    "Forcing",
    "Measurement",
    "Model",
    "Parameter",
    "Range",
    "State",
    "Time",
    "as_expression",
    "check_expression",
    "exprel",
    "forcing",
    "known_names",
    "measure",
    "parameter",
    "parameters",
    "state",
    "states",
    "time",
]
