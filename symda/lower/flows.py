"""Field -> FlowIR: F and its slopes, and the numbers of two methods with adaptive steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from symda.discretise import INTEGRATORS, Tableau
from symda.lower.instructions import lower_function, pattern_of
from symda.lower.ir import Pattern, Routine

if TYPE_CHECKING:
    import casadi as ca

    from symda.derive.field import Field

#: Weights of the error that Dormand and Prince's method estimates, the slope at the end included:
#: order 5 less order 4. J. Comput. Appl. Math. 6 (1980) 19; Hairer, Norsett, Wanner, II.5.
DOPRI5_ERROR = (
    *(71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525),
    -1 / 40,
)

#: A^-1 = T Lambda T^-1 of Radau IIA with three stages: Lambda is the real eigenvalue, and a block
#: (a, b; -b, a) of the complex ones. Hairer, Wanner, Solving Ordinary Differential Equations II,
#: IV.8. To 20 digits, computed from A.
RADAU_T = (
    (0.09443876248897524149, -0.14125529502095420843, 0.030029194105147424492),
    (0.25021312296533331138, 0.20412935229379993200, -0.38294211275726193780),
    (1.0, 1.0, 0.0),
)
RADAU_T_INVERSE = (
    (4.1787185915519047273, 0.32768282076106238709, 0.52337644549944954804),
    (-4.1787185915519047273, -0.32768282076106238709, 0.47662355450055045196),
    (0.50287263494578687595, -2.5719269498556054292, 0.59603920482822492497),
)
RADAU_REAL = 3.6378342527444957322
RADAU_PAIR = (2.6810828736277521339, 3.0504301992474105694)
#: Weights of its error, by the three stages: (-13 - 7 sqrt(6), -13 + 7 sqrt(6), -1) / 3.
RADAU_ERROR = (-10.048809399827415562, 1.3821427331607488958, -1 / 3)


@dataclass(frozen=True)
class FlowIR:
    """A model, lowered to be integrated with adaptive steps.

    Slopes by (x, theta) have the pattern `jacobian`, whose first `by_state` nonzeros are those by
    x. `a`, `b`, `c` and `error` are the explicit method's.
    """

    model: str
    discrete: bool
    states: tuple[str, ...]
    parameters: tuple[str, ...]
    forcing: tuple[str, ...]
    equations: tuple[str, ...]
    D: int
    P: int
    U: int
    routines: tuple[Routine, ...]
    jacobian: Pattern
    by_state: int
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]
    error: tuple[float, ...]
    radau: tuple[tuple[float, ...], ...]
    radau_c: tuple[float, ...]


def flow_functions(field: Field) -> dict[str, ca.Function]:
    """Return F, F with its slopes by x, and F with those by (x, theta)."""
    import casadi as ca

    names = ["x", "u", "theta", "t"]
    inputs = [ca.SX.sym(name, field.field.size1_in(i)) for i, name in enumerate(names)]
    value, slopes = field.field_jacobian(*inputs)
    made = {
        "field": [ca.densify(field.field(*inputs))],
        "field_jacobian": [ca.densify(value), slopes[:, : field.D]],
        "field_tangent": [ca.densify(value), slopes],
    }
    return {
        name: ca.Function(name, inputs, values, names, ["k", "J"][: len(values)], {"cse": True})
        for name, values in made.items()
    }


def lower_flow(field: Field) -> FlowIR:
    """Lower a model's field."""
    functions, model = flow_functions(field), field.model
    dopri5, radau5 = INTEGRATORS["dopri5"], INTEGRATORS["radau5"]
    assert isinstance(dopri5, Tableau) and isinstance(radau5, Tableau)
    return FlowIR(
        model=model.name,
        discrete=model.discrete,
        states=tuple(s.name for s in model.states),
        parameters=tuple(p.name for p in field.parameters),
        forcing=tuple(f.name for f in model.forcing),
        equations=tuple(str(e) for e in model.equations),
        D=field.D,
        P=field.P,
        U=field.U,
        routines=tuple(lower_function(f, ("k", "J")[: f.n_out()]) for f in functions.values()),
        jacobian=pattern_of(functions["field_tangent"].sparsity_out(1)),
        by_state=functions["field_jacobian"].nnz_out(1),
        a=tuple(tuple(map(float, row)) for row in dopri5.A),
        b=tuple(map(float, dopri5.b)),
        c=tuple(map(float, dopri5.abscissae)),
        error=DOPRI5_ERROR,
        radau=tuple(tuple(map(float, row)) for row in radau5.A),
        radau_c=tuple(map(float, radau5.abscissae)),
    )
