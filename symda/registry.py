"""One way to find a choice: by its name, or as an object.

Schemes, integrators, starts, strategies and solvers are found here. What another package offers
under the entry points ``symda.schemes``, ``symda.starts`` and so on stands beside them.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cached_property
from reprlib import repr as short
from typing import Any, Generic, Protocol, TypeVar

from symda.errors import OptionError, nearest
from symda.names import is_name


class Choice(Protocol):
    """What a registry holds. The fields of a dataclass are its options."""

    @property
    def name(self) -> str:
        """What users call it."""


class RegistryWarning(UserWarning):
    """Another package's entry point could not be taken."""


C_co = TypeVar("C_co", bound=Choice, covariant=True)


class Registry(Mapping[str, C_co], Generic[C_co]):
    """Choices of one kind by their names, in the order they were given; cannot be changed.

    Parameters
    ----------
    kind : str
        What one of them is called, such as ``"scheme"``; its plural is the kind with an s, or with
        -ies for -y.
    choices : iterable of Choice
        symda's own.
    of : type
        Class or runtime protocol of the choices, which an object of the user's own has as well.
    own : str
        What else may be given, for messages: ``"a symda.Scheme"``.

    Raises
    ------
    ValueError
        If two choices have one name.
    """

    def __init__(
        self, kind: str, choices: Iterable[C_co], *, of: type[Any] | tuple[type[Any], ...], own: str
    ) -> None:
        self.kind = kind
        self.of = of
        self.own = own
        self._own: dict[str, C_co] = {}
        for choice in choices:
            if choice.name in self._own:
                raise ValueError(f"two {self.plural} are called {choice.name!r}")
            self._own[choice.name] = choice

    @property
    def plural(self) -> str:
        """What several of them are called."""
        return self.kind[:-1] + "ies" if self.kind.endswith("y") else self.kind + "s"

    @property
    def built_in(self) -> tuple[str, ...]:
        """The names of symda's own, for which no other package is loaded."""
        return tuple(self._own)

    @cached_property
    def _all(self) -> Mapping[str, C_co]:
        """The own ones and those of other packages; an own name cannot be taken."""
        from importlib.metadata import entry_points

        found = dict(self._own)
        for point in entry_points(group=f"symda.{self.plural}"):
            try:
                choice = point.load()
                if not isinstance(choice, self.of) or choice.name != point.name:
                    raise TypeError(f"it is not {self.own} called {point.name!r}")
                if choice.name in found:
                    raise ValueError(f"there is a {self.kind} of that name already")
            except Exception as error:  # whatever another package raises, the others still serve
                warnings.warn(
                    f"The {self.kind} {point.name!r} ({point.value}) of another package is left "
                    f"out: {error}",
                    RegistryWarning,
                    stacklevel=4,
                )
            else:
                found[choice.name] = choice
        return found

    def __getitem__(self, name: str) -> C_co:
        return self._own[name] if name in self._own else self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __repr__(self) -> str:
        return f"<{self.plural}: {', '.join(self)}>"

    def find(self, given: object, *, where: str, called: str | None = None) -> C_co:
        """Return the choice of a name, or the object itself.

        Parameters
        ----------
        given : str or object
            A name, or an object of one's own.
        where : str
            How messages name the call, such as ``"anneal"``.
        called : str, optional
            The argument, if it is not called like the kind.

        Raises
        ------
        OptionError
            If there is none of that name, or it is neither a name nor of the kind.
        """
        called = called or self.kind
        if isinstance(given, str):
            try:
                return self[given]
            except KeyError:
                raise OptionError(
                    f"{where}: there is no {self.kind} {short(given)}; there is "
                    f"{', '.join(self)}, or {self.own}.{nearest(given, self)}"
                ) from None
        if isinstance(given, type):
            raise OptionError(
                f"{where}: {called} is the class {given.__name__}; make one of it, such as "
                f"{given.__name__}()."
            )
        if not isinstance(given, self.of):
            raise OptionError(
                f"{where}: {called} must be {' or '.join(map(repr, self))}, or {self.own}, got "
                f"{short(given)}."
            )
        found: C_co = given
        if not is_name(getattr(found, "name", None)):
            raise OptionError(
                f"{where}: {called} needs a name, a text that can be printed, got "
                f"{short(getattr(found, 'name', None))}; give {type(found).__name__} one, as "
                f"{type(found).__name__}.name = 'mine'."
            )
        return found


def options_of(choice: object) -> dict[str, object]:
    """Return the options of a choice by name: the fields of its dataclass, without its name."""
    if not is_dataclass(choice) or isinstance(choice, type):
        return {}
    return {
        field.name: getattr(choice, field.name)
        for field in fields(choice)
        if field.init and field.name != "name"
    }


def changed_options(choice: object) -> dict[str, object]:
    """Return the options of a choice that are not its class's usual ones."""
    given = options_of(choice)
    usual = {
        one.name: one.default if one.default_factory is MISSING else one.default_factory()
        for one in (fields(choice) if given else ())  # type: ignore[arg-type]
    }
    return {name: value for name, value in given.items() if not same(value, usual[name])}


def same(one: object, other: object) -> bool:
    """Whether two options are equal, arrays included."""
    try:
        return bool(one == other)
    except ValueError:
        return repr(one) == repr(other)


def summary_of(choice: object) -> str:
    """Return one line for lists and help: the choice's `summary`, or its docstring's first line."""
    said = getattr(choice, "summary", None)
    if not isinstance(said, str):
        said = inspect.getdoc(choice if inspect.isroutine(choice) else type(choice)) or ""
    return said.strip().partition("\n")[0]
