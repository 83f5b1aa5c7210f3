"""The base of a model's symbols, and the two that have nothing but a name: forcing and time."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, Self

from sympy import Symbol

from symda.errors import ModelError
from symda.names import is_name


class Declared(Symbol):  # type: ignore[misc]  # SymPy ships no types, so its classes are Any
    """A real SymPy symbol of one of the kinds that models are written in."""

    __slots__ = ()
    kind_name: ClassVar[str]

    @classmethod
    def _create(cls, name: str) -> Self:
        # The cached constructor knows symbols by name and assumptions only, and would hand back
        # an earlier symbol with another declaration.
        symbol: Self = Symbol.__xnew__(cls, _checked_name(name, cls.kind_name), real=True)
        return symbol

    def __getnewargs_ex__(self) -> tuple[tuple[object, ...], dict[str, object]]:
        return (self.name,), {}

    @property
    def words(self) -> str:
        """Kind and declaration, as messages say them."""
        return f"{self.kind_name}()"


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


class MeasuredForcing(Forcing):
    """The data of a channel as a forcing: what was measured of a quantity, between its times too.

    Attributes
    ----------
    channel : str
        Name of the channel, or of the state that a channel measures as it is.
    rule : str
        Between two data, as of `Samples`.
    longest : float
        The longest time between two data that is bridged.
    """

    __slots__ = ("channel", "longest", "rule")
    kind_name = "Measured"
    channel: str
    rule: Literal["linear", "hold", "cubic"]
    longest: float

    def __new__(
        cls,
        name: str,
        *,
        channel: str,
        rule: Literal["linear", "hold", "cubic"] = "linear",
        longest: float = math.inf,
    ) -> Self:
        """Check the declaration and make the symbol."""
        symbol = cls._create(name)
        symbol.channel, symbol.rule, symbol.longest = channel, rule, longest
        return symbol

    def _hashable_content(self) -> tuple[object, ...]:
        content: tuple[object, ...] = super()._hashable_content()
        return (*content, self.channel, self.rule, self.longest)

    def __getnewargs_ex__(self) -> tuple[tuple[object, ...], dict[str, object]]:
        further = {"channel": self.channel, "rule": self.rule, "longest": self.longest}
        return (self.name,), further


class Event(Forcing):
    """The channel of a mapping at given times; `sd.Model(events=...)` makes it.

    Parameters
    ----------
    name : str
        The event's name.
    """

    __slots__ = ()
    kind_name = "Event"


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


def _checked_name(name: str, kind: str) -> str:
    if not isinstance(name, str):
        raise ModelError(f"{kind}: the name must be text, got {name!r}.")
    if not is_name(name):
        raise ModelError(
            f"{kind}: the name {name!r} is empty or has blanks around it; give a printable name."
        )
    return name
