"""Symbolic-to-code toolkit for statistical data assimilation.

Declare a system with SymPy symbols; get its action and derivatives to read, compiled Cython made
for exactly that system, and an annealer that finds the path and parameters of least action::

    declare -> observe -> discretise -> derive -> typeset -> lower -> emit -> build -> solve
            -> anneal -> analyse -> show -> api -> learn

Every name below is imported when it is first used, so ``import symda`` itself stays cheap.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symda import learn, models
    from symda.anneal import (
        Auto,
        Ladder,
        Nudged,
        Population,
        Regions,
        Shooting,
        ShootingWindow,
        Simulated,
        Window,
    )
    from symda.api import (
        Action,
        BoundarySolution,
        Run,
        StepMap,
        Trajectory,
        anneal,
        boundary_value,
        integrate,
        load,
        lyapunov,
        simulate,
        step_map,
        twin,
    )
    from symda.api.cycles import Cycles
    from symda.api.network import NetworkAction
    from symda.api.network_run import NetworkRun
    from symda.api.twins import Twins, twins
    from symda.declare import (
        Binomial,
        Censored,
        Density,
        Distribution,
        Gamma,
        HalfNormal,
        Huber,
        LogNormal,
        Measurement,
        MechanicalModel,
        NegativeBinomial,
        Normal,
        Poisson,
        StudentT,
        Uniform,
        control,
        exprel,
        forcing,
        measured,
        parameter,
        parameters,
        site,
        state,
        states,
        time,
    )
    from symda.declare.factory import Model
    from symda.declare.network import Network
    from symda.discretise import INTEGRATORS, SCHEMES, Scheme, Tableau
    from symda.errors import (
        BuildError,
        DataError,
        InputError,
        ModelError,
        OptionError,
        SolveError,
        SymdaError,
    )
    from symda.observe import Experiments, Grid, Observations, Pairs, Pulses, Samples
    from symda.solve import Descent, Solver

__version__ = "0.1.0"

__all__ = [
    "INTEGRATORS",
    "SCHEMES",
    "Action",
    "Auto",
    "Binomial",
    "BoundarySolution",
    "BuildError",
    "Censored",
    "Cycles",
    "DataError",
    "Density",
    "Descent",
    "Distribution",
    "Experiments",
    "Gamma",
    "Grid",
    "HalfNormal",
    "Huber",
    "InputError",
    "Ladder",
    "LogNormal",
    "Measurement",
    "MechanicalModel",
    "Model",
    "ModelError",
    "NegativeBinomial",
    "Network",
    "NetworkAction",
    "NetworkRun",
    "Normal",
    "Nudged",
    "Observations",
    "OptionError",
    "Pairs",
    "Poisson",
    "Population",
    "Pulses",
    "Regions",
    "Run",
    "Samples",
    "Scheme",
    "Shooting",
    "ShootingWindow",
    "Simulated",
    "SolveError",
    "Solver",
    "StepMap",
    "StudentT",
    "SymdaError",
    "Tableau",
    "Trajectory",
    "Twins",
    "Uniform",
    "Window",
    "__version__",
    "anneal",
    "boundary_value",
    "control",
    "exprel",
    "forcing",
    "integrate",
    "learn",
    "load",
    "lyapunov",
    "measured",
    "models",
    "parameter",
    "parameters",
    "simulate",
    "site",
    "state",
    "states",
    "step_map",
    "time",
    "twin",
    "twins",
]

_NAMES = {
    "symda": "learn models",
    "symda.anneal": "Auto Ladder Nudged Population Regions Shooting ShootingWindow Simulated "
    "Window",
    "symda.api": "Action BoundarySolution Run StepMap Trajectory anneal boundary_value integrate "
    "load lyapunov simulate step_map twin",
    "symda.api.cycles": "Cycles",
    "symda.api.network": "NetworkAction",
    "symda.api.twins": "Twins twins",
    "symda.api.network_run": "NetworkRun",
    "symda.declare": "Binomial Censored Density Distribution Gamma HalfNormal Huber LogNormal "
    "Measurement MechanicalModel NegativeBinomial Normal Poisson StudentT Uniform control exprel "
    "forcing measured parameter parameters site state states time",
    "symda.declare.factory": "Model",
    "symda.declare.network": "Network",
    "symda.discretise": "INTEGRATORS SCHEMES Scheme Tableau",
    "symda.errors": "BuildError DataError InputError ModelError OptionError SolveError SymdaError",
    "symda.observe": "Experiments Grid Observations Pairs Pulses Samples",
    "symda.solve": "Descent Solver",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Import a public name from the stage that defines it; `learn` and `models` are stages."""
    if name not in _HOME:
        raise AttributeError(f"module 'symda' has no attribute {name!r}")
    if _HOME[name] == __name__:
        return import_module(f"{__name__}.{name}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """The package itself, which keeps its public names when a stage of the same name is imported.

    `symda.anneal` is both a stage and the function users call. Importing the stage makes Python
    bind it as an attribute here, which would replace the function.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
