"""The displayed gradient and Hessian, evaluated as they are written, against CasADi's."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce

import numpy as np
import pytest
import sympy as sp
from models import ODE_SCHEMES
from numpy.typing import NDArray
from scipy.linalg import block_diag

import symda as sd
from symda.declare import Measurement, Model, measure
from symda.derive.field import derive_field
from symda.derive.step import derive_step
from symda.discretise import SCHEMES, Scheme
from symda.typeset.blocks import gradient_section, hessian_section
from symda.typeset.display import Line
from symda.typeset.notation import Mark
from symda.typeset.subject import Subject

Array = NDArray[np.float64]

STEPS = 3
CONDENSED = Scheme(
    "condensed",
    4,
    c=[0, 1, "1/2"],
    v=[0, 1, "1/2"],
    X=[[0] * 3, [0] * 3, ["1/8", "-1/8", 0]],
    b=["1/6", "1/6", "2/3"],
)
#: The last stage starts from x_n alone, and sees x_{n+1} through the second slope.
THROUGH = Scheme(
    "through",
    2,
    c=[0, 1, "1/2"],
    v=[0, 1, 0],
    X=[[0] * 3, [0] * 3, ["1/4", "1/4", 0]],
    b=[0, 0, 1],
)
KINDS = (*ODE_SCHEMES, CONDENSED, THROUGH)


def cubic(discrete: bool = False) -> tuple[Model, Measurement]:
    q, v = sd.states("q v")
    k, gain = sd.parameters("stiffness gain")
    model = sd.Model({q: v - q**2 / 5, v: -k * q**3 + k**2 * q}, discrete=discrete)
    return model, measure(model, [gain**2 * q * v, v])


def bilinear(discrete: bool = False) -> tuple[Model, Measurement]:
    """The only second derivative of the field is a mixed one."""
    (q,) = sd.states(["q"])
    model = sd.Model({q: sd.parameter("k") * q}, discrete=discrete)
    return model, measure(model, [q])


def additive(discrete: bool = False) -> tuple[Model, Measurement]:
    """The parameter enters on its own: curvature by it comes from composing stages alone."""
    (q,) = sd.states(["q"])
    model = sd.Model({q: sd.parameter("k") - q**2}, discrete=discrete)
    return model, measure(model, [q])


def gauged(discrete: bool = False) -> tuple[Model, Measurement]:
    """All parameters are the measurement's."""
    q, v = sd.states("q v")
    model = sd.Model({q: v, v: -q}, discrete=discrete)
    return model, measure(model, [sd.parameter("gain") * q])


def linear(discrete: bool = False) -> tuple[Model, Measurement]:
    q, v = sd.states("q v")
    model = sd.Model({q: v, v: -q}, discrete=discrete)
    return model, measure(model, [q])


MODELS = (cubic, bilinear, additive, gauged, linear)


