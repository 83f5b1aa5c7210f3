"""The one-step action composed and differentiated by CasADi only.

This is the virtual machine's backend where there is no C compiler, and the oracle of the emitted
code: nothing here is shared with the loops that the templates write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from symda.derive.field import Field
from symda.derive.masked import Channels, where
from symda.discretise import Number, Scheme, moved, step_residual

if TYPE_CHECKING:
    import casadi as ca

#: What leads each step's data, before the forcing u (S, U): time, length, weight of Rf.
STEP_HEAD = 3


def derive_step(field: Field, scheme: Scheme) -> Mapping[str, ca.Function]:
    """Per-step and per-point functions of a problem, by CasADi.

    Returns
    -------
    mapping of name to casadi.Function
        With w the window (E + D), `step` = (t, h, weight, u) of length 3 + S U, and `point` = (y,
        rm, cross) of length 2 L + K, K = 0 where no noise may be correlated:

        - ``step_action(w, theta, step, rf)``: sum_a rf_a weight r_a^2 / 2, or with correlated
          errors sum_ab (C^-1)_ab weight (rf_a rf_b)^1/2 r_a r_b / 2 of each point,
        - ``step_gradient``: the same and its gradient by (w, theta), shape (E + D + P,),
        - ``step_hessian``: its Hessian, sparse upper triangle,
        - ``step_residual(w, theta, step)``: r, shape (E,),
        - ``step_jacobian``: dr/d(w, theta), sparse (E, E + D + P),
        - ``step_curvature(w, theta, step, lam)``: sum_e lam_e d2r_e, sparse upper triangle,
        - ``point_action(x, theta, point)``, ``point_gradient``, ``point_hessian``: the same for
          the costs of what was measured there, without the channels of rm_l = 0,
        - ``point_gauss_newton``: the Hessian's positive part, with its nonzeros,
        - ``prior_action(x, theta, own)``, ``prior_gradient``, ``prior_hessian``: -log of the prior,
          x being the first state and `own` the weights of the parameters' parts; left out where
          there is none,
        - ``measure(x, theta)``: the predictors eta, shape (Q,), of which the first L are h,
        - ``measure_jacobian(x, theta)``: their Jacobian, sparse (Q, D + P).
    """
    import casadi as ca

    D, P, L, U = field.D, field.P, field.L, field.U
    E, S = D * (1 + len(scheme.interior)), len(scheme.abscissae)
    w, theta = ca.SX.sym("w", E + D), ca.SX.sym("theta", P)
    step, rf = ca.SX.sym("step", STEP_HEAD + S * U), ca.SX.sym("rf", D)
    t, h, weight = step[0], step[1], step[2]
    parts = moved(scheme, field.model)

    def slope(stage: int, argument: Sequence[ca.SX]) -> list[ca.SX]:
        start = STEP_HEAD + scheme.slot(stage) * U
        abscissa = t + float(scheme.c[stage]) * h
        k = ca.vertsplit(
            field.field(ca.vertcat(*argument), step[start : start + U], theta, abscissa)
        )
        return [entry if a in range(*parts[stage]) else ca.SX(0) for a, entry in enumerate(k)]

    entries = ca.vertsplit(w)
    window = [entries[i : i + D] for i in range(0, E + D, D)]
    residual = ca.cse(ca.vertcat(*step_residual(scheme, slope, window, h, _number)))
    points = 1 + len(scheme.interior)
    if field.correlations is None:
        omega = ca.repmat(rf, points, 1) * weight
        cost = ca.dot(omega * residual, residual) / 2
    else:
        sized = ca.reshape(residual, D, points) * ca.repmat(ca.sqrt(rf), 1, points)
        cost = weight * ca.dot(sized, ca.mtimes(field.correlations.inverse, sized)) / 2
    unknowns = ca.vertcat(w, theta)
    lam = ca.SX.sym("lam", E)

    K = len(field.measurement.pairs)
    x, point = ca.SX.sym("x", D), ca.SX.sym("point", 2 * L + K)
    eta, jacobian = field.measure_jacobian(x, theta)
    terms, _, sure, _ = field.loss.function(eta, ca.vertcat(point[: 2 * L], ca.SX.zeros(K)))
    errors = _errors(terms, eta, point, field)
    local = ca.vertcat(x, theta)
    curved = ca.triu(errors.hessian(local))
    gauss_newton = _gauss_newton(jacobian, sure, point, field)

    def upper(value: ca.SX, by: ca.SX) -> ca.SX:
        return ca.triu(ca.hessian(value, by)[0])

    table = {
        "step_action": ([w, theta, step, rf], [cost]),
        "step_gradient": ([w, theta, step, rf], [cost, ca.gradient(cost, unknowns)]),
        "step_hessian": ([w, theta, step, rf], [upper(cost, unknowns)]),
        "step_residual": ([w, theta, step], [residual]),
        "step_jacobian": ([w, theta, step], [ca.jacobian(residual, unknowns)]),
        "step_curvature": ([w, theta, step, lam], [upper(ca.dot(lam, residual), unknowns)]),
        "point_action": ([x, theta, point], [errors.value]),
        "point_gradient": ([x, theta, point], [errors.value, errors.gradient(local)]),
        "point_hessian": ([x, theta, point], [curved]),
        "point_gauss_newton": (
            [x, theta, point],
            [ca.project(ca.triu(gauss_newton), curved.sparsity())],
        ),
        "measure": ([x, theta], [eta]),
        "measure_jacobian": ([x, theta], [jacobian]),
    }
    if field.prior is not None:
        own = ca.SX.sym("own", P)
        total, gradient, sure, mixed = field.prior.function(x, theta, own)
        whole = ca.triu(mixed.T + ca.diag(sure))
        table |= {
            "prior_action": ([x, theta, own], [total]),
            "prior_gradient": ([x, theta, own], [total, gradient]),
            "prior_hessian": ([x, theta, own], [whole]),
        }
    return {
        name: ca.Function(
            name, inputs, [ca.densify(o) if _dense(name) else o for o in outputs], {"cse": True}
        )
        for name, (inputs, outputs) in table.items()
    }


def _errors(terms: ca.SX, eta: ca.SX, point: ca.SX, field: Field) -> Channels:
    """Return what is added up at a point: each channel's own cost, then that of each pair."""
    import casadi as ca

    L, pairs = field.L, field.measurement.pairs
    rm, y = point[L:], point[:L]
    weighed = [noise.gaussian for noise in field.measurement.noises]
    measured = eta[:L]
    for n in field.loss.linked:
        k, m = pairs[n]
        terms = ca.vertcat(terms, rm[L + n] * (eta[k] - y[k]) * (eta[m] - y[m]))
        measured = ca.vertcat(measured, eta[k] * eta[m])
    weights = ca.vertcat(rm[:L], *(rm[L + n] for n in field.loss.linked))
    return Channels(terms, weights, [*weighed, *(True for _ in field.loss.linked)], measured)


def _gauss_newton(jacobian: ca.SX, sure: ca.SX, point: ca.SX, field: Field) -> ca.SX:
    """Return J^T P J, without channels of weight 0; P = diag(sure) unless noise is correlated."""
    import casadi as ca

    rm = point[field.L :]
    rows, weighed = ca.SX(jacobian), ca.SX(jacobian)
    for k, l in enumerate(field.loss.channel):
        rows[k, :] = where(rm[l], jacobian[k, :])
        weighed[k, :] = where(rm[l], sure[k] * jacobian[k, :])
    found = ca.mtimes(rows.T, weighed)
    for n in field.loss.linked:
        k, m = field.measurement.pairs[n]
        half = ca.mtimes(jacobian[k, :].T, jacobian[m, :])
        found += where(rm[field.L + n], rm[field.L + n] * (half + half.T))
    return found


def _dense(name: str) -> bool:
    return not name.endswith(("_hessian", "_newton", "_jacobian", "_curvature"))


def _number(value: Number) -> ca.SX:
    import casadi as ca

    return ca.SX(float(value))
