"""Discretise: methods as checked data, and the residual of one step."""

from symda.discretise.method import Method
from symda.discretise.methods import METHODS
from symda.discretise.partition import moved
from symda.discretise.registry import INTEGRATORS, MAP, SCHEMES, find_method, find_scheme
from symda.discretise.scheme import Scheme
from symda.discretise.step import step_residual
from symda.discretise.structured import Composition, Splitting, Variational
from symda.discretise.surd import Number, Surd
from symda.discretise.tableau import Partitioned, Tableau

__all__ = [
    "INTEGRATORS",
    "MAP",
    "METHODS",
    "SCHEMES",
    "Composition",
    "Method",
    "Number",
    "Partitioned",
    "Scheme",
    "Splitting",
    "Surd",
    "Tableau",
    "Variational",
    "find_method",
    "find_scheme",
    "moved",
    "step_residual",
]
