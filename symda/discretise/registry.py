"""The registry of schemes. To add one, add its tableau here."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

from symda.discretise.scheme import Scheme
from symda.discretise.surd import Surd
from symda.errors import OptionError, nearest

_HALF = Fraction(1, 2)
_R3, _R15 = Surd.root(3), Surd.root(15)

#: Discrete maps: x_{n+1} = f(x_n), the step as it is.
MAP = Scheme("map", 0, c=[0], v=[0], X=[[0]], b=[1], discrete=True, source="x_{n+1} = f(x_n)")

_ALL = (
    # 0 |
    #   | 1
    Scheme(
        "euler",
        1,
        c=[0],
        v=[0],
        X=[[0]],
        b=[1],
        source="Euler, Institutiones calculi integralis (1768)",
    ),
    # 0   |
    # 1/2 | 1/2
    # 1/2 | 0   1/2
    # 1   | 0   0   1
    #     | 1/6 1/3 1/3 1/6
    Scheme(
        "rk4",
        4,
        c=[0, "1/2", "1/2", 1],
        v=[0, 0, 0, 0],
        X=[[0, 0, 0, 0], ["1/2", 0, 0, 0], [0, "1/2", 0, 0], [0, 0, 1, 0]],
        b=["1/6", "1/3", "1/3", "1/6"],
        source="Kutta, Z. Math. Phys. 46 (1901) 435",
    ),
    # x_{n+1} - x_n - h/2 (F_n + F_{n+1})
    Scheme(
        "trapezoid",
        2,
        c=[0, 1],
        v=[0, 1],
        X=[[0, 0], [0, 0]],
        b=["1/2", "1/2"],
        source="Lobatto IIIA, 2 stages; Hairer, Lubich, Wanner, Geometric Integration, II.1",
    ),
    # x_{n+1} - x_n - h F((x_n + x_{n+1})/2)
    Scheme(
        "midpoint",
        2,
        c=["1/2"],
        v=["1/2"],
        X=[[0]],
        b=[1],
        source="implicit midpoint (Gauss with 1 stage); Hairer, Lubich, Wanner, II.1",
    ),
    # Simpson's rule with the midpoint m an unknown tied to the cubic Hermite interpolant
    Scheme(
        "hermite-simpson",
        4,
        c=[0, 1, "1/2"],
        v=[0, 1, "1/2"],
        X=[[0, 0, 0], [0, 0, 0], ["1/8", "-1/8", 0]],
        b=["1/6", "1/6", "2/3"],
        interior=[2],
        source="Hargraves, Paris, J. Guidance 10 (1987) 338; Kelly, SIAM Rev. 59 (2017) 849",
    ),
    # Collocation at Gauss's points, which are unknowns. With m_i = x_n + h sum_j A_ij F_j the
    # model's error would stand at the end of the step; here each m_i lies on the line from x_n to
    # x_{n+1}, A - c b^T on top: the same method where the residual is 0, of continuum order 2.
    #
    # 1/2 - r/6 | 1/4        1/4 - r/6
    # 1/2 + r/6 | 1/4 + r/6  1/4              r = sqrt(3)
    #           | 1/2        1/2
    Scheme(
        "gauss4",
        4,
        c=[_HALF - _R3 / 6, _HALF + _R3 / 6],
        v=[_HALF - _R3 / 6, _HALF + _R3 / 6],
        X=[[_R3 / 12, -_R3 / 12], [_R3 / 12, -_R3 / 12]],
        b=["1/2", "1/2"],
        interior=[0, 1],
        source="Gauss-Legendre, 2 stages; Hairer, Lubich, Wanner, II.1",
    ),
    # 1/2 - r/10 | 5/36         2/9 - r/15  5/36 - r/30
    # 1/2        | 5/36 + r/24  2/9         5/36 - r/24    r = sqrt(15)
    # 1/2 + r/10 | 5/36 + r/30  2/9 + r/15  5/36
    #            | 5/18         4/9         5/18
    Scheme(
        "gauss6",
        6,
        c=[_HALF - _R15 / 10, "1/2", _HALF + _R15 / 10],
        v=[_HALF - _R15 / 10, "1/2", _HALF + _R15 / 10],
        X=[
            [_R15 / 36, -_R15 / 45, -_R15 / 180],
            [_R15 / 24, 0, -_R15 / 24],
            [_R15 / 180, _R15 / 45, -_R15 / 36],
        ],
        b=["5/18", "4/9", "5/18"],
        interior=[0, 1, 2],
        source="Gauss-Legendre, 3 stages; Hairer, Lubich, Wanner, II.1",
    ),
    # 0 | 0  0    p   p_{n+1} = p_n + h f(q_n)
    # 1 | 1  0    q   q_{n+1} = q_n + h v(p_{n+1})
    #   | 1  1
    Scheme(
        "symplectic-euler",
        1,
        c=[0, 1],
        v=[0, 0],
        X=[[0, 0], [1, 0]],
        b=[1, 1],
        parts=["p", "q"],
        source="de Vogelaere (1956); Hairer, Lubich, Wanner, I.1",
    ),
    # Stoermer-Verlet's map where the residual is 0. Written with both ends of the step, it sees a
    # model error spread over the step and not at its end:
    # q_{n+1} - q_n - h v(a),  p_{n+1} - p_n - h/2 (f(q_n) + f(q_{n+1})),
    # a = (p_n + p_{n+1})/2 + h/4 (f(q_n) - f(q_{n+1})), the momentum in the middle
    Scheme(
        "verlet",
        2,
        c=[0, 1, "1/2"],
        v=[0, 1, "1/2"],
        X=[[0, 0, 0], [0, 0, 0], ["1/4", "-1/4", 0]],
        b=["1/2", "1/2", 1],
        parts=["p", "p", "q"],
        source="Verlet, Phys. Rev. 159 (1967) 98; Hairer, Lubich, Wanner, I.1",
    ),
    MAP,
)

#: Name -> scheme.
SCHEMES: Mapping[str, Scheme] = MappingProxyType({scheme.name: scheme for scheme in _ALL})


def find_scheme(scheme: str | Scheme | None, *, discrete: bool) -> Scheme:
    """Return the scheme a user asked for, checked against the kind of model.

    Parameters
    ----------
    scheme : str, Scheme or None
        Name in `SCHEMES`, a scheme of one's own, or None: ``rk4`` for an ODE, ``map`` for a map.
    discrete : bool
        Whether the model is a discrete map.

    Raises
    ------
    OptionError
        If the name is unknown, or the scheme does not fit the kind of model.
    """
    if scheme is None:
        scheme = "map" if discrete else "rk4"
    if isinstance(scheme, str):
        if scheme not in SCHEMES:
            known = ", ".join(SCHEMES)
            raise OptionError(
                f"No scheme {scheme!r}.{nearest(scheme, SCHEMES)} The schemes are: {known}."
            )
        scheme = SCHEMES[scheme]
    if not isinstance(scheme, Scheme):
        raise OptionError(
            f"scheme must be a name or a symda.Scheme, got {type(scheme).__name__}; for "
            "example scheme='rk4'."
        )
    if scheme.discrete != discrete:
        kind, fix = (
            ("a discrete map", "leave scheme out, a map is its own step")
            if discrete
            else ("an ODE", "choose e.g. scheme='rk4', or declare the model with discrete=True")
        )
        raise OptionError(f"The scheme {scheme.name!r} does not fit {kind}: {fix}.")
    return scheme
