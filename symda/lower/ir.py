"""KernelIR: everything the templates need to write the code of one problem."""

from __future__ import annotations

from dataclasses import dataclass

from symda.discretise import Number


@dataclass(frozen=True)
class Value:
    """One instruction in SSA form: `op` applied to the values numbered `args`.

    ``op == "const"`` carries `number`; ``op == "input"`` carries `argument` (input name, index).
    """

    op: str
    args: tuple[int, ...] = ()
    number: float = 0.0
    argument: tuple[str, int] = ("", 0)


@dataclass(frozen=True)
class Routine:
    """A straight-line function."""

    name: str  #: Its name in the emitted code.
    #: (name, size): dense vectors (matrices by their structural nonzeros, column after column).
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]
    values: tuple[Value, ...]  #: Instructions in order of evaluation.
    results: tuple[tuple[int, ...], ...]  #: For each output, the value each of its entries takes.


@dataclass(frozen=True)
class Pattern:
    """Sparsity of a matrix, its nonzeros listed column after column, rows ascending."""

    shape: tuple[int, int]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of structural nonzeros."""
        return len(self.rows)


@dataclass(frozen=True)
class Stage:
    """One stage of the scheme, as the template needs it.

    `interior` is the index of the grid point it is promoted to, or None; `slot` the index of its
    abscissa; `row` its coefficients X_ij; `affine` whether its argument uses no other slope;
    `moved` the components [start, stop) of F that its slope holds, None for all.
    """

    index: int
    c: Number
    v: Number
    b: Number
    row: tuple[Number, ...]
    slot: int
    interior: int | None
    affine: bool
    moved: tuple[int, int] | None = None


@dataclass(frozen=True)
class Gather:
    """A sparse output and where each nonzero stands in the dense working array."""

    pattern: Pattern
    source: tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """Nonzeros q and r of the predictors' Jacobian; their product goes to `target`.

    It is multiplied by entry `row` of the cost's curvature.
    """

    row: int
    q: int
    r: int
    target: int


@dataclass(frozen=True)
class KernelIR:
    """A problem, lowered.

    Columns of the dense working arrays are in *internal* order: (x_n, theta, x_{n+1}) for explicit
    schemes, whose tangents only need the first D + P columns, and (window, theta) otherwise.
    `columns` is the number of columns that tangents need; `theta_column` and `last_column` are
    where theta and x_{n+1} start.
    """

    model: str
    scheme: str
    discrete: bool
    explicit: bool
    states: tuple[str, ...]
    parameters: tuple[str, ...]
    channels: tuple[str, ...]
    forcing: tuple[str, ...]
    equations: tuple[str, ...]
    measured: tuple[str, ...]
    D: int
    P: int
    L: int
    U: int
    S: int
    E: int
    stages: tuple[Stage, ...]
    columns: int
    theta_column: int
    last_column: int
    routines: tuple[Routine, ...]
    field_jacobian: Pattern
    field_curvature: Pattern
    measure_jacobian: Pattern
    measure_curvature: Pattern
    step_jacobian: Gather
    step_hessian: Gather
    step_curvature: Gather
    point_hessian: Pattern
    #: Channel of each predictor, (Q,), and of each entry of the cost's curvature off its sure
    #: diagonal, (R,).
    predictor_channel: tuple[int, ...]
    mixed_channel: tuple[int, ...]
    mixed_other: tuple[int, ...]  #: The other channel of such an entry, (R,).
    cross: int  #: How many of these entries, the first ones, are of correlated noise.
    pairs: int  #: Pairs of channels that data say the precision of; 0 without such noise.
    point_pairs: tuple[Pair, ...]
    mixed_pairs: tuple[Pair, ...]
    #: Lower triangle of the prior's Hessian by (x, theta), less its sure diagonal; None: no prior.
    prior: Pattern | None
    prior_hessian: Pattern  #: Upper triangle of all of it.
    point_scatter: tuple[int, ...]
    controls: int = 0  #: How many of the L channels are controls; after them come
    priors: int = 0  #: those whose values have priors, the last ones.
    #: Initial values that are functions of theta: routines, and where their derivatives stand.
    initial: tuple[Routine, ...] = ()
    initial_jacobian: Pattern = Pattern((0, 0), (), ())
    initial_curvature: Pattern = Pattern((0, 0), (), ())
    #: Inverse of the correlations of the model's errors, C^-1 = V^T V, and V: D rows of D numbers
    #: one after the other; empty where errors are independent.
    coupling: tuple[float, ...] = ()
    coupling_root: tuple[float, ...] = ()

    @property
    def point(self) -> str:
        """How many numbers there are of a row of data: values, weights, those of pairs."""
        return f"(2*L + {self.pairs})" if self.pairs else "2*L"

    @property
    def Q(self) -> int:
        """Predictors: what the cost of data depends on."""
        return len(self.predictor_channel)

    @property
    def W(self) -> int:
        """Unknowns a step sees: window and parameters, E + D + P."""
        return self.E + self.D + self.P
