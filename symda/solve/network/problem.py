"""The action of a network and its pairs, eq. 14 of Abarbanel et al. 2017, as numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from symda.build.network_layout import Passes, dot, padded, room
from symda.declare.network import Network
from symda.observe.pairs import Pairs
from symda.solve.network.clock import Clock
from symda.types import FloatArray, IntArray

Averaging = Literal["eq14", "sum"]

#: Variance of inputs that nothing is known of, in units of the measured inputs' noise: it damps
#: steps and stands in no action.
LOOSE = 1e3


@dataclass(frozen=True)
class Terms:
    """What an action consists of."""

    measurement: float
    model: float
    prior: float

    @property
    def total(self) -> float:
        """The action."""
        return self.measurement + self.model + self.prior


@dataclass(frozen=True, eq=False)
class Point:
    """Activities (rows, pairs), `padded`, and weights (W,)."""

    X: FloatArray
    W: FloatArray

    def copy(self) -> Point:
        """Arrays of their own."""
        X = room(*self.X.shape)
        X[:] = self.X
        return Point(X, self.W.copy())


class NetworkProblem:
    """A network with its pairs: data, priors and factors; Rf is an argument of each question.

    A = c_m (sum Rm/2 (x - y)^2 over inputs and outputs + prior) + c_f Rf/2 sum r^2, with
    c_m = 1/(L M) and c_f = 2/(M n) of ``"eq14"``, where M is the number of pairs, L the mean of
    measured inputs and outputs of a pair, and n the neurons behind the input, N (lF - 1); 1 and 1
    of ``"sum"``, which is minus the logarithm of the probability.

    Parameters
    ----------
    passes : Passes
        Of the same network, laid out for the same pairs.
    df : float, optional
        Degrees of freedom of a Student t instead of the Gaussian of the outputs' noise.
    """

    def __init__(
        self,
        passes: Passes,
        pairs: Pairs,
        *,
        averaging: Averaging = "eq14",
        df: float | None = None,
    ) -> None:
        self.passes, self.pairs, self.averaging, self.df = passes, pairs, averaging, df
        self.clock = Clock()
        self.layout = passes.layout
        self.network: Network = self.layout.network
        self.M, self.wide = len(pairs), padded(len(pairs))
        self.rows, self.slopes = self.layout.rows[-1], self.layout.slopes[-1]
        self.inputs, self.outputs = self.layout.inputs, self.layout.outputs
        measured = (self.inputs.size + self.outputs.size) / 2.0
        hidden = self.rows - self.layout.every.size
        averaged = averaging == "eq14"
        self.c_m = 1.0 / (measured * self.M) if averaged else 1.0
        self.c_f = 2.0 / (self.M * hidden) if averaged else 1.0
        self.y_in, self.q_in = self._rows_of(pairs.inputs, pairs.input_variance)
        self.y_out, self.q_out = self._rows_of(pairs.outputs, pairs.variance)
        self._priors()

    def _rows_of(self, values: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return data and c_m Rm as rows; 0 where there is no pair."""
        y = room(values.reshape(self.M, -1).shape[1], self.wide)
        q = room(*y.shape)
        y[:, : self.M] = values.reshape(self.M, -1).T
        q[:, : self.M] = self.c_m / variance.reshape(self.M, -1).T
        return y, q

    def _priors(self) -> None:
        network = self.network
        self.w0, self.wd = np.zeros(network.weights), np.zeros(network.weights)
        for place, block, prior in zip(
            self.layout.places, network.blocks, network.prior, strict=False
        ):
            if prior is not None:
                here = slice(place, place + block.size)
                self.w0[here] = prior.mean.ravel()
                self.wd[here] = self.c_m / prior.sd.ravel() ** 2
        unmeasured = np.setdiff1d(self.layout.every, self.inputs)
        self.unmeasured: IntArray = unmeasured
        self.x0, self.xd = 0.0, 0.0
        if network.input_prior is not None:
            self.x0 = float(network.input_prior.mean)
            self.xd = self.c_m / float(network.input_prior.sd) ** 2

    @cached_property
    def precision(self) -> float:
        """c_m Rm of a typical datum: what c_f Rf is compared with."""
        both = np.concatenate([self.q_in[:, : self.M].ravel(), self.q_out[:, : self.M].ravel()])
        return float(np.exp(np.log(both).mean()))

    @property
    def fewer_data(self) -> bool:
        """Whether there are no more data than weights."""
        return self.outputs.size * self.M <= self.network.weights

    @cached_property
    def spread(self) -> FloatArray:
        """Variance (rows, pairs) of the inputs by themselves, in units of the action; else 0."""
        found = room(self.rows, self.wide)
        found[self.inputs, : self.M] = 1.0 / self.q_in[:, : self.M]
        if self.unmeasured.size:
            loose = LOOSE / self.precision
            found[self.unmeasured, : self.M] = 1.0 / self.xd if self.xd else loose
        return found

    @cached_property
    def digest(self) -> str:
        """What identifies data, priors and noise, in a run's file."""
        words = (*self.network.activations, self.averaging, self.df, self.x0, self.xd)
        known = hashlib.sha256(repr(words).encode())
        for array in (self.w0, self.wd, self.y_in, self.q_in, self.y_out, self.q_out):
            known.update(array.tobytes())
        return known.hexdigest()[:16]

    def rf_at(self, ratio: float) -> float:
        """Return Rf at which c_f Rf is `ratio` times c_m Rm of a typical datum."""
        return ratio * self.precision / self.c_f

    def rounding(self, rf: float) -> float:
        """Return the action of errors that are rounding of doubles: below it there is nothing."""
        sides = ((self.q_in, self.y_in), (self.q_out, self.y_out))
        total = sum(float(np.vdot(q + self.c_f * rf, y**2)) for q, y in sides)
        return total * float(np.finfo(float).eps) ** 2

    def cost(self, e: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Cost of errors of the outputs (L, pairs), and half the weight of e^2 there."""
        if self.df is None:
            return 0.5 * self.q_out * e**2, self.q_out
        ratio = (self.q_out / self.c_m) * e**2 / self.df
        cost = self.c_m * 0.5 * (self.df + 1.0) * np.log1p(ratio)
        return cost, self.q_out * (self.df + 1.0) / (self.df * (1.0 + ratio))

    def towards(self, X: FloatArray) -> FloatArray:
        """Step (rows, pairs) from the inputs to where data and prior want them; else 0."""
        step = room(*X.shape)
        step[self.inputs, : self.M] = (self.y_in - X[self.inputs])[:, : self.M]
        if self.xd:
            step[self.unmeasured, : self.M] = (self.x0 - X[self.unmeasured])[:, : self.M]
        return step

    def input_cost(self, X: FloatArray) -> tuple[float, float]:
        """Cost of the inputs: their data, and the prior of those without."""
        data = 0.5 * dot(self.q_in, (X[self.inputs] - self.y_in) ** 2)
        free = X[self.unmeasured, : self.M] - self.x0
        return data, 0.5 * self.xd * dot(free, free) if self.xd else 0.0

    def weight_cost(self, W: FloatArray) -> float:
        """Cost of the weights' prior."""
        return 0.5 * dot(self.wd, (W - self.w0) ** 2)

    def terms(self, point: Point, rf: float) -> Terms:
        """Return the action's terms at Rf."""
        R, D = room(self.rows, self.wide), room(self.slopes, self.wide)
        self.passes.linearise(point.W, point.X, D, R, self.M)
        return self.terms_of(point, R, rf)

    def terms_of(self, point: Point, R: FloatArray, rf: float) -> Terms:
        """Return them with residuals that are known."""
        data, free = self.input_cost(point.X)
        cost, _ = self.cost(point.X[self.outputs] - self.y_out)
        model = 0.5 * self.c_f * rf * dot(R, R)
        return Terms(data + float(cost.sum()), model, free + self.weight_cost(point.W))

    def gradient(self, point: Point, rf: float) -> tuple[float, FloatArray, FloatArray]:
        """Return the action and its gradients by activities (rows, pairs) and weights (W,)."""
        GX = room(self.rows, self.wide)
        data, free = self.input_cost(point.X)
        e = point.X[self.outputs] - self.y_out
        cost, weight = self.cost(e)
        GX[self.outputs] = weight * e
        GX[self.inputs] += self.q_in * (point.X[self.inputs] - self.y_in)
        if self.xd:
            GX[self.unmeasured, : self.M] += self.xd * (
                point.X[self.unmeasured, : self.M] - self.x0
            )
        model, G = self.passes.gradient(point.W, point.X, self.c_f * rf, GX, self.M)
        total = data + free + float(cost.sum()) + model + self.weight_cost(point.W)
        G += self.wd * (point.W - self.w0)
        return total, GX, G

    def forward(self, W: FloatArray, inputs: FloatArray | None = None) -> FloatArray:
        """Return the activities (rows, pairs) of these weights, from the data where none are given.

        Inputs that were not measured are at their prior's mean.
        """
        X = room(self.rows, self.wide)
        if inputs is None:
            X[self.unmeasured, : self.M] = self.x0
            X[self.inputs] = self.y_in
        else:
            X[self.layout.every] = inputs
        self.passes.forward(W, X, None, self.M)
        X[:, self.M :] = 0.0
        return X
