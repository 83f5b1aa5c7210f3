"""The solvers of networks by name, and the one that chooses among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

from symda.checks import integer, number
from symda.errors import OptionError, nearest
from symda.solve.network.descents import Blocks, Everything, Forcing
from symda.solve.network.levenberg import Levenberg
from symda.solve.network.minimum import NetworkMinimum, NetworkSolver
from symda.solve.network.problem import NetworkProblem, Point
from symda.status import Reason


@dataclass(frozen=True)
class Chosen(Levenberg):
    """`Levenberg`; and `Blocks` where its steps lead nowhere, or inputs are neither known nor held.

    Where Levenberg's method ends without having converged, blocks take over for `rescue`
    iterations and it goes on from there; the lower of both ends is kept, and its solver recorded.
    """

    rescue: int = 400

    def minimise(
        self, problem: NetworkProblem, start: Point, rf: float, *, final: bool = True
    ) -> NetworkMinimum:
        """Descend from a point; see `NetworkSolver.minimise`."""
        if problem.unmeasured.size and not problem.xd:
            free = Blocks(max_iter=10 * self.max_iter, tol=1e-3 * self.tol)
            return free.minimise(problem, start, rf, final=final)
        found = super().minimise(problem, start, rf, final=final)
        if found.reason is not Reason.STUCK:
            return found
        blocks = Blocks(max_iter=self.rescue).minimise(problem, found.point, rf)
        if not blocks.terms.total < found.terms.total * (1.0 - self.tol):
            # neither way is down
            done = found.iterations + blocks.iterations
            return replace(found, iterations=done, inner=found.inner + blocks.inner)
        again = super().minimise(problem, blocks.point, rf, final=final)
        lower = again if again.terms.total < blocks.terms.total else blocks
        done = found.iterations + blocks.iterations + again.iterations
        inner = found.inner + blocks.inner + again.inner
        slope = found.slope * blocks.slope * (again.slope if lower is again else 1.0)
        return replace(lower, iterations=done, inner=inner, slope=slope)


SOLVERS: Mapping[str, type[NetworkSolver]] = MappingProxyType(
    {"newton": Chosen, "block": Blocks, "forcing": Forcing, "lbfgs": Everything}
)


def network_solver(
    given: str | NetworkSolver, options: Mapping[str, object] | None = None
) -> NetworkSolver:
    """Return a solver of its name, with its options.

    Raises
    ------
    OptionError
        If there is none of that name, or it has no such option or not with that value.
    """
    if isinstance(given, NetworkSolver):
        if options is not None:
            raise OptionError("anneal: options belong to a solver that is named, not made.")
        return given
    if not isinstance(given, str) or given not in SOLVERS:
        raise OptionError(
            f"anneal: networks have no solver {given!r}.{nearest(given, SOLVERS)} There are "
            f"{', '.join(SOLVERS)}."
        )
    kind = SOLVERS[given]
    known = {one.name: one.type for one in fields(kind)}  # type: ignore[arg-type]
    del known["name"]
    if not isinstance(options, Mapping | None):
        raise OptionError(f"anneal: options must be a mapping, {{'tol': 1e-6}}, got {options!r}.")
    values: dict[str, float] = {}
    for name, value in (options or {}).items():
        if name not in known:
            raise OptionError(
                f"anneal: solver {given!r} has no option {name!r}.{nearest(name, known)} It has "
                f"{', '.join(known)}."
            )
        what = f"anneal: option {name!r}"
        whole = known[name] == "int"
        values[name] = integer(value, what) if whole else number(value, what, kind="positive")
    return kind(**values)
