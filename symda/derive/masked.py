"""Sums over measured channels, from which those of weight zero are left out.

A channel that was not measured has the weight 0. Zero times the logarithm of a number that is not
positive is nan, so such a channel and its derivatives are not weighed but left out. Where a
quantity and its derivatives are finite at every state, the weight 0 is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import casadi as ca

#: Operations whose values and derivatives are finite for every finite argument.
_FINITE = (
    "ADD SUB MUL NEG SQ TWICE SIN COS TANH ERF ATAN ASINH SIGN FLOOR CEIL FABS FMIN FMAX LT LE EQ "
    "NE NOT AND OR INPUT OUTPUT CONST"
).split()


def always_finite(value: ca.SX) -> bool:
    """Tell whether an expression and its derivatives are finite at every state."""
    import casadi as ca

    f = ca.Function("f", [ca.vertcat(*ca.symvar(value))], [value])
    finite = {getattr(ca, f"OP_{name}") for name in _FINITE}
    return all(f.instruction_id(k) in finite for k in range(f.n_instructions()))


def where(weight: ca.SX, value: ca.SX) -> ca.SX:
    """Return a value with the same nonzeros, all of them 0 where the weight is 0."""
    import casadi as ca

    masked = ca.SX(value)
    for k in range(value.nnz()):
        masked.nz[k] = ca.if_else(weight != 0.0, value.nz[k], 0.0)
    return masked


class Channels:
    """sum_l of terms that are 0 where their weight is, and the derivatives of the sum.

    Parameters
    ----------
    terms, weights : SX, shape (L, 1)
        What is added up, weights included, and the weights.
    weighed : sequence of bool, (L,)
        Whether a term is 0 where its weight is, as long as what was measured is finite.
    measured : SX, shape (L, 1) or more
        The measured quantities that the terms are made of.
    """

    def __init__(
        self, terms: ca.SX, weights: ca.SX, weighed: Sequence[bool], measured: ca.SX
    ) -> None:
        import casadi as ca

        plain = ca.SX(0.0)
        self._others: list[tuple[ca.SX, ca.SX]] = []
        for l in range(terms.shape[0]):
            if weighed[l] and always_finite(measured[l]):
                plain += terms[l]
            else:
                self._others.append((weights[l], terms[l]))
        self._plain = plain

    @property
    def value(self) -> ca.SX:
        """The sum."""
        import casadi as ca

        return reduce(ca.plus, (where(*other) for other in self._others), self._plain)

    def gradient(self, by: ca.SX) -> ca.SX:
        """Return the gradient, shape (size of `by`, 1)."""
        import casadi as ca

        parts = (where(weight, ca.gradient(term, by)) for weight, term in self._others)
        return reduce(ca.plus, parts, ca.gradient(self._plain, by))

    def hessian(self, by: ca.SX) -> ca.SX:
        """Return the Hessian, symmetric."""
        import casadi as ca

        parts = (where(weight, ca.hessian(term, by)[0]) for weight, term in self._others)
        return reduce(ca.plus, parts, ca.hessian(self._plain, by)[0])

    def product(self, by: ca.SX, direction: ca.SX) -> ca.SX:
        """Return the Hessian times a direction."""
        import casadi as ca

        def one(term: ca.SX) -> ca.SX:
            return ca.jtimes(ca.gradient(term, by), by, direction)

        parts = (where(weight, one(term)) for weight, term in self._others)
        return reduce(ca.plus, parts, one(self._plain))
