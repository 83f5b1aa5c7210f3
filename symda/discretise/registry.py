"""What the action and `integrate` find by name: schemes and integrators, two views of METHODS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property

from symda.discretise.embed import embed
from symda.discretise.method import Method
from symda.discretise.methods import METHODS, OWN
from symda.discretise.scheme import Scheme
from symda.errors import OptionError
from symda.registry import Registry

#: Discrete maps: x_{n+1} = f(x_n), the step as it is.
MAP = Scheme("map", 0, c=[0], v=[0], X=[[0]], b=[1], discrete=True, source="x_{n+1} = f(x_n)")


class Schemes(Registry[Scheme]):
    """The methods that have a place in the action, and `map`."""

    @cached_property
    def _all(self) -> Mapping[str, Scheme]:
        found = dict(super()._all)
        for scheme in _embedded(METHODS.values()):
            found.setdefault(scheme.name, scheme)
        return found


def _embedded(methods: Iterable[Method]) -> Iterator[Scheme]:
    for method in methods:
        with suppress(OptionError):
            yield embed(method)


#: Name -> scheme of the action.
SCHEMES = Schemes(
    "scheme", (*_embedded(OWN), MAP), of=Scheme, own="a symda.Tableau or symda.Scheme of your own"
)

#: Name -> method to integrate with: every one.
INTEGRATORS = METHODS


def find_scheme(scheme: str | Method | Scheme | None, *, discrete: bool) -> Scheme:
    """Return the scheme a user asked for, checked against the kind of model.

    Parameters
    ----------
    scheme : str, Method, Scheme or None
        Name in `SCHEMES`, a tableau or scheme of one's own, or None: ``rk4`` for an ODE, ``map``
        for a map.
    discrete : bool
        Whether the model is a discrete map.

    Raises
    ------
    OptionError
        If the name is unknown, the method has no place in an action, or the scheme does not fit
        the kind of model.
    """
    if scheme is None:
        scheme = "map" if discrete else "rk4"
    if isinstance(scheme, str) and scheme not in SCHEMES and scheme in METHODS:
        scheme = METHODS[scheme]
    if isinstance(scheme, Method):
        scheme = embed(scheme)
    found = SCHEMES.find(scheme, where="Action")
    if found.discrete != discrete:
        kind, fix = (
            ("a discrete map", "leave scheme out, a map is its own step")
            if discrete
            else ("an ODE", "choose e.g. scheme='rk4', or declare the model with discrete=True")
        )
        raise OptionError(f"The scheme {found.name!r} does not fit {kind}: {fix}.")
    return found


def find_method(method: str | Method | Scheme, *, where: str) -> Method:
    """Return the method to integrate with that a user asked for.

    Parameters
    ----------
    method : str, Method or Scheme
        A name in `METHODS`, or a method of one's own.
    where : str
        How messages name the call.

    Raises
    ------
    OptionError
        If there is none of that name, or it is a scheme of the action only.
    """
    if isinstance(method, Scheme):
        return method.tableau
    return METHODS.find(method, where=where)
