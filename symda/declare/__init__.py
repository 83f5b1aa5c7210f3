"""Declare: symbols, models and what is measured; all symbolic validation happens here."""

from symda.declare.check import as_expression, check_declared, check_expression, symbols_in
from symda.declare.declaration import Declaration, Range
from symda.declare.declared import Declared, Event, Forcing, MeasuredForcing, Time
from symda.declare.equations import EquationModel
from symda.declare.functions import KNOWN, exprel, known_names
from symda.declare.identity import measurement_digest, model_digest
from symda.declare.initial import Initial, know_initial
from symda.declare.lattice import LatticeModel
from symda.declare.measure import Measurement, measure
from symda.declare.mechanics import MechanicalModel
from symda.declare.model import Model
from symda.declare.parameters import parameter, parameters
from symda.declare.site import Lattice, Site, SiteState, StateField, site, states
from symda.declare.symbols import (
    Control,
    Parameter,
    State,
    StepParameter,
    Unknown,
    control,
    forcing,
    measured,
    state,
    time,
)

__all__ = [
    "KNOWN",
    "Control",
    "Declaration",
    "Declared",
    "EquationModel",
    "Event",
    "Forcing",
    "Initial",
    "Lattice",
    "LatticeModel",
    "MeasuredForcing",
    "Measurement",
    "MechanicalModel",
    "Model",
    "Parameter",
    "Range",
    "Site",
    "SiteState",
    "State",
    "StateField",
    "StepParameter",
    "Time",
    "Unknown",
    "as_expression",
    "check_declared",
    "check_expression",
    "control",
    "exprel",
    "forcing",
    "know_initial",
    "known_names",
    "measure",
    "measured",
    "measurement_digest",
    "model_digest",
    "parameter",
    "parameters",
    "site",
    "state",
    "states",
    "symbols_in",
    "time",
]
