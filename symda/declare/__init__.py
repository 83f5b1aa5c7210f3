"""Declare: symbols, models and what is measured; all symbolic validation happens here."""

from symda.declare.check import as_expression, check_declared, check_expression, symbols_in
from symda.declare.declaration import Declaration, Range
from symda.declare.declared import Declared, Forcing, Time
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
from symda.declare.lattice import LatticeModel
from symda.declare.measure import Measurement, measure
from symda.declare.mechanics import MechanicalModel
from symda.declare.model import Model
from symda.declare.noise import NoiseNumbers
from symda.declare.parameters import parameter, parameters
from symda.declare.site import Lattice, Site, SiteState, StateField, site, states
from symda.declare.special import log_ndtr
from symda.declare.symbols import (
    ExperimentParameter,
    Parameter,
    State,
    StepParameter,
    Unknown,
    forcing,
    state,
    time,
)
from symda.scale import Scale, ScaleName

__all__ = [
    "DISTRIBUTIONS",
    "KNOWN",
    "Binomial",
    "Censored",
    "Declaration",
    "Declared",
    "Density",
    "Distribution",
    "EquationModel",
    "ExperimentParameter",
    "Forcing",
    "Gamma",
    "HalfNormal",
    "Huber",
    "Lattice",
    "LatticeModel",
    "LogNormal",
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
    "exprel",
    "forcing",
    "known_names",
    "log_ndtr",
    "measure",
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
