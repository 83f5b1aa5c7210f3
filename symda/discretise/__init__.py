"""Discretise: schemes as checked data, and the residual of one step."""

from symda.discretise.registry import MAP, SCHEMES, find_scheme
from symda.discretise.scheme import Scheme
from symda.discretise.step import step_residual

__all__ = ["MAP", "SCHEMES", "Scheme", "find_scheme", "step_residual"]
