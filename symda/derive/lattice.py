"""The machine form of a lattice model: its site's equations, differentiated once, in CasADi SX.

Nothing here but the index tables grows with the number of sites.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from sympy import Expr

from symda.declare import LatticeModel, Measurement, Parameter, SiteState, State
from symda.derive.field import Field, Measured
from symda.derive.masked import Channels
from symda.derive.step import STEP_HEAD
from symda.derive.translate import to_casadi
from symda.discretise import Scheme, step_residual
from symda.types import IntArray

if TYPE_CHECKING:
    import casadi as ca
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Neighbour:
    """A field and how far away its site is in each direction: one value a site's equations use."""

    field: int
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class LatticeField(Measured):
    """F of one site with its products of derivatives, and h, as CasADi functions.

    The site functions take s = (w, u, theta, t, site): the W stencil values, forcing, parameters,
    time and the numbers of the site.
    """

    model: LatticeModel
    stencil: tuple[Neighbour, ...]  #: What w holds, (W,).
    site: ca.Function  #: s -> k, shape (fields,).
    tangent: ca.Function  #: s, dw, dtheta -> k, dk: a Jacobian's product.
    adjoint: ca.Function  #: s, kappa -> g, shape (W + P,): kappa.dF/d(w, theta).
    #: s, dw, dtheta, kappa, dkappa -> g, dg: the same and its tangent, (kappa.D2F)(dw, dtheta) +
    #: dkappa.dF/d(w, theta).
    second: ca.Function
    #: For each channel the index of the state it measures as it is, else -1, (L,).
    direct: tuple[int, ...]

    @cached_property
    def places(self) -> IntArray:
        """State that each stencil value of each site is, (sites, W); D where it is zero."""
        count = self.model.lattice.count
        columns = [
            np.where(where < 0, self.D, where + neighbour.field * count)
            for neighbour in self.stencil
            for where in [self.model.lattice.neighbours(neighbour.offsets)]
        ]
        return np.stack(columns, axis=1) if columns else np.empty((count, 0), dtype=np.int64)

    def structure(self) -> tuple[csr_array, csr_array]:
        """Which unknowns (x, theta) each equation uses, (D, D + P), and each channel, (L, D + P).

        A stored entry is one that is used.
        """
        D, P, L, count = self.D, self.P, self.L, self.model.lattice.count
        rows: list[IntArray] = []
        columns: list[IntArray] = []

        def enter(at: IntArray, what: IntArray) -> None:
            rows.append(at.reshape(-1))
            columns.append(what.reshape(-1))

        sites = np.arange(count)
        for f, w in zip(*self.site.jac_sparsity(0, 0).get_triplet(), strict=True):
            inside = self.places[:, w] < D
            enter(f * count + sites[inside], self.places[inside, w])
        for f, p in zip(*self.site.jac_sparsity(0, 2).get_triplet(), strict=True):
            enter(f * count + sites, np.full(count, D + p))
        uses = _ones((D, D + P), rows, columns)
        rows, columns = [], []
        direct, own = np.array(self.direct, dtype=np.int64), self.expressions
        plain = np.flatnonzero(direct >= 0)
        enter(plain, direct[plain])
        index = (np.array(own.states, dtype=np.int64), D + np.arange(P))
        for argument in (0, 1):
            for l, n in zip(*own.value.jac_sparsity(0, argument).get_triplet(), strict=True):
                enter(np.array([own.channels[l]]), index[argument][[n]])
        return uses, _ones((L, D + P), rows, columns)

    @cached_property
    def field(self) -> ca.Function:
        """(x, u, theta, t) -> k, shape (D,): the site function mapped over all sites."""
        import casadi as ca

        count = self.model.lattice.count
        x, u = ca.MX.sym("x", self.D), ca.MX.sym("u", self.U)
        theta, t = ca.MX.sym("theta", self.P), ca.MX.sym("t")
        values = ca.vertcat(x, 0.0)[self.places.reshape(-1).tolist()]
        stencil = ca.reshape(values, len(self.stencil), count)
        numbers = ca.DM(self.model.lattice.coordinates().astype(float))
        columns = [ca.repmat(part, 1, count) for part in (u, theta, t)]
        k = self.site.map(count)(stencil, *columns, numbers)
        names = ["x", "u", "theta", "t"]
        return ca.Function("field", [x, u, theta, t], [ca.vec(k.T)], names, ["value"])

    @cached_property
    def expressions(self) -> Expressions:
        """The measured quantities that are not plain states."""
        return Expressions.of(self.model, self.measurement, self.parameters, self.direct)

    @cached_property
    def measure(self) -> ca.Function:
        """(x, theta) -> h, shape (L,)."""
        import casadi as ca

        x, theta = ca.MX.sym("x", self.D), ca.MX.sym("theta", self.P)
        own, direct = self.expressions, np.array(self.direct)
        h = ca.MX.zeros(self.L)
        plain = np.flatnonzero(direct >= 0)
        if plain.size:
            h[plain.tolist()] = x[direct[plain].tolist()]
        if own.channels:
            h[list(own.channels)] = own.value(x[list(own.states)], theta)
        return ca.Function("measure", [x, theta], [h], ["x", "theta"], ["value"])


