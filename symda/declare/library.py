"""A library of candidate terms: a model that is linear in its coefficients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from sympy import Expr, Float, Mul, S, Symbol, lambdify

from symda.checks import integer
from symda.declare.check import as_expression, check_expression, symbols_in
from symda.declare.equations import EquationModel
from symda.declare.factory import Model
from symda.declare.parameters import parameter
from symda.declare.symbols import Parameter, State
from symda.errors import ModelError

if TYPE_CHECKING:
    from symda.types import FloatArray


@dataclass(frozen=True, init=False, repr=False)
class Library(EquationModel):
    """Rates dx_i/dt = known_i(x) + sum_j C_ij theta_j(x), with the C_ij as parameters.

    Attributes
    ----------
    terms : tuple of Expr, (T,)
        The candidates theta_j, expressions in the states.
    known : tuple of Expr, (D,)
        The part of each rate that is not learned.
    coefficients : tuple of tuple of Parameter, (D, T)
        None where a state's rate has no such term.
    """

    terms: tuple[Expr, ...]
    known: tuple[Expr, ...]
    coefficients: tuple[tuple[Parameter | None, ...], ...]

    def __init__(
        self,
        states: Sequence[State],
        terms: Sequence[Expr],
        *,
        known: Mapping[State, Expr | float] | None = None,
        only: Mapping[State, Sequence[Expr]] | None = None,
        name: str = "library",
    ) -> None:
        for part, what in ((known, "known"), (only, "only")):
            if part is not None and not isinstance(part, Mapping):
                raise ModelError(
                    f"Library {name!r}: {what} must be a mapping of states, {{x: ...}}, got "
                    f"{type(part).__name__}."
                )
        given = dict(known or {})
        for part, what in ((given, "known"), (dict(only or {}), "only")):
            for state in part:
                if state not in states:
                    raise ModelError(
                        f"Library {name!r}: {what} has {state}, which is none of the states "
                        f"{', '.join(map(str, states))}."
                    )
        parts = tuple(as_expression(given.get(x, 0), f"Library {name!r}, known") for x in states)
        for expression, what in (*((e, "known") for e in parts), *((e, "a term") for e in terms)):
            _only_states(expression, states, f"Library {name!r}, {what}: {expression}")
        rows = []
        for x in states:
            chosen = None if only is None else only.get(x)
            if chosen is not None and not isinstance(chosen, Iterable):
                raise ModelError(f"Library {name!r}: only[{x}] must be a list of terms.")
            mine = terms if chosen is None else [S(e) for e in chosen]
            strange = [e for e in mine if e not in terms]
            if strange:
                raise ModelError(
                    f"Library {name!r}: only[{x}] has {strange[0]}, which is none of the terms."
                )
            rows.append(
                tuple(
                    parameter(f"c_{x.name}_{j}") if e in mine else None for j, e in enumerate(terms)
                )
            )
        equations = {
            x: part + sum((c * e for c, e in zip(row, terms, strict=True) if c is not None), S.Zero)
            for x, part, row in zip(states, parts, rows, strict=True)
        }
        super().__init__(equations, name=name)
        object.__setattr__(self, "terms", tuple(terms))
        object.__setattr__(self, "known", parts)
        object.__setattr__(self, "coefficients", tuple(rows))

    @property
    def degrees(self) -> tuple[int, ...]:
        """How complicated each term is: its degree, or the operations of what is no polynomial."""
        found = []
        for term in self.terms:
            polynomial = term.as_poly(*self.states)
            plain = polynomial is not None
            found.append(polynomial.total_degree() if plain else 1 + int(term.count_ops()))
        return tuple(found)

    def fitted(self, values: FloatArray, name: str = "learned") -> Model:
        """Return the model with numbers (D, T) for coefficients; terms with 0 are left out."""
        equations = {
            x: part + sum((Float(c) * e for c, e in zip(row, self.terms, strict=True) if c), S.Zero)
            for x, part, row in zip(self.states, self.known, values.tolist(), strict=True)
        }
        return Model(equations, name=name)


def _only_states(expression: Expr, states: Sequence[State], where: str) -> None:
    check_expression(expression, where)
    for symbol in symbols_in([expression]):
        if symbol not in states:
            raise ModelError(
                f"{where} uses {symbol}; terms are expressions in the states "
                f"{', '.join(map(str, states))} only, since coefficients are all that is learned."
            )


def library(
    states: Sequence[State],
    degree: int = 2,
    extra: Iterable[Expr] = (),
    *,
    constant: bool = True,
    known: Mapping[State, Expr | float] | None = None,
    only: Mapping[State, Sequence[Expr]] | None = None,
    name: str = "library",
) -> Library:
    """Declare candidate terms: all monomials of the states up to a degree, and others.

    Parameters
    ----------
    states : sequence of State, (D,)
        The states whose rates are learned.
    degree : int
        Highest degree of the monomials; 0 leaves only the constant.
    extra : iterable of Expr
        Further terms, expressions in the states such as ``sin(x)``.
    constant : bool
        Whether 1 is a term.
    known : mapping of State to Expr, optional
        What is known of the rates; only the rest is learned.
    only : mapping of State to sequence of Expr, optional
        The terms that a state's rate may have, where not all: a state that is an integral,
        ``{x: [v]}``.

    Returns
    -------
    Library
        A model like any other, whose parameters ``c_x_0, c_x_1, ...`` are the coefficients.

    Raises
    ------
    ModelError
        If a term uses anything but the states, occurs twice, or there is none.

    Examples
    --------
    >>> import symda as sd
    >>> x, y = sd.states("x y")
    >>> sd.learn.library([x, y]).terms
    (1, x, y, x**2, x*y, y**2)
    """
    states = list(states) if isinstance(states, Iterable) else [states]
    for state in states:
        if not isinstance(state, State):
            raise ModelError(
                f"library: states must be states, sd.states('x y'), got {type(state).__name__}."
            )
    integer(degree, "library: degree", "pass 0 or more", least=0)
    monomials = [
        Mul(*chosen)
        for k in range(degree + 1)
        for chosen in combinations_with_replacement(states, k)
    ]
    further = [as_expression(e, "library: extra") for e in extra]
    terms = [*(monomials if constant else monomials[1:]), *further]
    if not terms:
        raise ModelError("library: there is no term; pass a degree of 1 or more, or extra terms.")
    seen: dict[Expr, Symbol] = {}
    for term in terms:
        if term in seen:
            raise ModelError(f"library: the term {term} occurs twice; leave one of them out.")
        seen[term] = term
    found = Library(states, terms, known=known, only=only, name=name)
    for row in found.coefficients:
        _check_independent(states, [e for e, c in zip(terms, row, strict=True) if c is not None])
    return found


#: Terms depend on each other where a combination of unit size is below this, at random states.
DEPENDENT = 1e-10


def _check_independent(states: Sequence[State], terms: Sequence[Expr]) -> None:
    """Refuse terms of which a combination is 0, by their values at random states."""
    if not terms:
        return
    rng = np.random.default_rng(0)
    # of both signs: a logarithm may be of a state that is never positive
    x = rng.uniform(0.3, 1.7, size=(len(states), 64 * len(terms)))
    x *= rng.choice([-1.0, 1.0], size=x.shape)
    with np.errstate(all="ignore"):
        found = lambdify(list(states), list(terms))(*x)
    values = [np.broadcast_to(f, x.shape[1]) for f in found]
    table = np.array(values, dtype=np.float64).T
    table = table[np.isfinite(table).all(axis=1)][: 4 * len(terms)]
    if len(table) < len(terms):
        return
    table = table / np.sqrt((table**2).mean(axis=0))
    _, sizes, rows = np.linalg.svd(table, full_matrices=False)
    if sizes[-1] < DEPENDENT * sizes[0]:
        who = [str(e) for e, w in zip(terms, rows[-1], strict=True) if abs(w) > 1e-6]
        raise ModelError(
            f"library: the terms {', '.join(sorted(who))} depend on each other, so that no data "
            "can tell their coefficients apart; leave one of them out."
        )
