"""Levenberg and Marquardt's method for a network, corrected by what its steps have shown.

A step is that of the linearised network (`linearised.py`) with mu u added to the curvature of the
weights: the exact step of Gauss and Newton in all unknowns. The unit u of damping is the mean
curvature of a block of weights. Deep networks bend where the data say little: the second
derivatives, which the linearised network does not have, are larger there than the curvature it
has, up to ten times, and steps without them go to and fro. So the last steps, with what they
changed the gradient by, correct the inverse of the Hessian (`Secants`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symda.build.network_layout import dot
from symda.solve.network.linearised import Inverse, Linearised
from symda.solve.network.minimum import NetworkMinimum
from symda.solve.network.problem import NetworkProblem, Point
from symda.solve.network.secants import Secants
from symda.status import Reason

#: Shares of a step that are tried one after the other.
SHARES = (1.0, 0.3, 0.1)
#: A step is taken that gains so much of what it promised.
LEAST = 0.01
#: So many steps in a row that promise little end a rung before the last.
SMALL = 2
#: So many steps that gain little, all of them together, end the last rung.
CREEP = 20
#: Share of `tol` that a minimum promises no more than: near a saddle steps promise little as well.
SURE = 0.1
#: Where there are more data than weights, second derivatives matter near a minimum only: where a
#: step promises no more than this share of the action.
NEAR = 1e-2
#: Damping that holds nothing.
NONE = 1e-6
#: What a step promises in units of the action, and a slope in units of the first, that is rounding.
ROUNDING, FLAT = 1e-13, 1e-6
#: How much larger `tol` is on rungs before the last.
LOOSER = 10.0


@dataclass(frozen=True)
class Levenberg:
    """The method; see the head of this file.

    Parameters
    ----------
    tol : float
        Steps that promise less than this share of the action gain little. A minimum is where one
        without damping promises a tenth of it.
    cg_tol, least_cg_tol : float
        Conjugate gradients end at this share of the first residual; it falls to the least, as what
        a step promises falls in units of the action.
    max_iter, max_cg : int
        Most steps, and most conjugate gradients of a step.
    damping : float
        First mu, in units of the mean curvature of each block of weights, so that it does not
        depend on their units.
    rejections : int
        So many steps refused in a row end it.
    memory : int
        So many steps correct the Hessian.
    """

    tol: float = 1e-4
    cg_tol: float = 0.1
    least_cg_tol: float = 1e-4
    max_iter: int = 300
    max_cg: int = 500
    damping: float = 1e-3
    rejections: int = 8
    memory: int = 5
    name: str = "newton"

    def minimise(
        self, problem: NetworkProblem, start: Point, rf: float, *, final: bool = True
    ) -> NetworkMinimum:
        """Descend from a point; see `NetworkSolver.minimise`."""
        tol = self.tol if final else LOOSER * self.tol
        work, secants = Linearised(problem, start.copy(), rf), Secants(self.memory)
        unit, first = work.unit(), work.slope()
        # `held`: the damping that steps are taken with, while less is tried
        mu, held, cg_tol = self.damping, 0.0, self.cg_tol
        done = inner = refused = small = 0
        levels = [work.action]
        reason = Reason.LIMIT
        if not np.isfinite(work.action):
            reason = Reason.NO_VALUE
        elif not np.isfinite(first):
            reason = Reason.NO_SLOPE
        while reason is Reason.LIMIT and done < self.max_iter:
            if problem.clock.over():
                reason = Reason.TIME
                break
            before = work.action
            if before <= problem.rounding(rf):
                reason = Reason.CONVERGED
                break
            done += 1
            inverse = Inverse(work, mu * unit, cg_tol, self.max_cg)
            step = secants.step(work.gradient, inverse)
            step *= -1.0
            inner += inverse.steps
            promised = -0.5 * dot(work.gradient, step)
            if 0.0 <= promised <= ROUNDING * before and mu <= self.damping:
                reason = Reason.CONVERGED
                break
            if not promised > 0.0 and cg_tol > self.least_cg_tol:
                # conjugate gradients were not exact enough to gain anything
                cg_tol = self.least_cg_tol
                continue
            trial = work.trials(step)
            # an action is not negative, and what promises more than all of it is no model
            sound = 0.0 < promised <= before
            tried = ((share, trial(share)) for share in SHARES if sound)
            share, (place, straight) = next(
                (one for one in tried if before - one[1][0].action > LEAST * one[0] * promised),
                (0.0, (work.place, False)),
            )
            if not share:
                if secants:
                    # it may be the corrections that are wrong
                    secants.forget()
                    continue
                if held:
                    mu, held = held, 0.0
                    continue
                mu *= 8.0
                refused += 1
                if refused >= self.rejections:
                    reason = Reason.STUCK
                    break
                continue
            refused = 0
            v, gradient = work.unknowns(), work.gradient
            work.go(place)
            if straight and (problem.fewer_data or promised <= NEAR * before):
                secants.add(work.unknowns() - v, work.gradient - gradient)
            else:
                # it is in other coordinates that steps are straight, or there is far to go
                secants.forget()
            levels.append(work.action)
            ratio = (before - work.action) / promised
            good = share == 1.0 and ratio > 0.25
            if good and promised <= tol * before:
                small += 1
                if mu <= NONE and promised <= SURE * tol * before:
                    reason = Reason.CONVERGED
                    break
                if small >= SMALL and not final:
                    free = mu <= self.damping
                    reason = Reason.CONVERGED if free else Reason.CREEPING
                    break
                held, mu = mu, max(0.01 * mu, NONE)
            else:
                small = 0
                if not good:
                    mu, held = max(3.0 * mu, held), 0.0
                elif ratio > 0.75:
                    mu = max(0.2 * mu, NONE)
            if len(levels) > CREEP and levels[-CREEP - 1] - levels[-1] <= tol * levels[-1]:
                reason = Reason.CREEPING
                break
            tighter = self.cg_tol * float(np.sqrt(promised / before))
            cg_tol = min(cg_tol, max(tighter, self.least_cg_tol))
        last = work.slope()
        if reason is Reason.STUCK and last <= FLAT * first:
            # what is left to gain is rounding
            reason = Reason.CONVERGED
        slope = last / first if first > 0.0 else 0.0
        return NetworkMinimum(
            work.point, work.place.terms, reason.status, reason, done, inner, slope, self.name
        )
