"""Every method, for the action and to integrate with. To add one, add its numbers here.

A method's place in the action, if it has one, is computed from them; see `embed.py`.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

from symda.discretise.dop853 import DOP853_A, DOP853_B
from symda.discretise.method import Method
from symda.discretise.structured import Composition, Splitting, Variational
from symda.discretise.surd import DIGITS
from symda.discretise.tableau import Partitioned, Tableau
from symda.registry import Registry

HLW = "Hairer, Lubich, Wanner, Geometric Numerical Integration (2006)"
HNW = "Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I (1993)"
HW = "Hairer, Wanner, Solving Ordinary Differential Equations II (1996)"
WEST = "Marsden, West, Acta Numerica 10 (2001) 357"
YOSHIDA = "Yoshida, Phys. Lett. A 150 (1990) 262"

_EXPLICIT = (
    Tableau("euler", 1, A=[[]], b=[1], source="Euler, Institutiones calculi integralis (1768)"),
    Tableau("midpoint-explicit", 2, A=[[], ["1/2"]], b=[0, 1], source=f"Runge (1895); {HNW}"),
    Tableau("heun", 2, A=[[], [1]], b=["1/2", "1/2"], source=f"{HNW}, II.1"),
    Tableau(
        "rk4",
        4,
        A=[[], ["1/2"], [0, "1/2"], [0, 0, 1]],
        b=["1/6", "1/3", "1/3", "1/6"],
        source="Kutta, Z. Math. Phys. 46 (1901) 435",
    ),
    Tableau(
        "dopri5",
        5,
        A=[
            [],
            ["1/5"],
            ["3/40", "9/40"],
            ["44/45", "-56/15", "32/9"],
            ["19372/6561", "-25360/2187", "64448/6561", "-212/729"],
            ["9017/3168", "-355/33", "46732/5247", "49/176", "-5103/18656"],
        ],
        b=["35/384", 0, "500/1113", "125/192", "-2187/6784", "11/84"],
        source="Dormand, Prince, J. Comput. Appl. Math. 6 (1980) 19",
    ),
    Tableau("dop853", 8, A=DOP853_A, b=DOP853_B, source=f"Dormand, Prince; {HNW}, II.5"),
)

_IMPLICIT = (
    Tableau("midpoint", 2, A=[["1/2"]], b=[1], source=f"Gauss, 1 stage; {HLW}, II.1"),
    Tableau(
        "trapezoid",
        2,
        A=[[], ["1/2", "1/2"]],
        b=["1/2", "1/2"],
        source=f"Lobatto IIIA, 2 stages; {HLW}, II.1",
    ),
    # the midpoint, an unknown of the action, lies on the cubic Hermite interpolant
    Tableau(
        "hermite-simpson",
        4,
        A=[[], ["5/24", "1/3", "-1/24"], ["1/6", "2/3", "1/6"]],
        b=["1/6", "2/3", "1/6"],
        promote=[1],
        source="Lobatto IIIA, 3 stages; Hargraves, Paris (1987); Kelly, SIAM Rev. 59 (2017) 849",
    ),
    Tableau(
        "gauss4",
        4,
        A=[["1/4", "1/4 - sqrt(3)/6"], ["1/4 + sqrt(3)/6", "1/4"]],
        b=["1/2", "1/2"],
        source=f"Gauss, 2 stages; {HLW}, II.1",
    ),
    Tableau(
        "gauss6",
        6,
        A=[
            ["5/36", "2/9 - sqrt(15)/15", "5/36 - sqrt(15)/30"],
            ["5/36 + sqrt(15)/24", "2/9", "5/36 - sqrt(15)/24"],
            ["5/36 + sqrt(15)/30", "2/9 + sqrt(15)/15", "5/36"],
        ],
        b=["5/18", "4/9", "5/18"],
        source=f"Gauss, 3 stages; {HLW}, II.1",
    ),
    Tableau(
        "radau3",
        3,
        A=[["5/12", "-1/12"], ["3/4", "1/4"]],
        b=["3/4", "1/4"],
        source=f"Radau IIA, 2 stages; {HW}, IV.5",
    ),
    Tableau(
        "radau5",
        5,
        A=[
            ["11/45 - 7 sqrt(6)/360", "37/225 - 169 sqrt(6)/1800", "-2/225 + sqrt(6)/75"],
            ["37/225 + 169 sqrt(6)/1800", "11/45 + 7 sqrt(6)/360", "-2/225 - sqrt(6)/75"],
            ["4/9 - sqrt(6)/36", "4/9 + sqrt(6)/36", "1/9"],
        ],
        b=["4/9 - sqrt(6)/36", "4/9 + sqrt(6)/36", "1/9"],
        source=f"Radau IIA, 3 stages; {HW}, IV.5",
    ),
    Tableau(
        "lobatto-iiic-2",
        2,
        A=[["1/2", "-1/2"], ["1/2", "1/2"]],
        b=["1/2", "1/2"],
        source=f"Lobatto IIIC, 2 stages; {HW}, IV.5",
    ),
    Tableau(
        "lobatto-iiic-3",
        4,
        A=[["1/6", "-1/3", "1/6"], ["1/6", "5/12", "-1/12"], ["1/6", "2/3", "1/6"]],
        b=["1/6", "2/3", "1/6"],
        source=f"Lobatto IIIC, 3 stages; {HW}, IV.5",
    ),
)

_PARTITIONED = (
    # p_{n+1} = p_n - h dH/dq(q_n, p_{n+1}),   q_{n+1} = q_n + h dH/dp(q_n, p_{n+1})
    Partitioned(
        "symplectic-euler-implicit", 1, q=([[]], [1]), p=([[1]], [1]), source=f"{HLW}, VI.3"
    ),
    # the generalised Stoermer-Verlet method, for any H
    Partitioned(
        "lobatto-2",
        2,
        q=([[], ["1/2", "1/2"]], ["1/2", "1/2"]),
        p=([["1/2"], ["1/2"]], ["1/2", "1/2"]),
        source=f"Lobatto IIIA-IIIB, 2 stages; {HLW}, II.2",
    ),
    Partitioned(
        "lobatto-3",
        4,
        q=([[], ["5/24", "1/3", "-1/24"], ["1/6", "2/3", "1/6"]], ["1/6", "2/3", "1/6"]),
        p=([["1/6", "-1/6"], ["1/6", "1/3"], ["1/6", "5/6"]], ["1/6", "2/3", "1/6"]),
        source=f"Lobatto IIIA-IIIB, 3 stages; {HLW}, II.2",
    ),
)

_SPLITTINGS = (
    Splitting(
        "symplectic-euler",
        1,
        steps=(("kick", 1), ("drift", 1)),
        source=f"de Vogelaere (1956); {HLW}, I.1",
        general="symplectic-euler-implicit",
    ),
    Splitting(
        "symplectic-euler-drift",
        1,
        steps=(("drift", 1), ("kick", 1)),
        source=f"{HLW}, I.1",
        general="symplectic-euler-implicit",
    ),
    Splitting(
        "verlet",
        2,
        steps=(("kick", "1/2"), ("drift", 1), ("kick", "1/2")),
        source=f"Stoermer (1907), Verlet, Phys. Rev. 159 (1967) 98; {HLW}, I.1",
        general="lobatto-2",
    ),
    Splitting(
        "verlet-drift",
        2,
        steps=(("drift", "1/2"), ("kick", 1), ("drift", "1/2")),
        source=f"{HLW}, I.1",
        general="lobatto-2",
    ),
)

_VARIATIONAL = (
    Variational("variational-midpoint", 2, c=["1/2"], b=[1], source=f"{WEST}, 2.3.1"),
    Variational("variational-trapezoid", 2, c=[0, 1], b=["1/2", "1/2"], source=f"{WEST}, 2.3.2"),
)


def _mirrored(*half: Decimal | str) -> tuple[Fraction, ...]:
    """From the first to the middle but one; the middle makes the sum 1."""
    first = [Fraction(value) for value in half]
    return (*first, 1 - 2 * sum(first, Fraction(0)), *first[::-1])


def _compositions(verlet: Method, midpoint: Method) -> tuple[Method, ...]:
    with localcontext(DIGITS):
        three = _mirrored(1 / (2 - Decimal(2) ** (Decimal(1) / 3)))
        five = _mirrored(*[1 / (4 - Decimal(4) ** (Decimal(1) / 3))] * 2)
    # solution A of Yoshida's table 1, its 15 digits carried on to 40 by Newton's method
    seven = _mirrored(
        "0.7845136104775572638194976338663498757768",
        "0.2355732133593581336847931829785346016865",
        "-1.1776799841788710069464156809643157346393",
    )
    nine = _mirrored(
        "0.39216144400731413928",
        "0.33259913678935943860",
        "-0.70624617255763935981",
        "0.08221359629355080023",
    )
    four, six = "yoshida4-midpoint", "yoshida6-midpoint"
    suzuki, kahan = "Suzuki, Phys. Lett. A 146 (1990) 319", "Kahan, Li, Math. Comp. 66 (1997) 1089"
    second = f"{YOSHIDA}, solution A"
    return (
        Composition("yoshida4", 4, base=verlet, weights=three, source=YOSHIDA, general=four),
        Composition("suzuki4", 4, base=verlet, weights=five, source=suzuki, general=four),
        Composition("yoshida6", 6, base=verlet, weights=seven, source=second, general=six),
        Composition("kahan-li6", 6, base=verlet, weights=nine, source=kahan, general=six),
        Composition("yoshida4-midpoint", 4, base=midpoint, weights=three, source=YOSHIDA),
        Composition("yoshida6-midpoint", 6, base=midpoint, weights=seven, source=second),
    )


OWN: tuple[Method, ...] = (
    *(*_EXPLICIT, *_IMPLICIT, *_PARTITIONED, *_SPLITTINGS, *_VARIATIONAL),
    *_compositions(_SPLITTINGS[2], _IMPLICIT[0]),
)

#: Name -> method.
METHODS = Registry("method", OWN, of=Method, own="a symda.Tableau of your own")
