"""The same step maps without a compiler: NumPy, with CasADi for the model's functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.build.steps import FINE, NO_CONVERGENCE, NOT_FINITE, SINGULAR, Advance, Stretches
from symda.emit.steps import RULES
from symda.lower.steps import StepIR, StepProgram
from symda.types import FloatArray

if TYPE_CHECKING:
    import casadi as ca


class _StepError(Exception):
    """A step could not be solved for; the argument is the code."""


@dataclass(frozen=True)
class _Call:
    """What a step is taken with besides the state."""

    t: float
    h: float
    u: FloatArray
    theta: FloatArray

    def part(self, start: float, weight: float, first: int, count: int) -> _Call:
        """Return the same for a step of a composition's base."""
        u = self.u[first : first + count]
        return _Call(self.t + start * self.h, weight * self.h, u, self.theta)


class NumpySteps:
    """Step maps evaluated step by step; also what the emitted code is compared with.

    Parameters
    ----------
    functions : mapping of name to casadi.Function
        Those of `symda.derive.motion.Motion` that the methods need.
    ir : StepIR
        The methods.
    """

    kind = "virtual machine"
    lanes = 1

    def __init__(self, functions: Mapping[str, ca.Function], ir: StepIR) -> None:
        self._functions = functions
        self._n = ir.n
        self._programs = {one.word: one for one in ir.programs}
        by_name = {one.name: one for one in ir.programs}
        self._public = [by_name[name] for name in ir.public]

    def advance(
        self, method: int, x: FloatArray, theta: FloatArray, stretches: Stretches
    ) -> Advance:
        """Take each member's state through all stretches, one after the other."""
        (members, D), R = x.shape, len(stretches.t)
        one = self._public[method]
        nothing = np.empty((one.slots, 0))
        states = np.full((members, R, D), np.nan)
        codes, where = np.zeros(members, dtype=np.int64), np.zeros(members, dtype=np.int64)
        for m in range(members):
            at = x[m].copy()
            try:
                for r in range(R):
                    for i in range(stretches.counts[r]):
                        t, h = stretches.t[r] + i * stretches.h[r], stretches.h[r]
                        u = stretches.u[where[m]] if len(stretches.u) else nothing
                        at, _ = self._step(one, at, None, _Call(t, h, u, theta[m]))
                        where[m] += 1
                    if not np.all(np.isfinite(at)):
                        raise _StepError(NOT_FINITE)
                    states[m, r] = at
            except _StepError as error:
                codes[m] = error.args[0]
        return Advance(states, codes, where)

    def tangent(
        self, method: int, x: FloatArray, theta: FloatArray, t: float, h: float, u: FloatArray
    ) -> tuple[FloatArray, FloatArray, int]:
        """One step of x (D,), its Jacobian (D, D), and how it ended; u (S, U)."""
        try:
            at, M = self._step(self._public[method], x, np.eye(len(x)), _Call(t, h, u, theta))
        except _StepError as error:
            return x, np.eye(len(x)), int(error.args[0])
        assert M is not None
        return at, M, FINE

    def _value(self, name: str, call: _Call, i: int, c: float, *at: FloatArray) -> FloatArray:
        value = self._functions[name](*at, call.u[i], call.theta, call.t + c * call.h)
        return np.asarray(value.full(), dtype=float)[:, 0]

    def _jacobian(self, name: str, call: _Call, i: int, c: float, *at: FloatArray) -> FloatArray:
        function = self._functions[f"{name}_jacobian"]
        return np.asarray(
            function(*at, call.u[i], call.theta, call.t + c * call.h)[1].full(), dtype=float
        )

    def _step(
        self, one: StepProgram, x: FloatArray, M: FloatArray | None, call: _Call
    ) -> tuple[FloatArray, FloatArray | None]:
        """One step of x, and of M unless it is None."""
        if one.kind == "composition":
            base = self._programs[one.base]
            for k, (start, weight) in enumerate(one.substeps):
                part = call.part(start, weight, k * one.base_slots, one.base_slots)
                x, M = self._step(base, x, M, part)
            return x, M
        steps = {
            "explicit": self._explicit,
            "implicit": self._implicit,
            "splitting": self._splitting,
            "variational": self._variational,
        }
        return steps[one.kind](one, x, M, call)

    def _explicit(
        self, one: StepProgram, x: FloatArray, M: FloatArray | None, call: _Call
    ) -> tuple[FloatArray, FloatArray | None]:
        A, b, h = np.array(one.a), np.array(one.b), call.h
        k, K = np.zeros((len(b), len(x))), np.zeros((len(b), len(x), len(x)))
        for i, c in enumerate(one.c):
            y = x + h * (A[i] @ k)
            k[i] = self._value("field", call, i, c, y)
            if M is not None:
                tangents = M + h * np.einsum("j,jab->ab", A[i], K)
                K[i] = self._jacobian("field", call, i, c, y) @ tangents
        return x + h * (b @ k), None if M is None else M + h * np.einsum("i,iab->ab", b, K)

    def _implicit(
        self, one: StepProgram, x: FloatArray, M: FloatArray | None, call: _Call
    ) -> tuple[FloatArray, FloatArray | None]:
        h, s, D = call.h, len(one.b), len(x)
        momentum = np.arange(D) >= (self._n or D)
        # weights of each component: A (s, s, D), b (s, D)
        A = np.where(momentum, np.array(one.a_p)[:, :, None], np.array(one.a)[:, :, None])
        b = np.where(momentum, np.array(one.b_p)[:, None], np.array(one.b)[:, None])

        def arguments(k: FloatArray) -> FloatArray:
            return np.asarray(x + h * np.einsum("ija,ja->ia", A, k))

        def residual(k: FloatArray) -> FloatArray:
            y, k = arguments(k.reshape(s, D)), k.reshape(s, D)
            return np.concatenate(
                [self._value("field", call, i, c, y[i]) - k[i] for i, c in enumerate(one.c)]
            )

        def jacobians(k: FloatArray) -> FloatArray:
            y = arguments(k.reshape(s, D))
            return np.stack(
                [self._jacobian("field", call, i, c, y[i]) for i, c in enumerate(one.c)]
            )

        def matrix(k: FloatArray) -> FloatArray:
            block = np.einsum("iab,ijb->iajb", jacobians(k), A).reshape(s * D, s * D)
            return np.asarray(np.eye(s * D) - h * block)

        def floor(k: FloatArray) -> FloatArray:
            """Return what slopes are rounded to: the state over the step, what F is made of."""
            y = arguments(k.reshape(s, D))
            return np.ravel(
                np.abs(x / h) + np.einsum("iab,ib->ia", np.abs(jacobians(k)), np.abs(y))
            )

        # from the state itself: of several roots the one near it is meant
        k = _newton(residual, matrix, np.zeros(s * D), floor)
        after = x + h * np.einsum("ia,ia->a", b, k.reshape(s, D))
        if M is None:
            return after, None
        right = np.concatenate([J @ M for J in jacobians(k)])
        K = _solve(matrix(k), right).reshape(s, D, D)
        return after, M + h * np.einsum("ia,iad->ad", b, K)

    def _splitting(
        self, one: StepProgram, x: FloatArray, M: FloatArray | None, call: _Call
    ) -> tuple[FloatArray, FloatArray | None]:
        n = self._n
        x = x.copy()
        M = None if M is None else M.copy()
        for i, (operation, weight, clock) in enumerate(one.operations):
            name, part = (
                ("force", slice(n, None)) if operation == "kick" else ("velocity", slice(n))
            )
            k = self._value(name, call, i, clock, x)
            if M is not None:
                M[part] += weight * call.h * (self._jacobian(name, call, i, clock, x) @ M)
            x[part] += weight * call.h * k
        return x, M

    def _variational(
        self, one: StepProgram, x: FloatArray, M: FloatArray | None, call: _Call
    ) -> tuple[FloatArray, FloatArray | None]:
        n, h, nodes = self._n, call.h, list(enumerate(zip(one.b, one.c, strict=True)))
        q, p = x[:n], x[n:]

        def momentum(v: FloatArray, end: bool) -> FloatArray:
            """Sum b (P - (1 - c) h R) at the start, sum b (P + c h R) at the end."""
            total = np.zeros(n)
            for i, (b, c) in nodes:
                k = self._value("legendre", call, i, c, q + c * h * v, v)
                total += b * (k[:n] + (c if end else c - 1.0) * h * k[n:])
            return total

        def by(v: FloatArray, end: bool) -> tuple[FloatArray, FloatArray]:
            """Its derivatives by q and by v."""
            by_q, by_v = np.zeros((n, n)), np.zeros((n, n))
            for i, (b, c) in nodes:
                J = self._jacobian("legendre", call, i, c, q + c * h * v, v)
                J = b * (J[:n] + (c if end else c - 1.0) * h * J[n:])
                by_q += J[:, :n]
                by_v += J[:, n:] + c * h * J[:, :n]
            return by_q, by_v

        def floor(v: FloatArray) -> FloatArray:
            """Return what v is rounded to: q over the step, what the momenta are made of."""
            noise = np.abs(p)
            for i, (b, c) in nodes:
                y = q + c * h * v
                J = self._jacobian("legendre", call, i, c, y, v)
                J = b * np.vstack([J[:n], (c - 1.0) * h * J[n:]])
                parts = np.abs(J) @ np.abs(np.concatenate([y, v]))
                noise = noise + parts[:n] + parts[n:]
            inverse = _solve(by(v, end=False)[1], np.eye(n))
            return np.asarray(np.abs(q / h) + np.abs(inverse) @ noise)

        v = _newton(
            lambda v: p - momentum(v, end=False),
            lambda v: by(v, end=False)[1],
            self._value("velocity", call, 0, one.c[0], x),
            floor,
        )
        after = np.concatenate([q + h * v, momentum(v, end=True)])
        if M is None:
            return after, None
        by_q, by_v = by(v, end=False)
        V = _solve(by_v, M[n:] - by_q @ M[:n])
        by_q, by_v = by(v, end=True)
        return after, np.concatenate([M[:n] + h * V, by_q @ M[:n] + by_v @ V])