class Numbers:
    """Values of everything the displayed blocks are written with, at a random path.

    After the last node stand interior points that do not exist, with rm = 0, so that all
    blocks are of one size.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.field = derive_field(subject.model, subject.measurement)
        self.functions = derive_step(self.field, subject.scheme)
        D, P, L = self.D, self.P, self.L = self.field.D, self.field.P, self.field.L
        self.points = 1 + len(subject.scheme.interior)
        self.E = D * self.points
        rng = np.random.default_rng(3)
        self.path = rng.normal(size=((STEPS + 1) * self.points, D))
        self.y = rng.normal(size=(len(self.path), L))
        exists = np.arange(len(self.path)) <= STEPS * self.points
        self.rm = rng.uniform(1, 3, (len(self.path), L)) * exists[:, None]
        self.theta, self.rf = rng.normal(size=P), rng.uniform(1, 3, D)
        self.h = np.array([0.1, 0.3, 0.2])
        notation = subject.notation
        sizes = {"N": STEPS, "D": D, "L": L, "T": 4, "M": STEPS * self.points + 1}
        self.sizes = {notation.index(letter): size for letter, size in sizes.items()}
        c_m, c_f = (float(factor.subs(self.sizes)) for factor in subject.factors)
        self.c_m = c_m
        self.weight = c_f / self.h if subject.model_error == "rate" else np.full(STEPS, c_f)

    def inputs(self, n: int) -> tuple[Array, Array, Array]:
        window = self.path.reshape(-1)[n * self.E : n * self.E + self.E + self.D]
        return window, self.theta, np.array([0.0, self.h[n], self.weight[n]])

    def total(self) -> tuple[Array, Array]:
        """Gradient and Hessian of the action, added up from CasADi's functions."""
        size = self.path.size + self.P
        gradient, hessian = np.zeros(size), np.zeros((size, size))
        theta = np.arange(self.path.size, size)

        def add(name: str, where: Array, *inputs: Array) -> None:
            gradient[where] += self.functions[f"{name}_gradient"](*inputs)[1].full()[:, 0]
            upper = self.functions[f"{name}_hessian"](*inputs).full()
            hessian[np.ix_(where, where)] += upper + np.triu(upper, 1).T

        for n in range(STEPS):
            window = np.arange(n * self.E, n * self.E + self.E + self.D)
            add("step", np.concatenate([window, theta]), *self.inputs(n), self.rf)
        for i, x in enumerate(self.path):
            where = np.concatenate([np.arange(i * self.D, (i + 1) * self.D), theta])
            point = np.concatenate([self.y[i], self.c_m * self.rm[i]])
            add("point", where, x, self.theta, point)
        return gradient, hessian

    def padded(self, matrix: Array) -> Array:
        """Split columns (w, theta) into z_n, z_{n+1} (with points a step does not see), theta."""
        gap = np.zeros((len(matrix), self.E - self.D))
        cut = self.E + self.D
        return np.hstack([matrix[:, :cut], gap, matrix[:, cut:]])

    def columns(self, by: str) -> slice:
        E = self.E
        return {"0": slice(0, E), "1": slice(E, 2 * E), "theta": slice(2 * E, None)}[by]

    def at_node(self, n: int) -> list[int]:
        return list(range(n * self.points, (n + 1) * self.points))

    def lookup(self, name: str, n: int) -> Array:
        """Value of a mark, by its text."""
        if name.endswith(".T"):
            return self.lookup(name.removesuffix(".T"), n).T
        if ".d2" in name:
            return self.curvature(name, n)
        letter, shift = re.fullmatch(r"(\w+)\[n([+-]1)?\]", name).groups()
        n += int(shift or 0)
        if letter in {"p", "r", "W"} or letter.startswith("J"):
            return self.of_step(letter, n)
        field, nodes = self.field, self.at_node(n)
        if letter == "Rm":
            return np.diag(self.rm[nodes].reshape(-1))
        if letter == "e":
            h = [field.measure(self.path[i], self.theta).full()[:, 0] for i in nodes]
            return (np.concatenate(h) - self.y[nodes].reshape(-1))[:, None]
        jacobians = [field.measure_jacobian(self.path[i], self.theta)[1].full() for i in nodes]
        if letter == "G0":
            return block_diag(*(J[:, : self.D] for J in jacobians))
        assert letter == "Gtheta"
        return np.vstack([J[:, self.D :] for J in jacobians])

    def of_step(self, letter: str, n: int) -> Array:
        exists = 0 <= n < STEPS
        inputs = self.inputs(n if exists else 0)
        r = self.functions["step_residual"](*inputs).full()
        W = np.diag(np.tile(self.rf, self.points)) * self.weight[n if exists else 0]
        J = self.padded(self.functions["step_jacobian"](*inputs).full())
        value = {"r": r, "W": W, "p": W @ r}.get(letter)
        if value is None:
            value = J[:, self.columns(letter.removeprefix("J"))]
        return value * exists

    def curvature(self, name: str, n: int) -> Array:
        parts = re.fullmatch(r"(.+)\.d2([rh])(?:\(.\[n\]\)|\[n(?:-1)?\])/(.+)", name)
        weight, what, by = parts.groups()
        bys = re.findall(r"d(theta|.\[n(?:\+1)?\])", by)
        if what == "r":
            m = n - 1 if "[n-1]" in weight else n
            lam = self.of_step("p", m)
            inputs = self.inputs(m if 0 <= m < STEPS else 0)
            upper = self.functions["step_curvature"](*inputs, lam).full()
            full = self.padded(self.padded(upper + np.triu(upper, 1).T).T)
            at = {f"{z}[n]": "1" if m < n else "0" for z in "xz"}
            at |= {f"{z}[n+1]": "1" for z in "xz"} | {"theta": "theta"}
            first, second = (self.columns(at[b]) for b in bys)
            return full[first, second]
        assert weight == "(Rm[n]*e[n])"
        nu = (self.lookup("Rm[n]", n) @ self.lookup("e[n]", n)).reshape(self.points, self.L)
        D, blocks = self.D, []
        for i, weights in zip(self.at_node(n), nu, strict=True):
            lower = self.field.measure_curvature(self.path[i], self.theta, weights).full()
            blocks.append(lower + np.tril(lower, -1).T)
        match bys:
            case ["theta", "theta"]:
                return sum(B[D:, D:] for B in blocks)
            case [_, "theta"]:
                return np.vstack([B[:D, D:] for B in blocks])
        return block_diag(*(B[:D, :D] for B in blocks))

    def evaluate(self, expression: sp.Expr, n: int) -> Array | float:
        """Evaluate an expression as it is written, at step n."""
        if isinstance(expression, sp.Sum):
            ((_, low, high),) = expression.limits
            steps = range(int(low), int(high.subs(self.sizes)) + 1)
            return sum(self.evaluate(expression.function, m) for m in steps)
        if expression.is_Add:
            return sum(self.evaluate(term, n) for term in expression.args)
        if expression.is_Mul:
            factors = [self.evaluate(factor, n) for factor in expression.args]
            scalars = [factor for factor in factors if np.isscalar(factor)]
            matrices = [factor for factor in factors if not np.isscalar(factor)]
            return float(np.prod(scalars)) * reduce(np.matmul, matrices)
        if isinstance(expression, Mark):
            return self.lookup(expression.name, n)
        return float(expression.subs(self.sizes))


