"""The symbols a model is written in: states, parameters, forcing and time.

They are SymPy symbols that carry their declaration and count it in equality. So two symbols that
print alike but were declared differently are two symbols, and a model can refuse them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NoReturn, Self

from sympy import Symbol

from symda.checks import whole
from symda.declare.ranges import (
    Range,
    checked_bounds,
    checked_drift,
    checked_start,
    checked_typical,
    checked_value,
)
from symda.errors import ModelError
from symda.names import is_name

UNBOUNDED: Range = (-math.inf, math.inf)


class Declared(Symbol):  # type: ignore[misc]  # SymPy ships no types, so its classes are Any
    """A real SymPy symbol with a declaration; base of the four kinds."""

    __slots__ = ()
    kind_name: ClassVar[str]
    declaration: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def _create(cls, name: str, **declaration: Range | float | None) -> Self:
        # The cached constructor knows symbols by name and assumptions only, and would hand back
        # an earlier symbol with another declaration.
        symbol: Self = Symbol.__xnew__(cls, _checked_name(name, cls.kind_name), real=True)
        for field, value in declaration.items():
            setattr(symbol, field, value)
        return symbol

    def _hashable_content(self) -> tuple[object, ...]:
        # SymPy orders symbols by this content, so it must compare: tuples of floats, none is ().
        content: tuple[object, ...] = super()._hashable_content()
        return content + tuple(_as_floats(getattr(self, field)) for field in self.declaration)

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Range | float | None]]:
        return (self.name,), {field: getattr(self, field) for field in self.declaration}


class State(Declared):
    """A component of the state x, with the range it may take and the range starts are drawn from.

    Parameters
    ----------
    name : str
        The name it prints as.
    bounds : (float, float), optional
        Lowest and highest value a solver may give it; infinite where there is no limit.
    start : (float, float), optional
        Range of its start values; by default the bounds, else the range of the data widened by
        half.

    Raises
    ------
    ModelError
        If the name is empty, a range is not a pair of numbers in ascending order, or `start`
        leaves the bounds.
    """

    __slots__ = ("bounds", "start")
    kind_name = "State"
    declaration: ClassVar[tuple[str, ...]] = ("bounds", "start")
    bounds: Range
    start: Range | None

    def __new__(cls, name: str, *, bounds: Range = UNBOUNDED, start: Range | None = None) -> Self:
        """Check the declaration and make the symbol."""
        what = f"State {name!r}"
        bounds = checked_bounds(what, bounds)
        return cls._create(name, bounds=bounds, start=checked_start(what, start, bounds))

    def __call__(self, *arguments: object) -> NoReturn:
        """Refuse x(t), which is x, and x(t - tau)."""
        from symda.declare.check import called

        raise ModelError(called(self.name, arguments))


class Parameter(Declared):
    """A constant of the model, estimated unless its value is given.

    Parameters
    ----------
    name : str
        The name it prints as.
    bounds : (float, float), optional
        Lowest and highest value a solver may give it; infinite where there is no limit.
    start : (float, float), optional
        Range of its start values; by default the bounds.
    value : float, optional
        Its known value: the parameter is then held there.
    typical : float, optional
        Its typical size, larger than zero, which solvers scale it by.

    Raises
    ------
    ModelError
        If the name is empty, a range is not a pair of numbers in ascending order, `start` or
        `value` leaves the bounds, or `typical` is not larger than zero.
    """

    __slots__ = ("bounds", "start", "typical", "value")
    kind_name = "Parameter"
    declaration = ("bounds", "start", "value", "typical")
    bounds: Range
    start: Range | None
    value: float | None
    typical: float | None

    def __new__(
        cls,
        name: str,
        *,
        bounds: Range = UNBOUNDED,
        start: Range | None = None,
        value: float | None = None,
        typical: float | None = None,
    ) -> Self:
        """Check the declaration and make the symbol."""
        what = f"Parameter {name!r}"
        bounds = checked_bounds(what, bounds)
        return cls._create(
            name,
            bounds=bounds,
            start=checked_start(what, start, bounds),
            value=checked_value(what, value, bounds),
            typical=checked_typical(what, typical),
        )


class StepParameter(State):
    """A parameter with a value of its own at every grid point: a layer's weight, a drifting rate.

    It is an unknown path w that a model carries among its states, with the rate w' = 0 (w_{n+1} =
    w_n for a map), so everything that holds for states holds for it: bounds, starts, gaps,
    measurements, solvers. Only its precision is its own, the same on every rung of a ladder.
    Explicit schemes and maps use w_n in step n; the others its values at the grid points of the
    step.

    Parameters
    ----------
    name : str
        The name it prints as.
    bounds, start : (float, float), optional
        As for `Parameter`.
    drift : float, optional
        Variance of its change w_{n+1} - w_n over one step (over a unit of time with
        ``model_error="rate"``): a random walk. Without it the values are free; a precision of 1e-8
        over the square of its start range's larger end ties each to the next, so that one which
        nothing feels has a value as well.

    Raises
    ------
    ModelError
        As `Parameter`, or if `drift` is not larger than zero.
    """

    __slots__ = ("drift",)
    kind_name = "Parameter per step"
    declaration = ("bounds", "start", "drift")
    drift: float | None

    def __new__(
        cls,
        name: str,
        *,
        bounds: Range = UNBOUNDED,
        start: Range | None = None,
        drift: float | None = None,
    ) -> Self:
        """Check the declaration and make the symbol."""
        what = f"Parameter {name!r}"
        bounds = checked_bounds(what, bounds)
        return cls._create(
            name,
            bounds=bounds,
            start=checked_start(what, start, bounds),
            drift=checked_drift(what, drift),
        )


class Forcing(Declared):
    """A known input u(t) of the model; its samples or expression come with the observations.

    Parameters
    ----------
    name : str
        The name it prints as.

    Raises
    ------
    ModelError
        If the name is empty.
    """

    __slots__ = ()
    kind_name = "Forcing"

    def __new__(cls, name: str) -> Self:
        """Check the name and make the symbol."""
        return cls._create(name)


class Time(Declared):
    """The independent variable: time of an ODE, step number of a map.

    Parameters
    ----------
    name : str
        The name it prints as.

    Raises
    ------
    ModelError
        If the name is empty.
    """

    __slots__ = ()
    kind_name = "Time"

    def __new__(cls, name: str = "t") -> Self:
        """Check the name and make the symbol."""
        return cls._create(name)


def state(name: str, *, bounds: Range = UNBOUNDED, start: Range | None = None) -> State:
    """Declare one state; see `State` for the arguments.

    Raises
    ------
    ModelError
        As `State`, or if `name` holds several names.
    """
    return State(single(name, "state"), bounds=bounds, start=start)


def states(
    names: str | Sequence[str],
    size: int | None = None,
    *,
    bounds: Range = UNBOUNDED,
    start: Range | None = None,
) -> tuple[State, ...]:
    """Declare several states with the same bounds and start range.

    Parameters
    ----------
    names : str or sequence of str
        `"x y z"` or `["x", "y", "z"]`; or one name together with `size`.
    size : int, optional
        With one name: how many states, called x0, x1, ...
    bounds, start : (float, float), optional
        As for `State`.

    Returns
    -------
    tuple of State, (D,)

    Raises
    ------
    ModelError
        As `State`, or if a name is missing or repeated, or the size is not at least 1.
    """
    every = several(names, size, "states")
    return tuple(State(name, bounds=bounds, start=start) for name in every)


def forcing(name: str) -> Forcing:
    """Declare one forcing channel; see `Forcing`.

    Raises
    ------
    ModelError
        If the name is empty or holds several names.
    """
    return Forcing(single(name, "forcing"))


def time(name: str = "t") -> Time:
    """Declare the independent variable; see `Time`.

    Raises
    ------
    ModelError
        If the name is empty or holds several names.
    """
    return Time(single(name, "time"))


def _split(names: str) -> list[str]:
    return names.replace(",", " ").split()


def single(name: str, function: str) -> str:
    """Return the name given to `function`, which takes one.

    Raises
    ------
    ModelError
        If there are several.
    """
    if isinstance(name, str) and len(_split(name)) > 1:
        plural = {"state": "states", "parameter": "parameters"}.get(function)
        fix = f"use {plural}({name!r})" if plural else f"call {function}() once for each"
        raise ModelError(f"{function}({name!r}): expected one name, got several; {fix}.")
    return name


def several(names: str | Sequence[str], size: int | None, function: str) -> list[str]:
    """Return the names given to `function`, or numbered ones.

    Raises
    ------
    ModelError
        If one is missing or repeated, or the size is not at least 1.
    """
    if not isinstance(names, str | Sequence):
        raise ModelError(
            f"{function}(): expected names as text or a sequence of texts, got {names!r}."
        )
    every = _split(names) if isinstance(names, str) else list(names)
    if not every:
        raise ModelError(f"{function}(): no name given; write for example {function}('a b c').")
    repeated = sorted({str(name) for name in every if every.count(name) > 1})
    if repeated:
        raise ModelError(
            f"{function}(): {', '.join(map(repr, repeated))} given more than once; "
            "each symbol needs a name of its own."
        )
    if size is None:
        return every
    size = whole(size, f"{function}({names!r}, {size!r}): the size", error=ModelError)
    if len(every) > 1:
        raise ModelError(
            f"{function}({names!r}, {size}): a size goes with one name, got {len(every)} names; "
            "leave the size out or call once for each name."
        )
    return [f"{every[0]}{number}" for number in range(size)]


def _checked_name(name: str, kind: str) -> str:
    if not isinstance(name, str):
        raise ModelError(f"{kind}: the name must be text, got {name!r}.")
    if not is_name(name):
        raise ModelError(
            f"{kind}: the name {name!r} is empty or has blanks around it; give a printable name."
        )
    return name


def _as_floats(value: Range | float | None) -> tuple[float, ...]:
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)
