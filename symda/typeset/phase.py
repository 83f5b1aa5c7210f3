"""The symbols of the continuous problem beside the model's own, and derivatives at sites.

Symbols stand for functions of time: x' is the velocity of x, p_x its canonical momentum. Those of a
lattice carry their place, x'[i+1], and can be moved from site to site.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Self

import sympy as sp
from sympy import Expr, Symbol

from symda.declare import Site, SiteState
from symda.derive.dynamics import derivative
from symda.typeset.display import latex_part
from symda.typeset.notation import Mark


class SiteMark(Mark):
    """A quantity at a site of a lattice or at a neighbour of it, as p_x[i-1].

    Parameters
    ----------
    base : Mark
        The quantity.
    sites : tuple of Site
        The lattice's directions.
    offsets : tuple of int
        Which neighbour.
    """

    __slots__ = ("base", "offsets", "sites")
    base: Mark
    sites: tuple[Site, ...]
    offsets: tuple[int, ...]

    def __new__(cls, base: Mark, sites: tuple[Site, ...], offsets: tuple[int, ...]) -> Self:
        """Name the symbol the way it is written."""
        shifts = [f"{o:+d}" if o else "" for o in offsets]
        text = ",".join(site.name + o for site, o in zip(sites, shifts, strict=True))
        latex = ",".join(latex_part(site) + o for site, o in zip(sites, shifts, strict=True))
        mark: Self = Symbol.__xnew__(cls, f"{base.name}[{text}]", commutative=True)
        mark.latex = _with_index(base.latex, latex)
        mark.base, mark.sites, mark.offsets = base, sites, offsets
        return mark

    # as in `SiteState`
    def __getnewargs_ex__(self) -> tuple[tuple[object, ...], dict[str, object]]:  # type: ignore[override]
        return (self.base, self.sites, self.offsets), {}


def derived(symbol: Symbol, text: Callable[[str], str], latex: Callable[[str], str]) -> Mark:
    """Return a symbol called after another, at the same site if that one stands at a site.

    Parameters
    ----------
    text, latex : callable
        Take the name, or the LaTeX, of the symbol without its site, and return the new ones.
    """
    if isinstance(symbol, SiteState):
        name = symbol.field.name
        base = Mark(text(name), latex(latex_part(Symbol(name))), commutative=True)
        return SiteMark(base, symbol.field.lattice.sites, symbol.offsets)
    if isinstance(symbol, SiteMark):
        base = Mark(text(symbol.base.name), latex(symbol.base.latex), commutative=True)
        return SiteMark(base, symbol.sites, symbol.offsets)
    return Mark(text(symbol.name), latex(latex_part(symbol)), commutative=True)


def rate(symbol: Symbol, time: str = "") -> Mark:
    """Return the symbol of the time derivative: x', of x' x''; with a time named d(x)/dt."""
    return derived(symbol, lambda name: f"d({name})/d{time}" if time else f"{name}'", _dotted)


def _with_index(latex: str, index: str) -> str:
    """Return p_{x} with an index as p_{x,i}."""
    base, subscript, rest = latex.rpartition("_{")
    inner = rest.removesuffix("}")
    if subscript and inner != rest and inner.count("{") == inner.count("}"):
        return f"{base}_{{{inner},{index}}}"
    return f"{{{latex}}}_{{{index}}}"


def _dotted(latex: str) -> str:
    if latex.startswith(r"\dot{"):
        return rf"\d{latex[1:]}"
    base, subscript, rest = latex.partition("_{")
    if subscript and base.count("{") == base.count("}"):
        return rf"\dot{{{base}}}_{{{rest}"
    return rf"\dot{{{latex}}}"


def total_derivative(
    expression: Expr,
    time: Symbol,
    moving: Iterable[Symbol],
    velocity: Callable[[Symbol], Symbol] = rate,
) -> Expr:
    """Differentiate by time where symbols stand for functions of time.

    Parameters
    ----------
    time : Symbol
        Time as it stands in the expression itself.
    moving : iterable of Symbol
        The functions of time; with a symbol of a site all its neighbours are.
    velocity : callable
        Returns the symbol of a function's time derivative.
    """
    kinds = {kind(symbol) for symbol in moving}
    terms = [derivative(expression, time)]
    for symbol in sorted(expression.free_symbols, key=str):
        if kind(symbol) in kinds:
            terms.append(derivative(expression, symbol) * velocity(symbol))
    return tidied(sp.Add(*terms))


class Functional:
    """A Lagrangian or Hamiltonian, or the density of one, to differentiate by many symbols.

    Parameters
    ----------
    expression : Expr
        A sum; each derivative looks only at the terms it needs.
    """

    def __init__(self, expression: Expr) -> None:
        self.expression = expression
        self._terms: dict[object, list[Expr]] = {}
        for term in sp.Add.make_args(expression):
            for what in {kind(symbol) for symbol in term.free_symbols}:
                self._terms.setdefault(what, []).append(term)

    def by(self, symbol: Symbol) -> Expr:
        """Differentiate by a function of time.

        By a symbol of a site x[i] the derivative of the sum over sites is the sum over all
        neighbours x[i+o] in the density of its derivative by x[i+o], moved to site i-o, where i+o
        becomes i.
        """
        terms = sp.Add(*self._terms.get(kind(symbol), ()))
        if not isinstance(symbol, SiteState | SiteMark):
            return tidied(derivative(terms, symbol))
        found = [s for s in terms.free_symbols if kind(s) == kind(symbol)]
        return sp.Add(
            *(
                moved(tidied(derivative(terms, s)), _sites(s), tuple(-o for o in s.offsets))
                for s in sorted(found, key=lambda s: s.offsets)
            )
        )


def tidied(expression: Expr) -> Expr:
    """Return a sum without the halves of squares: Rf*(x' - F) for Rf*(2*x' - 2*F)/2."""
    return sp.Add(*(_without_common(term) for term in sp.Add.make_args(expression)))


def _without_common(term: Expr) -> Expr:
    coefficient, factors = term.as_coeff_mul()
    if not coefficient.is_Rational or coefficient.q == 1:
        return term
    parts = [f.primitive() if f.is_Add else (sp.S.One, f) for f in factors]
    numbers = [number for number, _ in parts if number.q == 1]
    rest = [factor if number.q == 1 else number * factor for number, factor in parts]
    return sp.Mul(coefficient, *numbers) * sp.Mul(*rest)


def moved(expression: Expr, sites: tuple[Site, ...], by: tuple[int, ...]) -> Expr:
    """Return an expression as it reads at another site, the number of sites from here."""
    values: dict[Symbol, Expr] = {}
    for symbol in expression.free_symbols:
        if isinstance(symbol, SiteState):
            values[symbol] = SiteState(symbol.field, _added(symbol.offsets, by))
        elif isinstance(symbol, SiteMark):
            values[symbol] = SiteMark(symbol.base, symbol.sites, _added(symbol.offsets, by))
    for site, offset in zip(sites, by, strict=True):
        if offset:
            number = site + offset
            values[site] = sp.Mod(number, site.size) if site.boundary == "periodic" else number
    return expression.xreplace(values)


def reach(expression: Expr) -> int:
    """Return how far from its own site an expression looks."""
    placed = (s for s in expression.free_symbols if isinstance(s, SiteState | SiteMark))
    return max((abs(offset) for symbol in placed for offset in symbol.offsets), default=0)


def kind(symbol: Symbol) -> object:
    """Return what a symbol is, wherever it stands."""
    if isinstance(symbol, SiteState):
        return symbol.field
    return symbol.base if isinstance(symbol, SiteMark) else symbol


def _added(offsets: tuple[int, ...], by: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(offset + more for offset, more in zip(offsets, by, strict=True))


def _sites(symbol: SiteState | SiteMark) -> tuple[Site, ...]:
    return symbol.sites if isinstance(symbol, SiteMark) else symbol.field.lattice.sites
