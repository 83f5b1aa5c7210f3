"""The registry of integrators. To add one, add its numbers here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from types import MappingProxyType

from symda.discretise.integrators import DIGITS, Integrator, exact
from symda.discretise.integrators_dop853 import DOP853_A, DOP853_B
from symda.discretise.integrators_structured import Composition, Splitting, Variational
from symda.discretise.integrators_tableaux import Partitioned, RungeKutta
from symda.discretise.trees import Row
from symda.errors import OptionError, nearest

HLW = "Hairer, Lubich, Wanner, Geometric Numerical Integration (2006)"
HNW = "Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I (1993)"


def _sparse(entries: Sequence[tuple[int, str]], length: int) -> list[str]:
    line = ["0"] * length
    for column, value in entries:
        line[column] = value
    return line


def _explicit() -> tuple[Integrator, ...]:
    return (
        # 0 |
        #   | 1
        RungeKutta("euler", 1, A=[[0]], b=[1], source="Euler (1768)"),
        # 0   |
        # 1/2 | 1/2
        #     | 0   1
        RungeKutta(
            "midpoint-explicit", 2, A=[[], ["1/2"]], b=[0, 1], source=f"Runge (1895); {HNW}"
        ),
        # 0 |
        # 1 | 1
        #   | 1/2 1/2
        RungeKutta("heun", 2, A=[[], [1]], b=["1/2", "1/2"], source=f"{HNW}, II.1"),
        # 0   |
        # 1/2 | 1/2
        # 1/2 | 0   1/2
        # 1   | 0   0   1
        #     | 1/6 1/3 1/3 1/6
        RungeKutta(
            "rk4",
            4,
            A=[[], ["1/2"], [0, "1/2"], [0, 0, 1]],
            b=["1/6", "1/3", "1/3", "1/6"],
            source="Kutta, Z. Math. Phys. 46 (1901) 435",
        ),
        RungeKutta(
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
        RungeKutta(
            "dop853",
            8,
            A=[_sparse(line, 12) for line in DOP853_A],
            b=_sparse(DOP853_B, 12),
            source=f"Dormand, Prince; {HNW}, II.5",
        ),
    )


def _implicit() -> tuple[Integrator, ...]:
    with localcontext(DIGITS):
        third, fifteenth = Decimal(3).sqrt(), Decimal(15).sqrt()
        quarter, r = exact("1/4"), fifteenth

        def f(value: str) -> Decimal:
            return exact(value)

        return (
            # 1/2 | 1/2
            #     | 1
            RungeKutta("midpoint", 2, A=[["1/2"]], b=[1], source=f"Gauss, 1 stage; {HLW}, II.1"),
            # 0 | 0   0
            # 1 | 1/2 1/2
            #   | 1/2 1/2
            RungeKutta(
                "trapezoid",
                2,
                A=[[0, 0], ["1/2", "1/2"]],
                b=["1/2", "1/2"],
                source=f"Lobatto IIIA, 2 stages; {HLW}, II.1",
            ),
            # 1/2 - sqrt(3)/6 | 1/4               1/4 - sqrt(3)/6
            # 1/2 + sqrt(3)/6 | 1/4 + sqrt(3)/6   1/4
            #                 | 1/2               1/2
            RungeKutta(
                "gauss4",
                4,
                A=[[quarter, quarter - third / 6], [quarter + third / 6, quarter]],
                b=["1/2", "1/2"],
                source=f"Gauss, 2 stages; {HLW}, II.1",
            ),
            # 1/2 - sqrt(15)/10 | 5/36                2/9 - sqrt(15)/15   5/36 - sqrt(15)/30
            # 1/2               | 5/36 + sqrt(15)/24  2/9                 5/36 - sqrt(15)/24
            # 1/2 + sqrt(15)/10 | 5/36 + sqrt(15)/30  2/9 + sqrt(15)/15   5/36
            #                   | 5/18                4/9                 5/18
            RungeKutta(
                "gauss6",
                6,
                A=[
                    [f("5/36"), f("2/9") - r / 15, f("5/36") - r / 30],
                    [f("5/36") + r / 24, f("2/9"), f("5/36") - r / 24],
                    [f("5/36") + r / 30, f("2/9") + r / 15, f("5/36")],
                ],
                b=["5/18", "4/9", "5/18"],
                source=f"Gauss, 3 stages; {HLW}, II.1",
            ),
        )


def _partitioned() -> tuple[Integrator, ...]:
    return (
        # p_{n+1} = p_n - h dH/dq(q_n, p_{n+1}),   q_{n+1} = q_n + h dH/dp(q_n, p_{n+1})
        Partitioned(
            "symplectic-euler-implicit",
            1,
            q=([[0]], [1]),
            p=([[1]], [1]),
            source=f"{HLW}, VI.3",
        ),
        # the generalised Stoermer-Verlet method, for any H
        # q: 0 | 0   0        p: | 1/2 0
        #    1 | 1/2 1/2         | 1/2 0
        #      | 1/2 1/2         | 1/2 1/2
        Partitioned(
            "lobatto-2",
            2,
            q=([[0, 0], ["1/2", "1/2"]], ["1/2", "1/2"]),
            p=([["1/2", 0], ["1/2", 0]], ["1/2", "1/2"]),
            source=f"Lobatto IIIA-IIIB, 2 stages; {HLW}, II.2",
        ),
        # q: 0   | 0    0    0           p: | 1/6 -1/6  0
        #    1/2 | 5/24 1/3 -1/24           | 1/6  1/3  0
        #    1   | 1/6  2/3  1/6            | 1/6  5/6  0
        #        | 1/6  2/3  1/6            | 1/6  2/3  1/6
        Partitioned(
            "lobatto-3",
            4,
            q=(
                [[0, 0, 0], ["5/24", "1/3", "-1/24"], ["1/6", "2/3", "1/6"]],
                ["1/6", "2/3", "1/6"],
            ),
            p=(
                [["1/6", "-1/6", 0], ["1/6", "1/3", 0], ["1/6", "5/6", 0]],
                ["1/6", "2/3", "1/6"],
            ),
            source=f"Lobatto IIIA-IIIB, 3 stages; {HLW}, II.2",
        ),
    )


def _splittings() -> tuple[Integrator, ...]:
    return (
        Splitting(
            "symplectic-euler",
            1,
            steps=(("kick", 1), ("drift", 1)),
            source=f"{HLW}, I.1",
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


def _triple_jump() -> Row:
    """1, 3 steps: 1/(2 - 2^(1/3)) at both ends (Yoshida)."""
    with localcontext(DIGITS):
        end = 1 / (2 - Decimal(2) ** (Decimal(1) / 3))
        return end, 1 - 2 * end, end


def _five() -> Row:
    """5 steps: 1/(4 - 4^(1/3)) but for the middle (Suzuki)."""
    with localcontext(DIGITS):
        end = 1 / (4 - Decimal(4) ** (Decimal(1) / 3))
        return end, end, 1 - 4 * end, end, end


def _mirrored(*half: str) -> Row:
    """From the first to the middle but one; the middle makes the sum 1."""
    with localcontext(DIGITS):
        first = [Decimal(value) for value in half]
        return (*first, 1 - 2 * sum(first, Decimal(0)), *first[::-1])


def _compositions(verlet: Integrator, midpoint: Integrator) -> tuple[Integrator, ...]:
    yoshida = "Yoshida, Phys. Lett. A 150 (1990) 262"
    #: Solution A of Yoshida's table 1, its 15 digits carried on to 40 by Newton's method.
    six = _mirrored(
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
    return (
        Composition(
            "yoshida4",
            4,
            base=verlet,
            weights=_triple_jump(),
            source=yoshida,
            general="yoshida4-midpoint",
        ),
        Composition(
            "suzuki4",
            4,
            base=verlet,
            weights=_five(),
            source="Suzuki, Phys. Lett. A 146 (1990) 319",
            general="yoshida4-midpoint",
        ),
        Composition(
            "yoshida6",
            6,
            base=verlet,
            weights=six,
            source=f"{yoshida}, solution A",
            general="yoshida6-midpoint",
        ),
        Composition(
            "kahan-li6",
            6,
            base=verlet,
            weights=nine,
            source=f"Kahan, Li, Math. Comp. 66 (1997) 1089; {HLW}, V.3.2",
            general="yoshida6-midpoint",
        ),
        Composition("yoshida4-midpoint", 4, base=midpoint, weights=_triple_jump(), source=yoshida),
        Composition(
            "yoshida6-midpoint", 6, base=midpoint, weights=six, source=f"{yoshida}, solution A"
        ),
    )


def _variational() -> tuple[Integrator, ...]:
    west = "Marsden, West, Acta Numerica 10 (2001) 357"
    return (
        Variational("variational-midpoint", 2, c=["1/2"], b=[1], source=f"{west}, 2.3.1"),
        Variational(
            "variational-trapezoid", 2, c=[0, 1], b=["1/2", "1/2"], source=f"{west}, 2.3.2"
        ),
    )


def _registry() -> dict[str, Integrator]:
    first = {
        one.name: one
        for one in (*_explicit(), *_implicit(), *_partitioned(), *_splittings(), *_variational())
    }
    further = _compositions(first["verlet"], first["midpoint"])
    return first | {one.name: one for one in further}


#: Name -> integrator.
INTEGRATORS: Mapping[str, Integrator] = MappingProxyType(_registry())


def find_integrator(method: str | Integrator, *, where: str) -> Integrator:
    """Return the integrator a user asked for.

    Parameters
    ----------
    method : str or Integrator
        A name in `INTEGRATORS`, or an integrator of one's own.
    where : str
        How messages name the call.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    if isinstance(method, Integrator):
        return method
    if not isinstance(method, str) or method not in INTEGRATORS:
        raise OptionError(
            f"{where}: method must be one of {', '.join(INTEGRATORS)}, got {method!r}."
            f"{nearest(method, INTEGRATORS)} An integrator of your own is an object of one of the "
            "classes in symda.discretise.integrators_tableaux and .integrators_structured."
        )
    return INTEGRATORS[method]
