"""The letters of the displayed mathematics, kept apart from the names of the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import sympy as sp
from sympy import Expr, Indexed, IndexedBase, Symbol

from symda.declare import Measurement, Model

#: A letter of the papers -> what stands for it where the model has a symbol of that name.
_LETTERS = {
    "x": "X",
    "m": "xm",
    "z": "Z",
    "theta": "Theta",
    "u": "U",
    "t": "time",
    "h": "dt",
    "n": "i",
    "a": "b",
    "l": "c",
    "j": "d",
    "s": "q",
    "y": "Y",
    "F": "Field",
    "f": "Map",
    "r": "res",
    "p": "mom",
    "k": "slope",
    "e": "err",
    "A": "Action",
    "D": "dim",
    "M": "points",
    "N": "steps",
    "L": "channels",
    "T": "times",
    "W": "weight",
    "S": "Step",
    "H": "Tie",
    "J": "Jac",
    "G": "Obs",
    "Rm": "R_m",
    "Rf": "R_f",
    "tau": "when",
    "V": "Cost",
    "L_d": "Lag_d",
    "b": "d",
    "C": "Corr",
}


#: LaTeX of letters whose plain form is a word.
_SET = {"dt": r"\Delta t", "Rm": "R_m", "Rf": "R_f", "tau": r"\tau"}


class Mark(Symbol):  # type: ignore[misc]  # SymPy ships no types, so its classes are Any
    """A vector, a matrix or one of their derivatives, by its name in plain text and in LaTeX.

    Unless told otherwise marks do not commute, so products of matrices keep their order.

    Parameters
    ----------
    text : str
        How it prints.
    latex : str
        How it is typeset.
    commutative : bool, optional
        True for the name of an array of numbers.
    """

    __slots__ = ("latex",)
    latex: str

    def __new__(cls, text: str, latex: str, *, commutative: bool = False) -> Self:
        """Make the symbol; the cached constructor would not know the LaTeX form."""
        mark: Self = Symbol.__xnew__(cls, text, commutative=commutative)
        mark.latex = latex
        return mark

    def __getnewargs_ex__(self) -> tuple[tuple[str, str], dict[str, bool]]:
        return (self.name, self.latex), {"commutative": bool(self.is_commutative)}

    def _hashable_content(self) -> tuple[object, ...]:
        content: tuple[object, ...] = super()._hashable_content()
        return (*content, self.latex)

    def _sympystr(self, _printer: object) -> str:
        return str(self.name)

    def _latex(self, _printer: object) -> str:
        return self.latex

    @property
    def T(self) -> Mark:
        """The transpose."""
        return Mark(f"{self.name}.T", f"{self.latex}^{{T}}")

    @property
    def bracketed(self) -> Mark:
        """The same in brackets in plain text, for use within a product."""
        return Mark(f"({self.name})", self.latex)


def at(letter: str, latex: str, index: str) -> Mark:
    """Return a vector or matrix of one grid point or step, such as x[n+1]."""
    return Mark(f"{letter}[{index}]", f"{latex}_{{{index}}}")


def partial(what: tuple[str, str], *by: tuple[str, str]) -> Mark:
    """Return a partial derivative; every part is given as text and LaTeX."""
    power = "" if len(by) == 1 else str(len(by))
    top = rf"\partial^{{{power}}} {what[1]}" if power else rf"\partial {what[1]}"
    bottom = r" \, ".join(rf"\partial {latex}" for _, latex in by)
    gap = "" if all(name.endswith("]") for name, _ in by[:-1]) else " "
    text = f"d{power}{what[0]}/" + gap.join(f"d{name}" for name, _ in by)
    return Mark(text, rf"\frac{{{top}}}{{{bottom}}}")


@dataclass(frozen=True)
class Notation:
    """The letters used for one model.

    Where the model has a symbol of the same name, another letter stands in its place: the state
    vector of a model in x, y and z prints as X, the step length of one with a gating variable h
    as dt. LaTeX sets vectors in bold type.
    """

    letters: tuple[tuple[str, str], ...]  #: The letter of the papers and the one used.
    arguments: tuple[str, ...]  #: Which of theta, u and t the field depends on.

    @classmethod
    def of(cls, model: Model, measurement: Measurement, further: Iterable[str] = ()) -> Self:
        """Choose letters that are not names of the model, nor any of `further`."""
        parameters = (*model.parameters, *measurement.parameters)
        declared = (*model.states, *parameters, *model.forcing)
        taken = {*(symbol.name for symbol in declared), *further}
        letters = {letter: free_name(letter, other, taken) for letter, other in _LETTERS.items()}
        has = {"u": model.forcing, "theta": model.parameters, "t": model.time}
        return cls(tuple(letters.items()), tuple(name for name, given in has.items() if given))

    def __getitem__(self, letter: str) -> str:
        return dict(self.letters).get(letter, letter)

    def index(self, letter: str) -> Symbol:
        """Return an index of sums, or a size."""
        return Symbol(self[letter], integer=True)

    def array(self, letter: str) -> IndexedBase:
        """Return an array of numbers."""
        used = self[letter]
        return IndexedBase(Mark(used, _SET.get(used, used), commutative=True))

    @property
    def h(self) -> Indexed:
        """Length of step n."""
        return self.array("h")[self.index("n")]

    def bold(self, letter: str) -> str:
        """Return the LaTeX form of a vector or matrix."""
        used = self[letter]
        if letter == "theta":
            return rf"\{used}"
        if used == "Rm":
            return r"{\mathbf{R}_m}"
        return used if letter in "Ff" else rf"\mathbf{{{used}}}"

    def vector(self, letter: str, shift: int | None = 0) -> Mark:
        """Return the vector of a grid point or step n + shift, or without index for None."""
        if shift is None:
            return Mark(self[letter], self.bold(letter))
        return at(self[letter], self.bold(letter), self.shifted(shift))

    def pair(self, letter: str, shift: int | None = 0) -> tuple[str, str]:
        """Return the same as text and LaTeX."""
        mark = self.vector(letter, shift)
        return mark.name, mark.latex

    def shifted(self, shift: int) -> str:
        """Return the index n + shift."""
        return self["n"] + (f"{shift:+d}" if shift else "")

    def call(self, field: str, argument: Expr, when: Expr) -> Expr:
        """Return the field at an argument and a time, with what else it depends on."""
        given = {
            "u": sp.Function(self["u"])(when),
            "theta": self.vector("theta", None),
            "t": when,
        }
        rest = (given[name] for name in self.arguments)
        return sp.Function(field)(argument, *rest)


def free_name(letter: str, other: str, taken: set[str]) -> str:
    """Return the letter, the other or, if both are names, the letter doubled; it is taken now."""
    for choice in (letter, other):
        if choice not in taken:
            break
    else:
        choice = next(c for c in _doubled(letter) if c not in taken)
    taken.add(choice)
    return choice


def _doubled(letter: str) -> Iterator[str]:
    word = letter
    while True:
        word += letter
        yield word
