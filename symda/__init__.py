"""Symbolic-to-code toolkit for statistical data assimilation.

Declare a system with SymPy symbols; get its action and derivatives to read, compiled Cython made
for exactly that system, and an annealer that finds the path and parameters of least action::

    declare -> observe -> discretise -> derive -> typeset -> lower -> emit -> build -> solve
            -> anneal -> analyse -> show -> api

Every name below is imported when it is first used, so ``import symda`` itself stays cheap.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symda import models
    from symda.anneal import Ladder, Nudged, Population, Window
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
        simulate,
        step_map,
        twin,
    )
    from symda.declare import (
        Measurement,
        MechanicalModel,
        exprel,
        forcing,
        parameter,
        parameters,
        site,
        state,
        states,
        time,
    )
    from symda.declare.factory import Model
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
    from symda.observe import Grid, Observations, Samples
    from symda.solve import Descent, Solver

__version__ = "0.1.0"

__all__ = [
    "INTEGRATORS",
    "SCHEMES",
    "Action",
    "BoundarySolution",
    "BuildError",
    "DataError",
    "Descent",
    "Grid",
    "InputError",
    "Ladder",
    "Measurement",
    "MechanicalModel",
    "Model",
    "ModelError",
    "Nudged",
    "Observations",
    "OptionError",
    "Population",
    "Run",
    "Samples",
    "Scheme",
    "SolveError",
    "Solver",
    "StepMap",
    "SymdaError",
    "Tableau",
    "Trajectory",
    "Window",
    "__version__",
    "anneal",
    "boundary_value",
    "exprel",
    "forcing",
    "integrate",
    "load",
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
]

_HOME = {
    "Action": "symda.api",
    "BoundarySolution": "symda.api",
    "BuildError": "symda.errors",
    "DataError": "symda.errors",
    "Descent": "symda.solve",
    "Grid": "symda.observe",
    "INTEGRATORS": "symda.discretise",
    "InputError": "symda.errors",
    "Ladder": "symda.anneal",
    "Measurement": "symda.declare",
    "MechanicalModel": "symda.declare",
    "Model": "symda.declare.factory",
    "ModelError": "symda.errors",
    "Nudged": "symda.anneal",
    "Observations": "symda.observe",
    "OptionError": "symda.errors",
    "Population": "symda.anneal",
    "Run": "symda.api",
    "SCHEMES": "symda.discretise",
    "Samples": "symda.observe",
    "Scheme": "symda.discretise",
    "SolveError": "symda.errors",
    "Solver": "symda.solve",
    "StepMap": "symda.api",
    "SymdaError": "symda.errors",
    "Tableau": "symda.discretise",
    "Trajectory": "symda.api",
    "Window": "symda.anneal",
    "anneal": "symda.api",
    "boundary_value": "symda.api",
    "exprel": "symda.declare",
    "forcing": "symda.declare",
    "integrate": "symda.api",
    "load": "symda.api",
    "models": "symda",
    "parameter": "symda.declare",
    "parameters": "symda.declare",
    "simulate": "symda.api",
    "site": "symda.declare",
    "state": "symda.declare",
    "states": "symda.declare",
    "step_map": "symda.api",
    "time": "symda.declare",
    "twin": "symda.api",
}


def __getattr__(name: str) -> object:
    """Import a public name from the stage that defines it; the library of models is a stage."""
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
