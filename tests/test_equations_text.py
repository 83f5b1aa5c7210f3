"""What the displayed mathematics says, and that it is true."""

from __future__ import annotations

import cmath
import pickle
import re
from functools import cache

import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.declare import State, measure
from symda.discretise import SCHEMES, Scheme, step_residual
from symda.errors import OptionError
from symda.observe.weights import averaging_factors, step_weights
from symda.typeset.display import WIDTH, latex_part, text_part
from symda.typeset.equations import Equations, equations
from symda.typeset.formulas import StepNotation, derivative_lines, residual_lines
from symda.typeset.notation import Mark, Notation
from symda.typeset.sections import LISTED
from symda.typeset.subject import Subject

#: A stage that sees both ends only through earlier slopes, at a place that is no grid point.
CASH = Scheme(
    "cash", 4, c=[0, 1, "1/2"], v=[0, 1, "1/2"], X=[[0] * 3, [0] * 3, ["1/8", "-1/8", 0]],
    b=["1/6", "1/6", "2/3"],
)  # fmt: skip
BACKWARD = Scheme("backward", 1, c=[1], v=[1], X=[[0]], b=[1])
AVERAGING = ("sum", "eq2", "eq14", "minaone", "varanneal")


def oscillator(**options: bool) -> sd.Model:
    q, v = sd.states("q v")
    k, f, t = sd.parameter("stiffness"), sd.forcing("push"), sd.time()
    return sd.Model({q: v, v: -k * q**3 + f * sp.cos(t)}, name="oscillator", **options)


def shown(model: sd.Model, scheme: str | Scheme, **options: str) -> Equations:
    chosen = SCHEMES[scheme] if isinstance(scheme, str) else scheme
    return equations(model, measure(model, [model.states[0]]), chosen, **options)


def body(of: Equations, title: str) -> list[str]:
    """Return the lines of a section, below its note."""
    for part in str(of).split("\n\n"):
        if part.startswith(title):
            following = str(of).split(part + "\n\n", 1)[1].split("\n\n")[0]
            return [line.strip() for line in following.splitlines()]
    raise AssertionError(f"no section {title}")


