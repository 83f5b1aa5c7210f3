"""Field and scheme -> KernelIR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from symda.discretise import moved
from symda.lower.instructions import lower_function, pattern_of
from symda.lower.ir import KernelIR, Pair, Pattern, Stage
from symda.lower.patterns import StepLayout, gather_rows, gather_upper, step_masks
from symda.types import BoolArray

if TYPE_CHECKING:
    from symda.correlations import ErrorCorrelations
    from symda.derive.field import Field
    from symda.discretise import Scheme


#: Results of the routine `prior`.
PRIOR = ("cost", "slope", "sure", "mixed")


def lower(field: Field, scheme: Scheme) -> KernelIR:
    """Lower a problem: straight-line routines for F and h, tables for everything that is a loop."""
    model = field.model
    stages = lower_stages(scheme, moved(scheme, model))
    layout = StepLayout(field.D, field.P, field.D * (1 + len(scheme.interior)), scheme.explicit)
    field_jacobian = pattern_of(field.field_jacobian.sparsity_out(1))
    field_curvature = pattern_of(field.field_curvature.sparsity_out(0))
    measure_jacobian = pattern_of(field.measure_jacobian.sparsity_out(1))
    measure_curvature = pattern_of(field.measure_curvature.sparsity_out(0))
    residual_mask, curvature_mask = step_masks(
        layout, stages, field_jacobian, field_curvature, discrete=scheme.discrete
    )
    gauss_newton = _squared(residual_mask, field.correlations)
    point_hessian, pairs, rest, scatter = _point_tables(
        measure_jacobian, measure_curvature, field.loss.mixed
    )
    return KernelIR(
        model=model.name,
        scheme=scheme.name,
        discrete=scheme.discrete,
        explicit=scheme.explicit,
        states=tuple(s.name for s in model.states),
        parameters=tuple(p.name for p in field.parameters),
        channels=field.measurement.names,
        forcing=tuple(f.name for f in model.forcing),
        equations=tuple(str(e) for e in model.equations),
        measured=tuple(str(e) for e in field.measurement.functions),
        D=field.D,
        P=field.P,
        L=field.L,
        U=field.U,
        S=len(scheme.abscissae),
        E=layout.E,
        stages=stages,
        columns=layout.columns,
        theta_column=layout.theta_column,
        last_column=layout.last_column,
        routines=(
            lower_function(field.field, ("k",)),
            lower_function(field.field_jacobian, ("k", "J")),
            lower_function(field.field_curvature, ("C",)),
            lower_function(field.measure, ("k",)),
            lower_function(field.measure_jacobian, ("k", "J")),
            lower_function(field.measure_curvature, ("C",)),
            lower_function(field.loss.function, ("cost", "slope", "sure", "mixed")),
            *([lower_function(field.prior.function, PRIOR)] if field.prior else []),
        ),
        field_jacobian=field_jacobian,
        field_curvature=field_curvature,
        measure_jacobian=measure_jacobian,
        measure_curvature=measure_curvature,
        step_jacobian=gather_rows(layout, residual_mask),
        step_hessian=gather_upper(layout, gauss_newton | curvature_mask),
        step_curvature=gather_upper(layout, curvature_mask),
        point_hessian=point_hessian,
        predictor_channel=field.loss.channel,
        mixed_channel=tuple(field.loss.channel[k] for k, _ in field.loss.mixed),
        mixed_other=tuple(field.loss.channel[m] for _, m in field.loss.mixed),
        cross=field.loss.cross,
        pairs=len(field.measurement.pairs),
        point_pairs=pairs,
        mixed_pairs=rest,
        prior=pattern_of(field.prior.mixed) if field.prior else None,
        prior_hessian=_prior_hessian(field),
        point_scatter=scatter,
        controls=len(model.controls),
        priors=len(model.independent),
        **_initial(field),
        **_coupling(field),
    )


def _squared(residual_mask: BoolArray, correlations: ErrorCorrelations | None) -> BoolArray:
    """Mask of J^T W J (W, W), J being the derivatives of the residuals and W their weights."""
    left = right = residual_mask.astype("f4")
    if correlations is not None:
        D = len(correlations.matrix)
        points = right.reshape(-1, D, right.shape[1])
        right = ((correlations.inverse != 0.0).astype("f4") @ points).reshape(right.shape)
    found: BoolArray = (left.T @ right) > 0
    return found


def _coupling(field: Field) -> dict[str, Any]:
    """Return how the model's errors go together, if they do."""
    known = field.correlations
    if known is None:
        return {}
    return {
        "coupling": tuple(known.inverse.reshape(-1).tolist()),
        "coupling_root": tuple(known.root.reshape(-1).tolist()),
    }


