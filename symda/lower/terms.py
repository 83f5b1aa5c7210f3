"""Library -> TermsIR: its terms, and what is known, as routines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symda.lower.instructions import lower_function
from symda.lower.ir import Routine

if TYPE_CHECKING:
    import casadi as ca


@dataclass(frozen=True)
class TermsIR:
    """What the emitted text of a library depends on.

    Attributes
    ----------
    terms, known : tuple of str
        As they read.
    routines
        Values alone, and with slopes, of both.
    """

    D: int
    terms: tuple[str, ...]
    known: tuple[str, ...]
    routines: tuple[Routine, ...]


def lower_terms(
    terms: Sequence[str], known: Sequence[str], functions: Mapping[str, ca.Function]
) -> TermsIR:
    """Lower x -> values and x -> values, slopes of the terms and of what is known."""
    routines = [
        lower_function(one, ("values", "slopes")[: one.n_out()]) for one in functions.values()
    ]
    return TermsIR(len(known), tuple(terms), tuple(known), tuple(routines))
