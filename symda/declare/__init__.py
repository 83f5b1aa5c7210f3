"""Declare: symbols, models and what is measured; all symbolic validation happens here."""

from symda.declare.check import as_expression, check_declared, check_expression, symbols_in
from symda.declare.correlations import know_correlations
from symda.declare.declaration import Declaration, Range
from symda.declare.declared import Declared, Event, Forcing, MeasuredForcing, Time
from symda.declare.distributions import (
    DISTRIBUTIONS,
    Binomial,
    Censored,
    Density,
    Distribution,
    Gamma,
    HalfNormal,
    Huber,
    LogNormal,
    NegativeBinomial,
    Normal,
    Poisson,
    StudentT,
    Uniform,
)
from symda.declare.equations import EquationModel
from symda.declare.functions import KNOWN, exprel, known_names
from symda.declare.identity import measurement_digest, model_digest
from symda.declare.initial import Initial, know_initial
from symda.declare.lattice import LatticeModel
from symda.declare.measure import Measurement, measure
from symda.declare.mechanics import MechanicalModel
from symda.declare.model import Model
from symda.declare.noise import NoiseNumbers
from symda.declare.parameters import parameter, parameters
from symda.declare.site import Lattice, Site, SiteState, StateField, site, states
from symda.declare.special import log1p, log_ndtr, log_rise
from symda.declare.symbols import (
    Control,
    ExperimentParameter,
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
from symda.scale import Scale, ScaleName

__all__ = [
    "DISTRIBUTIONS",
    "KNOWN",
    "Binomial",
    "Censored",
    "Control",
    "Declaration",
    "Declared",
    "Density",
    "Distribution",
    "EquationModel",
    "Event",
    "ExperimentParameter",
    "Forcing",
    "Gamma",
    "HalfNormal",
    "Huber",
    "Initial",
    "Lattice",
    "LatticeModel",
    "LogNormal",
    "MeasuredForcing",
    "Measurement",
    "MechanicalModel",
    "Model",
    "NegativeBinomial",
    "NoiseNumbers",
    "Normal",
    "Parameter",
    "Poisson",
    "Range",
    "Scale",
    "ScaleName",
    "Site",
    "SiteState",
    "State",
    "StateField",
    "StepParameter",
    "StudentT",
    "Time",
    "Uniform",
    "Unknown",
    "as_expression",
    "check_declared",
    "check_expression",
    "control",
    "exprel",
    "forcing",
    "know_correlations",
    "know_initial",
    "known_names",
    "log1p",
    "log_ndtr",
    "log_rise",
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