def _newton(
    residual: Callable[[FloatArray], FloatArray],
    matrix: Callable[[FloatArray], FloatArray],
    k: FloatArray,
    floor: Callable[[FloatArray], FloatArray],
) -> FloatArray:
    """Solve residual(k) = 0 down to rounding, also of `floor`; `matrix` is -dR/dk.

    The rules are those of `symda.emit.steps.NewtonRules`.
    """
    last, taken, how = np.zeros_like(k), 1.0, "start"
    for _ in range(RULES.most):
        if how in ("start", "renew"):
            G, least = matrix(k), floor(k)
        change = _solve(G, residual(k))
        scale = np.abs(k + change) + least
        scale[scale < RULES.least] = 1.0
        size = np.max(np.abs(change) / scale)
        before = np.inf if how == "start" else np.max(np.abs(last) / scale)
        simplified = how in ("try", "go on")
        if simplified and not size <= max((1.0 - taken / 2) * before, RULES.rounding):
            if how == "go on":
                how = "renew"
            else:
                taken /= 2
                k = k - taken * last
            continue
        if not np.isfinite(size):
            break
        if taken < 1.0:
            taken, how = 1.0, "renew"
            continue
        k = k + change
        near = np.abs(change) * (np.abs(change) / scale) <= RULES.tiny * np.abs(last)
        if np.all(near) or size <= RULES.tiny:
            return k
        stalled = size >= RULES.slow * before
        if not simplified and stalled and size <= RULES.rounding:
            return k
        last, how = change, ("renew" if stalled else "go on") if simplified else "try"
    raise _StepError(NO_CONVERGENCE)


def _solve(matrix: FloatArray, right: FloatArray) -> FloatArray:
    try:
        return np.asarray(np.linalg.solve(matrix, right))
    except np.linalg.LinAlgError:
        raise _StepError(SINGULAR) from None