#: What a model is to the machine.
MachineField: TypeAlias = Field | LatticeField


@dataclass(frozen=True)
class Expressions:
    """Measured functions of a few states: h, and the measurement term's derivatives."""

    #: Which channels they are, and the states that they use, z.
    channels: tuple[int, ...]
    states: tuple[int, ...]
    value: ca.Function  #: (z, theta) -> h.
    #: (z, theta, y, rm) -> sum rm (h - y)^2 / 2 and its gradient by (z, theta).
    gradient: ca.Function
    product: ca.Function  #: (z, theta, y, rm, dz, dtheta) -> its Hessian times (dz, dtheta).
    diagonal: ca.Function  #: (z, theta, rm) -> by z, that of the Hessian without h's curvature.

    @classmethod
    def of(
        cls,
        model: LatticeModel,
        measurement: Measurement,
        parameters: Sequence[Parameter],
        direct: Sequence[int],
    ) -> Expressions:
        """Translate and differentiate the channels that are not plain states."""
        import casadi as ca

        channels = tuple(l for l, index in enumerate(direct) if index < 0)
        functions = [measurement.functions[l] for l in channels]
        used = {s for function in functions for s in function.free_symbols}
        states = [(a, s) for a, s in enumerate(model.states) if s in used] if used else []
        z, theta = ca.SX.sym("z", len(states)), ca.SX.sym("theta", len(parameters))
        symbols: dict[Expr, ca.SX] = {
            **{s: z[n] for n, (_, s) in enumerate(states)},
            **{p: theta[n] for n, p in enumerate(parameters)},
        }
        h = ca.vertcat(ca.SX(0, 1), *to_casadi(functions, symbols, measurement.declarations(model)))
        y, rm = (ca.SX.sym(name, len(channels)) for name in ("y", "rm"))
        dz, dtheta = ca.SX.sym("dz", len(states)), ca.SX.sym("dtheta", len(parameters))
        local = ca.vertcat(z, theta)
        misfit = Channels(rm * (h - y) ** 2 / 2, rm, [True] * len(channels), h)
        gradient = ca.densify(misfit.gradient(local))
        product = ca.densify(misfit.product(local, ca.vertcat(dz, dtheta)))
        slopes = ca.jacobian(h, z)
        diagonal = ca.densify(ca.mtimes((slopes * slopes).T, rm))
        inputs, options = [z, theta, y, rm], {"cse": True}
        return cls(
            channels,
            tuple(a for a, _ in states),
            ca.Function("value", [z, theta], [ca.densify(h)], options),
            ca.Function("gradient", inputs, [misfit.value, gradient], options),
            ca.Function("product", [*inputs, dz, dtheta], [product], options),
            ca.Function("diagonal", [z, theta, rm], [diagonal], options),
        )


def _ones(shape: tuple[int, int], rows: list[IntArray], columns: list[IntArray]) -> csr_array:
    from scipy.sparse import csr_array

    i, j = (np.concatenate([np.empty(0, np.int64), *part]) for part in (rows, columns))
    return csr_array((np.ones(i.size), (i, j)), shape=shape)


def direct_states(states: Sequence[State], functions: Sequence[Expr]) -> tuple[int, ...]:
    """For each measured quantity the index of the state it is, else -1."""
    index = {state: a for a, state in enumerate(states)}
    return tuple(index.get(function, -1) for function in functions)


def derive_lattice(model: LatticeModel, measurement: Measurement) -> LatticeField:
    """Translate the equations of a site to CasADi SX and differentiate them twice."""
    import casadi as ca

    parameters = (*model.parameters, *measurement.parameters)
    fields = {field: n for n, field in enumerate(model.fields)}
    used = {s for e in model.site_equations for s in e.free_symbols if isinstance(s, SiteState)}
    neighbours = {s: Neighbour(fields[s.field], s.offsets) for s in used}
    stencil = tuple(sorted(neighbours.values(), key=lambda one: (one.field, one.offsets)))

    sizes = {
        "w": len(stencil),
        "u": len(model.forcing),
        "theta": len(parameters),
        "t": 1,
        "site": len(model.lattice.sites),
        "dw": len(stencil),
        "dtheta": len(parameters),
        "kappa": len(model.fields),
        "dkappa": len(model.fields),
    }
    v = {name: ca.SX.sym(name, size) for name, size in sizes.items()}
    symbols: dict[Expr, ca.SX] = {s: v["w"][stencil.index(one)] for s, one in neighbours.items()}
    symbols |= {s: v["u"][n] for n, s in enumerate(model.forcing)}
    symbols |= {s: v["theta"][n] for n, s in enumerate(parameters)}
    symbols |= {s: v["site"][n] for n, s in enumerate(model.lattice.sites)}
    if model.time is not None:
        symbols[model.time] = v["t"]

    k = ca.vertcat(*to_casadi(model.site_equations, symbols, model.declarations))
    unknowns, direction = ca.vertcat(v["w"], v["theta"]), ca.vertcat(v["dw"], v["dtheta"])
    dk = ca.jtimes(k, unknowns, direction)
    g = ca.gradient(ca.dot(v["kappa"], k), unknowns)
    dg = ca.jtimes(g, ca.vertcat(unknowns, v["kappa"]), ca.vertcat(direction, v["dkappa"]))

    def function(name: str, further: Sequence[str], outputs: Mapping[str, ca.SX]) -> ca.Function:
        names = ["w", "u", "theta", "t", "site", *further]
        values = [ca.densify(value) for value in outputs.values()]
        return ca.Function(name, [v[n] for n in names], values, names, list(outputs), {"cse": True})

    return LatticeField(
        model,
        measurement,
        parameters,
        stencil,
        function("field", [], {"k": k}),
        function("tangent", ["dw", "dtheta"], {"k": k, "dk": dk}),
        function("adjoint", ["kappa"], {"g": g}),
        function("second", ["dw", "dtheta", "kappa", "dkappa"], {"g": g, "dg": dg}),
        direct_states(model.states, measurement.functions),
    )


