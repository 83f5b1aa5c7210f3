"""The strong constraint in pieces: a path that nearly is a solution becomes one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from symda.build.course import FINE, Course
from symda.solve.strong import FIRST, LEAST, LEFT, Point, Strong
from symda.types import FloatArray, IntArray

#: Pieces of an experiment, at most, and iterations.
PIECES, ITERATIONS = 60, 50
#: The pieces are one solution if no gap between two is a larger share of a state's size.
CLOSED = 1e-7
#: A gap that enlarges a first state's change by more is lost in rounding.
GROWTH = 1e11
#: Shortest share of a step, that by which the merit must fall at least, of what the linear model
#: promises, and the share of the gaps' part that outweighs the action's (Nocedal and Wright).
SHORTEST, ARMIJO, OUTWEIGHS = 2.0**-8, 1e-4, 0.1


@dataclass(frozen=True, eq=False)
class Broken:
    """A path of pieces that do not quite meet."""

    path: FloatArray  #: (M, D)
    theta: FloatArray  #: (P,)
    gaps: list[FloatArray]  #: For each experiment, (pieces - 1, D): end less the next beginning.


@dataclass(frozen=True, eq=False)
class Linear:
    """How all of it moves with the unknowns v (n,) when the gaps are closed to first order."""

    slopes: FloatArray  #: Of path and theta, (unknowns, n).
    offset: FloatArray  #: (unknowns,): what closing the gaps alone changes.
    #: For each experiment those of where later pieces begin: (pieces - 1, D, n), (pieces - 1, D).
    nodes: list[tuple[FloatArray, FloatArray]]


class Pieces(Strong):
    """Solutions, reached from paths that are none yet, by pieces of them.

    Where equations are unstable, the solution from the first state of a path that nearly is one
    soon leaves it, and what its derivatives say there is of no use. Cut into pieces, each a
    solution from a state of the path, it stays near; the gaps between pieces are then closed while
    the action is minimised.

    Notes
    -----
    Multiple shooting with condensing: H. G. Bock and K. J. Plitt, A multiple shooting algorithm for
    direct solution of optimal control problems, IFAC Proc. 17 (1984) 1603. The merit of a step is
    the action and the gaps' sizes, weighed as in J. Nocedal and S. J. Wright, Numerical
    Optimization (Springer, 2006), eq. 18.36.
    """

    def mended(
        self, path: FloatArray, theta: FloatArray, deadline: float | None = None
    ) -> tuple[FloatArray, FloatArray] | None:
        """Return the solution that a path (M, D) with parameters (P,) leads to, None if to none.

        Parameters
        ----------
        deadline : float, optional
            `time.time()` after which no iteration begins.
        """
        p = self.problem
        v = p.unknowns.inside(*self._at.split(path, theta))[self.places]
        nodes = [
            path[segment.own_points][points[self._breaks(len(points))[1:-1]]].copy()
            for segment, (_, points) in zip(p.segments, self._courses, strict=True)
        ]
        radius, weight, iterations = FIRST, 0.0, 0
        while True:
            if deadline is not None and time.time() >= deadline:
                return None
            expanded = self._expand_pieces(v, nodes)
            if expanded is None:
                return None
            here, linear = expanded
            with np.errstate(all="ignore"):
                action, gradient = self._at.value_and_gradient(here.path, here.theta, 0.0)
                hessian = self._at.data_hessian(here.path, here.theta)
            curved = hessian @ linear.slopes
            point = Point(
                action,
                linear.slopes.T @ gradient + curved.T @ linear.offset,
                np.asarray(linear.slopes.T @ curved),
            )
            if not all(np.isfinite(part).all() for part in (point.gradient, point.hessian)):
                return None
            apart = self._apart(here)
            left = self._lowers(point, self._step(v, point, FIRST))
            # what is left to gain without gaps a single solution gains as well
            enough = left <= LEFT * p.measurement_scale or iterations >= ITERATIONS
            if self._widest(here) <= CLOSED and enough:
                return here.path, here.theta
            if iterations >= ITERATIONS:
                return None
            iterations += 1
            moved = False
            while not moved and radius > LEAST:
                step = self._step(v, point, radius)
                along = linear.slopes @ step + linear.offset
                slope = float(gradient @ along)
                if apart > 0.0:
                    bent = max(0.0, float(along @ (hessian @ along)))
                    weight = max(weight, (slope + 0.5 * bent) / ((1.0 - OUTWEIGHS) * apart))
                merit, falls = action + weight * apart, slope - weight * apart
                share = 1.0
                while share >= SHORTEST and not moved:
                    tried_v, tried = self._moved(v, nodes, linear, step, share)
                    there = self._pieces(tried_v, tried)
                    if there is not None:
                        with np.errstate(all="ignore"):
                            value = self._at.action(there.path, there.theta, 0.0)
                        reached = value + weight * self._apart(there)
                        moved = bool(reached <= merit + ARMIJO * share * falls)
                    share *= 0.5
                if moved:
                    v, nodes = tried_v, tried
                    radius = max(radius, FIRST) if share == 0.5 else radius
                else:
                    radius *= 0.1
            if not moved:
                return (here.path, here.theta) if self._widest(here) <= CLOSED else None

    def _moved(
        self,
        v: FloatArray,
        nodes: list[FloatArray],
        linear: Linear,
        step: FloatArray,
        share: float,
    ) -> tuple[FloatArray, list[FloatArray]]:
        """Return unknowns and beginnings of pieces a share of a step on, within bounds."""
        low, high = self.problem.state_bounds.T
        tried = [
            np.clip(node + share * (slopes @ step + offset), low, high)
            for node, (slopes, offset) in zip(nodes, linear.nodes, strict=True)
        ]
        return np.clip(v + share * step, self.lower, self.upper), tried

    def _apart(self, here: Broken) -> float:
        """Return the sum of all gaps, in units of the states' sizes."""
        sizes = self.problem.sizes[: self.problem.D]
        return float(sum((np.abs(gaps) / sizes).sum() for gaps in here.gaps))

    def _widest(self, here: Broken) -> float:
        sizes = self.problem.sizes[: self.problem.D]
        return max(float((np.abs(gaps) / sizes).max(initial=0.0)) for gaps in here.gaps)

    @staticmethod
    def _breaks(points: int) -> IntArray:
        """Return where pieces begin and the last ends, among the points where states are kept."""
        pieces = min(PIECES, points - 1)
        return np.unique(np.linspace(0, points - 1, pieces + 1).astype(int))

    def _pieces(self, v: FloatArray, nodes: list[FloatArray]) -> Broken | None:
        found = self._run(v, nodes, slopes=False)
        return None if found is None else found[0]

    def _expand_pieces(
        self, v: FloatArray, nodes: list[FloatArray]
    ) -> tuple[Broken, Linear] | None:
        found = self._run(v, nodes, slopes=True)
        return None if found is None or found[1] is None else (found[0], found[1])

    def _run(
        self, v: FloatArray, nodes: list[FloatArray], *, slopes: bool
    ) -> tuple[Broken, Linear | None] | None:
        """Integrate every piece; None where one cannot be, or instability exceeds all digits."""
        p, D, n = self.problem, self.problem.D, v.size
        x = p.unknowns.lower.copy()
        x[self.places] = v
        path, theta = self._at.split(*p.unknowns.split(x))
        path = path.copy()
        on_path = p.unknowns.on_path
        Z = np.zeros((p.unknowns.count if slopes else 0, n))
        offset, every, later = np.zeros(len(Z)), [], []
        if slopes:
            Z[on_path + np.flatnonzero(p.free)] = np.eye(n)[n - int(p.free.sum()) :]
        for s, (segment, (course, points)) in enumerate(
            zip(p.segments, self._courses, strict=True)
        ):
            own, breaks = path[segment.own_points], self._breaks(len(points))
            begins = np.concatenate([own[:1], nodes[s]])
            gaps, moves, shifts = [], [], []
            kept = np.empty((len(points), D))
            if slopes:
                by_theta = Z[on_path + p.use[s]]
                T, c = self._first_slopes(s, theta, by_theta), np.zeros(D)
            for k, (first, last) in enumerate(pairwise(breaks.tolist())):
                part = _cut(course, first, last)
                found = self._flow(begins[k : k + 1], theta[p.use[s]], part, slopes=slopes)
                if found.codes[0] != FINE:
                    return None
                kept[first : last + 1] = found.states[0]
                if found.slopes is not None:
                    S, R = found.slopes[0][:, :, :D], found.slopes[0][:, :, D:]
                    rows = (segment.first_point + points[first : last + 1])[:, None] * D
                    rows = (rows + np.arange(D)).reshape(-1)
                    block = S @ T + R @ by_theta
                    Z[rows], offset[rows] = block.reshape(rows.size, n), (S @ c).reshape(-1)
                    T, c = block[-1], S[-1] @ c
                if k + 1 < len(begins):
                    gaps.append(found.states[0, -1] - begins[k + 1])
                    if slopes:
                        c = c + gaps[-1]
                        moves.append(T)
                        shifts.append(c)
            every.append(np.array(gaps).reshape(-1, D))
            if slopes:
                if not np.abs(Z[:on_path] * self._sizes).max() < GROWTH * p.sizes[:D].max():
                    return None
                later.append((np.array(moves).reshape(-1, D, n), np.array(shifts).reshape(-1, D)))
            # where nothing is kept, as at the point before
            held = np.searchsorted(points, np.arange(segment.points), side="right") - 1
            path[segment.own_points] = kept[held]
        broken = Broken(path, theta, every)
        return broken, Linear(Z, offset, later) if slopes else None

    def _first_slopes(self, s: int, theta: FloatArray, by_theta: FloatArray) -> FloatArray:
        """Return how the first state of an experiment moves with the unknowns, (D, n)."""
        columns = self._columns[self.problem.first_unknowns[s]]
        own = np.zeros((columns.size, by_theta.shape[1]))
        free = ~self.problem.given[s]
        own[free, columns[free]] = 1.0
        return own + np.asarray(self._at.given.slopes(theta, s)) @ by_theta


def _cut(course: Course, first: int, last: int) -> Course:
    """Return the stretches of a course between two of its ends."""
    own = slice(first, last)
    return Course(
        course.t[first : last + 1], course.forcing[own], course.instant[own], course.h[own]
    )
