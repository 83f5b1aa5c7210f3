"""Field and scheme -> KernelIR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from symda.discretise import moved
from symda.lower.instructions import lower_function, pattern_of
from symda.lower.ir import KernelIR, Pair, Pattern, Stage
from symda.lower.patterns import StepLayout, gather_rows, gather_upper, step_masks

if TYPE_CHECKING:
    from symda.derive.field import Field
    from symda.discretise import Scheme


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
    gauss_newton = (residual_mask.T.astype("f4") @ residual_mask.astype("f4")) > 0
    point_hessian, pairs, scatter = _point_tables(measure_jacobian, measure_curvature)
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
        ),
        field_jacobian=field_jacobian,
        field_curvature=field_curvature,
        measure_jacobian=measure_jacobian,
        measure_curvature=measure_curvature,
        step_jacobian=gather_rows(layout, residual_mask),
        step_hessian=gather_upper(layout, gauss_newton | curvature_mask),
        step_curvature=gather_upper(layout, curvature_mask),
        point_hessian=point_hessian,
        point_pairs=pairs,
        point_scatter=scatter,
        controls=len(model.controls),
        **_initial(field),
    )


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
    jacobian: Pattern, curvature: Pattern
) -> tuple[Pattern, tuple[Pair, ...], tuple[int, ...]]:
    """Upper triangle of the measurement term's Hessian, and what adds to each of its nonzeros.

    Its nonzeros are products of two nonzeros of one row of the Jacobian, and the curvature's
    (transposed from the lower triangle).
    """
    by_row: dict[int, list[tuple[int, int]]] = {}
    for q, (row, column) in enumerate(zip(jacobian.rows, jacobian.columns, strict=True)):
        by_row.setdefault(row, []).append((column, q))
    products = [
        (row, q, r, i, j)
        for row, entries in sorted(by_row.items())
        for i, q in entries
        for j, r in entries
        if i <= j
    ]
    places = list(zip(curvature.columns, curvature.rows, strict=True))
    positions = sorted(
        {(i, j) for *_, i, j in products} | set(places), key=lambda ij: (ij[1], ij[0])
    )
    index = {position: n for n, position in enumerate(positions)}
    size = jacobian.shape[1]
    pattern = Pattern((size, size), tuple(i for i, _ in positions), tuple(j for _, j in positions))
    pairs = tuple(Pair(row, q, r, index[i, j]) for row, q, r, i, j in products)
    return pattern, pairs, tuple(index[position] for position in places)