def derive_lattice_step(field: LatticeField, scheme: Scheme) -> Mapping[str, ca.Function]:
    """Functions of one step of a lattice model, composed and differentiated by CasADi only.

    The virtual machine's backend; it shares nothing with the loops that the templates write.

    Returns
    -------
    mapping of name to casadi.Function
        With w the window (E + D) and `step` = (t, h, weight, u): ``step_gradient(w, theta, step,
        rf)``, the step's action and its gradient by (w, theta); ``step_product(w, theta, step, rf,
        dw, dtheta)``, its Hessian times (dw, dtheta); ``step_gauss_newton``, the same without the
        residual's curvature; ``step_residual(w, theta, step)``, and ``step_tangent(w, theta, step,
        dw)``, its derivative along dw.
    """
    import casadi as ca

    D, P, U = field.D, field.P, field.U
    E, S = D * (1 + len(scheme.interior)), len(scheme.abscissae)
    w, theta = ca.MX.sym("w", E + D), ca.MX.sym("theta", P)
    step, rf = ca.MX.sym("step", STEP_HEAD + S * U), ca.MX.sym("rf", D)
    t, h, weight = step[0], step[1], step[2]

    # all of a grid point is one number of this arithmetic
    def slope(stage: int, argument: Sequence[ca.MX]) -> list[ca.MX]:
        start = STEP_HEAD + scheme.slot(stage) * U
        abscissa = t + float(scheme.c[stage]) * h
        return [field.field(argument[0], step[start : start + U], theta, abscissa)]

    window = [[w[i : i + D]] for i in range(0, E + D, D)]
    blocks = step_residual(scheme, slope, window, h, lambda value: ca.MX(float(value)))
    residual = ca.vertcat(*blocks)
    omega = ca.repmat(rf, 1 + len(scheme.interior), 1) * weight
    cost = ca.dot(omega * residual, residual) / 2
    unknowns = ca.vertcat(w, theta)
    dw, dtheta = ca.MX.sym("dw", E + D), ca.MX.sym("dtheta", P)
    # one symbol, so that CasADi differentiates by all of it at once
    joined = ca.MX.sym("joined", E + D + P)
    parts = [joined[: E + D], joined[E + D :], step, rf]
    value = ca.Function("value", [w, theta, step, rf], [cost])(*parts)
    gradient = ca.densify(ca.gradient(value, joined))
    direction = ca.MX.sym("direction", E + D + P)
    product = ca.densify(ca.jtimes(gradient, joined, direction))
    r = ca.Function("r", [w, theta, step], [residual])(*parts[:3])
    along = ca.jtimes(r, joined, direction)
    weighed = omega * along
    gauss_newton = ca.densify(ca.jtimes(r, joined, weighed, True))
    third = ca.Function("third", [joined, step, rf, direction], [gauss_newton])
    first = ca.Function("first", [joined, step, rf], [value, gradient])
    second = ca.Function("second", [joined, step, rf, direction], [product])
    tangent = ca.Function("tangent", [joined, step, direction], [ca.densify(along)])
    inputs = [w, theta, step, rf]
    return {
        "step_gradient": ca.Function("step_gradient", inputs, first.call([unknowns, step, rf])),
        "step_product": ca.Function(
            "step_product",
            [*inputs, dw, dtheta],
            second.call([unknowns, step, rf, ca.vertcat(dw, dtheta)]),
        ),
        "step_gauss_newton": ca.Function(
            "step_gauss_newton",
            [*inputs, dw, dtheta],
            third.call([unknowns, step, rf, ca.vertcat(dw, dtheta)]),
        ),
        "step_residual": ca.Function("step_residual", inputs[:3], [ca.densify(residual)]),
        "step_tangent": ca.Function(
            "step_tangent",
            [*inputs[:3], dw],
            tangent.call([unknowns, step, ca.vertcat(dw, ca.MX.zeros(P))]),
        ),
    }
