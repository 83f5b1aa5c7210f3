"""The cost of data as a CasADi function of what it depends on, with two derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy as sp

from symda.derive.masked import where
from symda.derive.translate import to_casadi

if TYPE_CHECKING:
    import casadi as ca

    from symda.declare import Distribution, Measurement


@dataclass(frozen=True)
class Loss:
    """-log p of the data at one point, as a function of the predictors eta(x, theta).

    The predictors, Q of them, are the measured quantities h and further terms of the noise, such
    as its scale. Each belongs to one channel.
    """

    #: (eta (Q), point (2 L + K)) -> cost (L), slope (Q), sure (Q), mixed (R), with point = (y, rm,
    #: cross): the costs, their derivatives, and their second derivatives as a positive diagonal and
    #: what it lacks. Of correlated noise a channel's cost is 1/2 e_l (P e)_l, with e = h - y and P,
    #: the inverse of the covariance.
    function: ca.Function
    channel: tuple[int, ...]  #: Of each predictor, (Q,).
    #: Which pairs of predictors the entries of `mixed` belong to, (R,) each, row >= column.
    mixed: tuple[tuple[int, int], ...]
    #: How many of them, the first ones, are of P: they and the diagonal together are positive.
    cross: int
    #: Which entries of the data's `cross` those are.
    linked: tuple[int, ...]


def derive_loss(measurement: Measurement) -> Loss:
    """Differentiate the costs of all channels by their predictors."""
    import casadi as ca

    L, Q = len(measurement.functions), len(measurement.predictors)
    pairs = measurement.pairs
    eta, point = ca.SX.sym("eta", Q), ca.SX.sym("point", 2 * L + len(pairs))
    cost, slope, sure = ca.SX.zeros(L), ca.SX.zeros(Q), ca.SX.zeros(Q)
    channel = list(range(L)) + [0] * (Q - L)
    places: list[tuple[int, int]] = []
    mixed: list[ca.SX] = []
    # what correlated noise adds to the slope of each channel
    added: dict[int, ca.SX] = {}
    linked = [
        n for n, pair in enumerate(pairs) if all(measurement.noises[l].gaussian for l in pair)
    ]
    for n in linked:
        entry = point[2 * L + n]
        places.append(pairs[n])
        mixed.append(entry)
        for l, other in (pairs[n], pairs[n][::-1]):
            # what was not measured need not be finite
            term = where(entry, entry * (eta[other] - point[other]))
            added[l] = added[l] + term if l in added else term
    for l, (noise, own) in enumerate(zip(measurement.noises, measurement.places, strict=True)):
        for k in own.values():
            channel[k] = l
        if noise.gaussian:
            # written so that it is the sum of squares of eq. 10 to the last digit
            error = eta[l] - point[l]
            slope[l], sure[l] = point[L + l] * error, point[L + l]
            if l in added:
                slope[l] += added[l]
            cost[l] = 0.5 * (slope[l] * error)
            continue
        cost[l], curvature = _translated(
            noise, [eta[k] for k in own.values()], point[l], point[L + l]
        )
        own_eta = ca.vertcat(*[eta[k] for k in own.values()])
        second, first = ca.hessian(cost[l], own_eta)
        for i, (name, k) in enumerate(own.items()):
            slope[k] = first[i]
            sure[k] = curvature.get(name, ca.fabs(second[i, i]))
            for j, other in enumerate(list(own.values())[: i + 1]):
                left = second[i, j] - (sure[k] if i == j else 0.0)
                if not ca.simplify(left).is_zero():
                    places.append((max(k, other), min(k, other)))
                    mixed.append(left)
    function = ca.Function(
        "loss",
        [eta, point],
        [
            ca.densify(cost),
            ca.densify(slope),
            ca.densify(sure),
            ca.densify(ca.vertcat(ca.SX(0, 1), *mixed)),
        ],
        ["eta", "point"],
        ["cost", "slope", "sure", "mixed"],
        {"cse": True},
    )
    return Loss(function, tuple(channel), tuple(places), len(linked), tuple(linked))


def _translated(
    noise: Distribution, eta: list[ca.SX], y: ca.SX, rm: ca.SX
) -> tuple[ca.SX, dict[str, ca.SX]]:
    """Return a channel's cost, and its curvatures by name, with the terms as symbols."""
    datum, precision = sp.Dummy("y", real=True), sp.Dummy("rm", positive=True)
    terms = {name: sp.Dummy(name, real=True) for name in noise.terms}
    plain = noise.with_terms(terms)
    curvature = {
        name: value for name, value in plain.curvature(datum, precision).items() if name in terms
    }
    symbols = {datum: y, precision: rm, **dict(zip(terms.values(), eta, strict=True))}
    cost, *curvatures = to_casadi([plain.cost(datum, precision), *curvature.values()], symbols)
    return cost, dict(zip(curvature, curvatures, strict=True))