def _prior_hessian(field: Field) -> Pattern:
    """Upper triangle of the prior's Hessian: its diagonal, and what is off it."""
    size = field.D + field.P
    if field.prior is None:
        return Pattern((size, size), (), ())
    rows, columns = field.prior.mixed.get_triplet()
    places = {(int(j), int(i)) for i, j in zip(rows, columns, strict=True)}
    ordered = sorted(places | {(i, i) for i in range(size)}, key=lambda ij: (ij[1], ij[0]))
    return Pattern((size, size), tuple(i for i, _ in ordered), tuple(j for _, j in ordered))


def _initial(field: Field) -> dict[str, Any]:
    """Lower the initial values that are functions of the parameters, if there are any."""
    if not field.initial:
        return {}
    value, jacobian, curvature = (
        field.initial[name] for name in ("initial", "initial_jacobian", "initial_curvature")
    )
    return {
        "initial": (
            lower_function(value, ("k",)),
            lower_function(jacobian, ("k", "J")),
            lower_function(curvature, ("C",)),
        ),
        "initial_jacobian": pattern_of(jacobian.sparsity_out(1)),
        "initial_curvature": pattern_of(curvature.sparsity_out(0)),
    }


def lower_stages(scheme: Scheme, parts: tuple[tuple[int, int], ...] = ()) -> tuple[Stage, ...]:
    """Return the stages of a scheme as templates need them; `parts` are what its slopes hold."""
    return tuple(
        Stage(
            i,
            scheme.c[i],
            scheme.v[i],
            scheme.b[i],
            scheme.X[i],
            scheme.slot(i),
            scheme.interior.index(i) if i in scheme.interior else None,
            scheme.affine(i),
            parts[i] if scheme.partitioned else None,
        )
        for i in range(scheme.stages)
    )


def _point_tables(
    jacobian: Pattern, curvature: Pattern, rest: tuple[tuple[int, int], ...]
) -> tuple[Pattern, tuple[Pair, ...], tuple[Pair, ...], tuple[int, ...]]:
    """Upper triangle of the measurement term's Hessian, and what adds to each of its nonzeros.

    They are products of two nonzeros of one row of the predictors' Jacobian; of two rows, where
    the cost has a mixed derivative; and the predictors' curvature (transposed from the lower
    triangle).
    """
    by_row: dict[int, list[tuple[int, int]]] = {}
    for q, (row, column) in enumerate(zip(jacobian.rows, jacobian.columns, strict=True)):
        by_row.setdefault(row, []).append((column, q))

    def products(entry: int, k: int, m: int) -> list[tuple[int, int, int, int, int]]:
        found = []
        for i, q in by_row.get(k, []):
            for j, r in by_row.get(m, []):
                if k != m:
                    # both triangles; on the diagonal they are one entry
                    (a, b), (c, d) = sorted(((i, q), (j, r)))
                    found += [(entry, b, d, a, c)] * (2 if a == c else 1)
                elif i <= j:
                    found.append((entry, q, r, i, j))
        return found

    sure = [one for k in sorted(by_row) for one in products(k, k, k)]
    mixed = [one for n, (k, m) in enumerate(rest) for one in products(n, k, m)]
    places = list(zip(curvature.columns, curvature.rows, strict=True))
    positions = sorted(
        {(i, j) for *_, i, j in sure + mixed} | set(places), key=lambda ij: (ij[1], ij[0])
    )
    index = {position: n for n, position in enumerate(positions)}
    size = jacobian.shape[1]
    pattern = Pattern((size, size), tuple(i for i, _ in positions), tuple(j for _, j in positions))
    pairs, others = (
        tuple(Pair(entry, q, r, index[i, j]) for entry, q, r, i, j in some)
        for some in (sure, mixed)
    )
    return pattern, pairs, others, tuple(index[position] for position in places)
