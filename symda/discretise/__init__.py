"""Discretise: schemes as checked data, and the residual of one step."""

from symda.discretise.partition import moved
from symda.discretise.registry import MAP, SCHEMES, find_scheme
from symda.discretise.scheme import Scheme
from symda.discretise.step import step_residual
from symda.discretise.surd import Number, Surd

__all__ = ["MAP", "SCHEMES", "Number", "Scheme", "Surd", "find_scheme", "moved", "step_residual"]