def check(model: Model, measurement: Measurement, scheme: Scheme, **options: str) -> None:
    subject = Subject(
        model,
        measurement,
        scheme,
        options.get("model_error", "step"),
        options.get("averaging", "sum"),
    )
    numbers = Numbers(subject)
    gradient, hessian = numbers.total()
    z = "z" if scheme.interior else "x"
    lines: dict[str, Line] = {
        line.left.name: line
        for section in (gradient_section(subject), hessian_section(subject))
        for line in section.lines
    }
    E, border = numbers.E, slice(numbers.path.size, None)
    has_border = numbers.P > 0
    assert (f"d2A/d{z}[n]dtheta" in lines) is has_border

    def block(n: int) -> slice:
        return slice(n * E, (n + 1) * E)

    compare = _Compare(numbers, lines, max(1.0, abs(hessian).max()))
    for n in range(STEPS + 1):
        compare(f"dA/d{z}[n]", n, gradient[block(n), None])
        compare(f"d2A/d{z}[n]d{z}[n]", n, hessian[block(n), block(n)])
        if n < STEPS:
            compare(f"d2A/d{z}[n]d{z}[n+1]", n, hessian[block(n), block(n + 1)])
        if has_border:
            compare(f"d2A/d{z}[n]dtheta", n, hessian[block(n), border])
    if has_border:
        compare("dA/dtheta", 0, gradient[border, None])
        compare("d2A/dtheta dtheta", 0, hessian[border, border])


class _Compare:
    def __init__(self, numbers: Numbers, lines: dict[str, Line], scale: float) -> None:
        self.numbers, self.lines, self.scale = numbers, lines, scale

    def __call__(self, name: str, n: int, expected: Array) -> None:
        got = self.numbers.evaluate(self.lines[name].right, n)
        assert np.shape(got) == expected.shape, name
        assert abs(got - expected).max() <= 1e-12 * self.scale, (name, n)


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("scheme", KINDS, ids=lambda scheme: scheme.name)
def test_blocks_as_displayed(
    scheme: Scheme, make: Callable[..., tuple[Model, Measurement]]
) -> None:
    check(*make(), scheme)


@pytest.mark.parametrize("make", MODELS)
def test_blocks_of_a_map(make: Callable[..., tuple[Model, Measurement]]) -> None:
    check(*make(discrete=True), SCHEMES["map"])


@pytest.mark.parametrize("averaging", ["eq2", "eq14", "minaone", "varanneal"])
@pytest.mark.parametrize("model_error", ["step", "rate"])
def test_blocks_with_options(averaging: str, model_error: str) -> None:
    if model_error == "step":
        check(*cubic(), SCHEMES["hermite-simpson"], averaging=averaging)
    else:
        check(*cubic(), SCHEMES["trapezoid"], averaging=averaging, model_error=model_error)