WHERE = ["x = (q, v)", "u = push", "theta = stiffness"]


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (
            "euler",
            [
                "F[n] = F(x[n], u(t[n]), theta, t[n])",
                "r[n] = x[n+1] - x[n] - h[n]*F[n]",
            ],
        ),
        (
            "rk4",
            [
                "k1 = F(x[n], u(t[n]), theta, t[n])",
                "k2 = F(x[n] + h[n]*k1/2, u(t[n] + h[n]/2), theta, t[n] + h[n]/2)",
                "k3 = F(x[n] + h[n]*k2/2, u(t[n] + h[n]/2), theta, t[n] + h[n]/2)",
                "k4 = F(x[n] + h[n]*k3, u(t[n] + h[n]), theta, t[n] + h[n])",
                "r[n] = x[n+1] - x[n] - h[n]*(k1 + 2*k2 + 2*k3 + k4)/6",
            ],
        ),
        (
            "trapezoid",
            [
                "F[n] = F(x[n], u(t[n]), theta, t[n])",
                "r[n] = x[n+1] - x[n] - h[n]*(F[n] + F[n+1])/2",
            ],
        ),
        (
            "midpoint",
            [
                "k1 = F((x[n] + x[n+1])/2, u(t[n] + h[n]/2), theta, t[n] + h[n]/2)",
                "r[n] = x[n+1] - x[n] - h[n]*k1",
            ],
        ),
        (
            "hermite-simpson",
            [
                "F[n] = F(x[n], u(t[n]), theta, t[n])",
                "F_m[n] = F(m[n], u(t[n] + h[n]/2), theta, t[n] + h[n]/2)",
                "S[n] = x[n+1] - x[n] - h[n]*(F[n] + 4*F_m[n] + F[n+1])/6",
                "H[n] = m[n] - (x[n] + x[n+1])/2 - h[n]*(F[n] - F[n+1])/8",
            ],
        ),
        ("map", ["r[n] = x[n+1] - f(x[n], u(t[n]), theta, t[n])"]),
        (BACKWARD, ["F[n+1] = F(x[n+1], u(t[n] + h[n]), theta, t[n] + h[n])",
                    "r[n] = x[n+1] - x[n] - h[n]*F[n+1]"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_each_scheme_is_written_out(scheme: str | Scheme, expected: list[str]) -> None:
    model = oscillator(discrete=True) if scheme == "map" else oscillator()
    title = "Step" if scheme == "map" else "Step: "
    assert body(shown(model, scheme), title) == WHERE + expected


def test_only_what_the_field_depends_on_is_an_argument() -> None:
    (x,) = sd.states(["V"])
    of = shown(sd.Model({x: -x}), "euler")
    assert body(of, "Step: euler") == [
        "x = V",
        "F[n] = F(x[n])",
        "r[n] = x[n+1] - x[n] - h[n]*F[n]",
    ]
    assert "theta" not in str(of)
    assert "There is no curvature: the action is quadratic." in " ".join(str(of).split())


def test_the_model_is_written_with_its_own_names() -> None:
    of = shown(oscillator(), "rk4")
    assert str(of).startswith(
        "ODE oscillator\n"
        "--------------\n"
        "  2 states, 1 parameter, 1 forcing channel.\n\n"
        "  dq/dt = v\n"
        "  dv/dt = push*cos(t) - stiffness*q**3\n\n"
        "Measured\n"
    )
    assert body(of, "Jacobian of F") == [
        "dF[q]/dv = 1",
        "dF[v]/dq = -3*stiffness*q**2",
        "dF[v]/dstiffness = -q**3",
    ]
    assert body(of, "Second derivatives of F") == [
        "d2F[v]/dq2 = -6*stiffness*q",
        "d2F[v]/dq dstiffness = -3*q**2",
    ]
    q, _, k = of.unknowns
    assert of.jacobian == sp.Matrix([[0, 1], [-3 * q**2 * k, 0]])
    assert of.parameter_jacobian == sp.Matrix([0, -(q**3)])
    assert of.second_derivatives == {(1, 0, 0): -6 * q * k, (1, 0, 2): -3 * q**2}


def test_a_map_is_written_with_its_step() -> None:
    of = shown(oscillator(discrete=True), "map")
    assert body(of, "Map oscillator") == [
        "q[n+1] = v[n]",
        "v[n+1] = cos(t[n])*push[n] - stiffness*q[n]**3",
    ]


def test_channels_are_numbered_and_named() -> None:
    model = oscillator()
    q, v = model.states
    gain = sd.parameter("gain")
    of = equations(model, measure(model, {"energy": gain * v**2, "q": q}), SCHEMES["euler"])
    assert body(of, "Measured") == ["h_1 = gain*v**2   (channel energy)", "h_2 = q"]
    assert "theta = (stiffness, gain)" in body(of, "Step: euler")
    assert body(of, "Gradient")[-1] == (
        "dA/dtheta = sum_{n=0..N-1} (Jtheta[n].T*p[n]) + sum_{n=0..N} (Gtheta[n].T*Rm[n]*e[n])"
    )


@pytest.mark.parametrize(
    ("averaging", "data", "model"),
    [
        ("sum", "Rm[l,s]*(h_l(x(tau[s])) - y[l,s])**2/2", "Rf[a]*r[n,a]**2/2"),
        ("eq2", "Rm[l,s]*(h_l(x(tau[s])) - y[l,s])**2/(2*L)", "Rf[a]*r[n,a]**2/2"),
        ("eq14", "Rm[l,s]*(h_l(x(tau[s])) - y[l,s])**2/(2*L)", "Rf[a]*r[n,a]**2/(D*N)"),
        ("minaone", "Rm[l,s]*(h_l(x(tau[s])) - y[l,s])**2/M", "Rf[a]*r[n,a]**2/M"),
        ("varanneal", "Rm[l,s]*(h_l(x(tau[s])) - y[l,s])**2/(L*T)", "Rf[a]*r[n,a]**2/(D*N)"),
    ],
)
def test_the_action_with_each_averaging(averaging: str, data: str, model: str) -> None:
    of = shown(oscillator(), "rk4", averaging=averaging)
    line = " ".join(body(of, f"Action ({averaging}, step)"))
    assert line == f"A = sum_{{s=1..T, l=1..L}} ({data}) + sum_{{n=0..N-1, a=1..D}} ({model})"


def test_the_action_of_hermite_simpson_as_a_rate() -> None:
    of = shown(oscillator(), "hermite-simpson", model_error="rate")
    line = " ".join(body(of, "Action (sum, rate)"))
    assert line.endswith("sum_{n=0..N-1, a=1..D} (Rf[a]*(S[n,a]**2 + H[n,a]**2)/(2*h[n]))")
    assert "W[n] = diag(Rf, Rf)/h[n]" in body(of, "Gradient")


@pytest.mark.parametrize("averaging", AVERAGING)
def test_the_symbolic_factors_are_those_of_the_program(averaging: str) -> None:
    model = oscillator()
    measurement = measure(model, [model.states[0]])
    sizes = {"N": 7, "M": 15, "D": 2, "L": 3, "T": 5}
    subject = Subject(model, measurement, SCHEMES["rk4"], "rate", averaging)
    values = {subject.notation.index(letter): size for letter, size in sizes.items()}
    expected = averaging_factors(averaging, **sizes)
    assert [float(f.subs(values)) for f in subject.factors] == pytest.approx(expected, rel=1e-15)
    weight = subject.step_weight.subs({**values, subject.notation.h: 0.25})
    h = np.array([0.25])
    assert float(weight) == pytest.approx(step_weights("rate", expected[1], h, discrete=False)[0])


def test_a_wrong_option_is_refused_by_name() -> None:
    with pytest.raises(OptionError) as averaging:
        shown(oscillator(), "rk4", averaging="eq3")
    assert str(averaging.value).startswith("averaging must be one of sum, eq2,")
    with pytest.raises(OptionError) as rate:
        shown(oscillator(discrete=True), "map", model_error="rate")
    assert "model_error='rate' needs a continuous time" in str(rate.value)


@pytest.mark.parametrize("scheme", [*SCHEMES.values(), CASH, BACKWARD], ids=lambda s: s.name)
def test_the_written_residual_and_derivatives_are_right(scheme: Scheme) -> None:
    """Put numbers into the displayed formulas of one component; derivatives by complex step."""
    (x,) = sd.states(["V"])
    p = sd.parameter("p")
    model = sd.Model({x: p * sp.sin(x) + p**2}, discrete=scheme.discrete)
    step = StepNotation(scheme, Notation.of(model, measure(model, [x])))
    h, start, theta = 0.3, [0.7, 1.1, -0.4, 0.3, -0.9][: 2 + len(scheme.interior)], 1.3
    arguments: dict[int, complex] = {}

    def field(state: complex, parameter: complex) -> complex:
        return parameter * cmath.sin(state) + parameter**2

    def residual(window: list[complex], parameter: complex) -> list[complex]:
        def slope(stage: int, argument: list[complex]) -> list[complex]:
            arguments[stage] = argument[0]
            return [field(argument[0], parameter)]

        return step_residual(scheme, slope, [[v] for v in window], h, float)

    expected = {m: v for m, v in zip(step.residuals, residual(start, theta), strict=True)}
    values: dict[sp.Expr, complex] = dict(zip(step.points, start, strict=True))
    unknown = step.notation.vector("theta", None)
    values |= {unknown: theta, step.notation.h: h, Mark("Id", r"\mathbf{1}"): 1}
    for stage, argument in arguments.items():
        values[step.slope(stage)] = field(argument, theta)
        values[step.jacobian(stage)] = theta * cmath.cos(argument)
        values[step.by_parameters(stage)] = cmath.sin(argument) + 2 * theta

    def evaluated(*given: sp.Expr) -> sp.Expr:
        return sp.sympify(field(*map(complex, given)))

    def number(expression: sp.Expr) -> complex:
        put = expression.xreplace({key: sp.sympify(value) for key, value in values.items()})
        for name in {step.field(stage) for stage in range(scheme.stages)}:
            put = put.replace(sp.Function(name), evaluated)
        return complex(put)

    lines = residual_lines(step)
    assert {line.left for line in lines} >= set(expected)
    for line in lines:
        assert number(line.right) == pytest.approx(values.get(line.left, expected.get(line.left)))

    found = {}
    for line in derivative_lines(step, parameters=True):
        found[line.left.name] = values[line.left.bracketed] = number(line.right)
    tiny = 1e-30
    for position, mark in enumerate([*step.points, unknown]):
        moved = [v + 1j * tiny * (i == position) for i, v in enumerate([*start, theta])]
        change = [value.imag / tiny for value in map(complex, residual(moved[:-1], moved[-1]))]
        for block, derivative in zip(step.residuals, change, strict=True):
            assert found[f"d{block.name}/d{mark.name}"] == pytest.approx(derivative, rel=1e-12)


def test_cross_curvature_only_where_a_stage_sees_both_ends() -> None:
    def crossing(scheme: str | Scheme) -> bool:
        line = next(s for s in body(shown(oscillator(), scheme), "Hessian") if "dx[n+1] =" in s)
        return "d2r[n]/dx[n]dx[n+1]" in line

    assert [crossing(s) for s in ("rk4", "trapezoid", "midpoint", CASH)] == [
        False,
        False,
        True,
        True,
    ]


def test_letters_give_way_to_the_names_of_the_model() -> None:
    x, n, h = sd.states("x n h")
    theta, F, Rm = sd.parameters("theta F Rm")
    model = sd.Model({x: theta - x * n, n: F * h - n, h: -Rm * h}, name="clash")
    assert body(shown(model, "trapezoid"), "Step: trapezoid") == [
        "X = (x, n, h)",
        "Theta = (theta, F, Rm)",
        "Field[i] = Field(X[i], Theta)",
        "r[i] = X[i+1] - X[i] - dt[i]*(Field[i] + Field[i+1])/2",
    ]
    assert "R_m[l,s]" in str(shown(model, "trapezoid"))


def test_long_lists_say_how_much_they_leave_out() -> None:
    x = sd.states("x", 40)
    model = sd.Model({x[a]: x[a - 1] * (x[(a + 1) % 40] - x[a - 2]) - x[a] for a in range(40)})
    of = shown(model, "rk4")
    text = " ".join(str(of).split())
    assert f"160 entries not zero; the first {LISTED} are listed, 100 left out" in text
    assert len(body(of, "Jacobian of F")) == LISTED
    assert sum(1 for entry in of.jacobian if entry != 0) == 160
    assert len(of.second_derivatives) == 80
    assert "x = (x0, x1, x2, ..., x39)" in str(of)


def neuron() -> sd.Model:
    V, m, h = sd.states("V m h")
    g, E, C = sd.parameters("g_Na E_Na C")
    current = sd.forcing("I")
    rate = (V + 40) / (1 - sp.exp(-(V + 40) / 10))
    return sd.Model(
        {
            V: (current + g * m**3 * h * (E - V)) / C,
            m: rate * (1 - m) - 4 * sp.exp(-(V + 65) / 18) * m,
            h: sp.Piecewise(((1 - h) / 2, V < -60), (-h, True)),
        },
        name="a_neuron & more",
    )


@pytest.mark.parametrize("model_error", ["step", "rate"])
@pytest.mark.parametrize("scheme", ["rk4", "hermite-simpson"])
def test_text_is_plain_and_fits_the_page(scheme: str, model_error: str) -> None:
    text = str(shown(neuron(), scheme, model_error=model_error))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.isascii()


@pytest.mark.parametrize("scheme", ["rk4", "hermite-simpson"])
def test_latex_is_balanced(scheme: str) -> None:
    of = shown(neuron(), scheme, averaging="varanneal")
    for latex in (of.latex(), of._repr_latex_()):
        plain = re.sub(r"\\[{}]", "", latex)
        depth = 0
        for character in plain:
            depth += (character == "{") - (character == "}")
            assert depth >= 0
        assert depth == 0
        opened = re.findall(r"\\begin\{([a-z*]+)\}", latex)
        assert sorted(opened) == sorted(re.findall(r"\\end\{([a-z*]+)\}", latex))
        assert latex.count(r"\left") - latex.count(r"\leftarrow") == latex.count(r"\right")
        assert not re.search(r"(?<!\\)[#%$]", latex.strip("$"))
        assert "&&" not in latex.replace(r" && \text", "")
    assert of.latex().startswith(r"\paragraph{ODE a\_neuron \& more.}")
    assert of._repr_latex_().startswith("$$\\begin{aligned}\n")
    assert of._repr_latex_().endswith("\n\\end{aligned}$$")


@cache
def rendered(latex: str) -> None:
    """Lay out a formula; most of them are those of many schemes."""
    from matplotlib.mathtext import MathTextParser

    MathTextParser("agg").parse(f"${latex}$")


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_latex_renders(scheme: str) -> None:
    model = oscillator(discrete=scheme == "map")
    of = shown(model, scheme, averaging="eq14")
    for section in of.sections:
        for line in section.lines:
            for part in (line.left, line.right):
                rendered(latex_part(part, ordered=line.ordered))


def test_the_sums_read_as_in_the_paper() -> None:
    latex = shown(oscillator(), "rk4").latex()
    assert (
        r"A &= \sum_{s=1}^{T} \sum_{l=1}^{L} \frac{{R_m}_{l,s} \left(h_{l}(\mathbf{x}(\tau_{s})) - "
        r"{y}_{l,s}\right)^{2}}{2}"
    ) in latex
    assert r"\sum_{n=0}^{N - 1} \sum_{a=1}^{D} \frac{{R_f}_{a} {r}_{n,a}^{2}}{2}" in latex


@pytest.mark.parametrize("name", ["100% #1", "a{b}", "x^2_", "back\\slash", "_x", "two words"])
def test_any_name_can_be_typeset(name: str) -> None:
    from matplotlib.mathtext import MathTextParser

    latex = latex_part(State(name))
    assert not re.search(r"(?<!\\)[#%&]", latex)
    MathTextParser("agg").parse(f"${latex}$")


def test_equations_can_be_compared() -> None:
    of = shown(oscillator(), "rk4")
    again = shown(oscillator(), "rk4")
    assert of == again
    assert hash(of) == hash(again)
    assert of != shown(oscillator(), "euler")


def test_a_mark_is_its_text_and_its_latex() -> None:
    mark = Mark("A[n]", "A_{n}")
    assert mark != Mark("A[n]", "B_{n}")
    assert text_part(mark.T * Mark("B", "B")) == "A[n].T*B"
    assert latex_part(mark.T) == "A_{n}^{T}"
    assert pickle.loads(pickle.dumps(mark)) == mark


def test_mechanics_whose_parameters_are_called_like_its_functions() -> None:
    q, v = sd.state("q"), sd.state("v")
    L, H, t = sd.parameters("L H t")
    model = sd.Model.from_lagrangian(L**2 * v**2 / 2 + H * t * sp.cos(q), q, v, name="named")
    printed = str(sd.Action(model, [q]).equations())
    first, _, section = printed.partition("Mechanics\n---------\n")
    assert "dq/dtime = p_q/L**2\n" in first and "/dt " not in first
    said, _, lines = section.partition("\n\nMeasured")[0].partition("\n\n")
    assert " ".join(said.split()) == (
        "Where the equations come from: dq/dtime = dHamiltonian/dp_q, "
        "dp_q/dtime = -dHamiltonian/dq. Hamiltonian is constant."
    )
    assert [line.strip() for line in lines.splitlines()] == [
        "Lagrangian = H*t*cos(q) + L**2*v**2/2",
        "v = dq/dtime",
        "p_q = L**2*v   (dLagrangian/dv)",
        "Hamiltonian = p_q**2/(2*L**2) - H*t*cos(q)",
    ]
