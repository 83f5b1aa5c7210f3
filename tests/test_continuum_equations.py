"""The derived continuous equations of known models against what is written here by hand."""

from __future__ import annotations

import pickle
import re

import casadi as ca
import numpy as np
import pytest
import sympy as sp
import test_continuum as reference
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import symda as sd
from symda.errors import OptionError
from symda.typeset.display import Readable


def symbols(*found: Readable) -> dict[str, sp.Symbol]:
    """All symbols in the equations, by the name they print as."""
    lists = ("equations", "constraints", "folded", "jumps", "boundary", "second_order")
    every: set[sp.Symbol] = set()
    for of in found:
        for name in lists:
            for equation in getattr(of, name, ()):
                every |= equation.free_symbols
    named = {s.name: s for s in every}
    assert len(named) == len(every)
    return named


def solved(of: Readable, name: str = "equations") -> dict[str, sp.Expr]:
    """The right-hand sides by the name of the left."""
    return {equation.lhs.name: equation.rhs for equation in getattr(of, name)}


def same(got: sp.Expr, expected: sp.Expr) -> bool:
    return sp.simplify(sp.expand(got - expected)) == 0


def lorenz63() -> sd.Action:
    model = sd.models.lorenz63()
    return sd.Action(model, [model["x"]], model_error="rate")


def test_lorenz63() -> None:
    """x' = sigma (y - x), y' = x (rho - z) - y, z' = x y - beta z, x measured."""
    action = lorenz63()
    hamilton, lagrange, euler = action.hamilton(), action.lagrangian(), action.euler_lagrange()
    s = symbols(hamilton, euler)
    x, y, z, sigma, rho, beta = (s[n] for n in ("x", "y", "z", "sigma", "rho", "beta"))
    px, py, pz = (s[f"p_{n}"] for n in "xyz")
    vx, vy, vz = (s[f"{n}'"] for n in "xyz")
    Rx, Ry, Rz = (s[f"Rf[{n}]"] for n in "xyz")
    Rm, data = s["Rm[1]"], s["Y[1]"]
    ex, ey, ez = vx - sigma * (y - x), vy - x * (rho - z) + y, vz - x * y + beta * z

    L = Rm * (x - data) ** 2 / 2 + (Rx * ex**2 + Ry * ey**2 + Rz * ez**2) / 2
    assert same(lagrange.lagrangian, L)
    assert lagrange.density == lagrange.lagrangian
    for name, value in {"p_x": Rx * ex, "p_y": Ry * ey, "p_z": Rz * ez}.items():
        assert same(solved(lagrange)[name], value)

    H = px**2 / (2 * Rx) + py**2 / (2 * Ry) + pz**2 / (2 * Rz) - Rm * (x - data) ** 2 / 2
    H += px * sigma * (y - x) + py * (x * (rho - z) - y) + pz * (x * y - beta * z)
    assert same(action.hamiltonian().hamiltonian, H)
    expected = {
        "x'": sigma * (y - x) + px / Rx,
        "y'": x * (rho - z) - y + py / Ry,
        "z'": x * y - beta * z + pz / Rz,
        "p_x'": Rm * (x - data) + sigma * px - (rho - z) * py - y * pz,
        "p_y'": -sigma * px + py - x * pz,
        "p_z'": x * py + beta * pz,
    }
    got = solved(hamilton)
    assert list(got) == list(expected)
    assert all(same(got[name], value) for name, value in expected.items())
    assert list(solved(action.hamiltonian())) == ["x'", "y'", "z'"]

    # (d/dt + DF^T) Rf (x' - F) = Rm (x - y) on the measured component
    ax, ay, az = (s[f"{n}''"] for n in "xyz")
    rates = [
        Rx * (ax - sigma * (vy - vx)),
        Ry * (ay - vx * (rho - z) + x * vz + vy),
        Rz * (az - vx * y - x * vy + beta * vz),
    ]
    DF = sp.Matrix([[-sigma, sigma, 0], [rho - z, -1, -x], [y, x, -beta]])
    back = DF.T * sp.Matrix([Rx * ex, Ry * ey, Rz * ez])
    for row, equation in enumerate(euler.equations):
        left = rates[row] + back[row] - (Rm * (x - data) if row == 0 else 0)
        assert same(equation.lhs - equation.rhs, left)
        acceleration = euler.second_order[row]
        assert acceleration.lhs == (ax, ay, az)[row]
        assert same(left.subs(acceleration.lhs, acceleration.rhs), 0)

    (jump,) = hamilton.jumps
    assert same(jump.rhs, s["Rm[1,s]"] * (x - s["Y[1,s]"]))
    assert str(jump.lhs) == "p_x(tau[s]+) - p_x(tau[s]-)"
    ends = [f"p_{n}({t})" for t in ("t0", "tF") for n in "xyz"]
    assert [str(condition.lhs) for condition in hamilton.boundary] == ends
    integrands = {sigma: px * (y - x), rho: py * x, beta: -pz * z}
    for parameter, condition in zip(action.parameters, hamilton.parameters, strict=True):
        assert same(condition.lhs.function, integrands[parameter])


def test_pendulum() -> None:
    """angle' = rate, rate' = -k sin(angle) - c rate + drive, a function of both measured."""
    model = sd.models.pendulum()
    angle, rate = model.states
    gain = sd.parameter("gain")
    action = sd.Action(model, {"height": gain * sp.cos(angle), "rate": rate})
    hamilton, euler = action.hamilton(), action.euler_lagrange()
    s = symbols(hamilton, euler)
    k, c, drive = (s[n] for n in ("k", "c", "drive"))
    p, q, Rp, Rq = (s[n] for n in ("p_angle", "p_rate", "Rf[angle]", "Rf[rate]"))
    misfit = gain * sp.cos(angle) - s["y[1]"]
    expected = {
        "angle'": rate + p / Rp,
        "rate'": -k * sp.sin(angle) - c * rate + drive + q / Rq,
        "p_angle'": k * sp.cos(angle) * q - s["Rm[1]"] * misfit * gain * sp.sin(angle),
        "p_rate'": c * q - p + s["Rm[2]"] * (rate - s["y[2]"]),
    }
    assert all(same(solved(hamilton)[name], value) for name, value in expected.items())
    accelerations = solved(euler, "second_order")
    v, w = s["angle'"], s["rate'"]
    by_hand = w + (k * sp.cos(angle) * Rq * (w + k * sp.sin(angle) + c * rate - drive)) / Rp
    by_hand -= s["Rm[1]"] * misfit * gain * sp.sin(angle) / Rp
    assert same(accelerations["angle''"], by_hand)
    by_hand = -k * sp.cos(angle) * v - c * w + s["drive'"] - Rp * (v - rate) / Rq
    by_hand += c * (w + k * sp.sin(angle) + c * rate - drive)
    by_hand += s["Rm[2]"] * (rate - s["y[2]"]) / Rq
    assert same(accelerations["rate''"], by_hand)
    # that of the measured function alone as well
    integrand = dict(zip(action.parameters, hamilton.parameters, strict=True))[gain].lhs.function
    assert same(integrand, -s["Rm[1]"] * misfit * sp.cos(angle))
    # H changes with the drive and with the data, and by nothing else
    by_drive = hamilton.energy_rate.coeff(s["drive'"])
    assert same(by_drive, q)


def nakl() -> sd.Action:
    model = sd.models.nakl()
    return sd.Action(model, [model["V"]])


def test_nakl_against_casadi() -> None:
    """H written by hand in CasADi and differentiated there, at random points."""
    hamilton = nakl().hamilton()
    s = symbols(hamilton)
    names = [*sd.models.NAKL, "I", "V", "m", "h", "n", "p_V", "p_m", "p_h", "p_n"]
    names += [*(f"Rf[{g}]" for g in "Vmhn"), "Rm[1]", "y[1]"]
    v = {name: ca.SX.sym("v") for name in names}
    V, m, h, n = (v[x] for x in "Vmhn")

    def gate(g: ca.SX, which: str) -> ca.SX:
        steep = ca.tanh((V - v[f"V{which}"]) / v[f"dV{which}"])
        return ((1 + steep) / 2 - g) / (v[f"t{which}0"] + v[f"t{which}1"] * (1 - steep**2))

    current = v["gNa"] * m**3 * h * (V - v["ENa"]) + v["gK"] * n**4 * (V - v["EK"])
    F = [v["I"] - current - v["gL"] * (V - v["EL"]), gate(m, "m"), gate(h, "h"), gate(n, "n")]
    H = -v["Rm[1]"] * (V - v["y[1]"]) ** 2 / 2
    for F_a, g in zip(F, "Vmhn", strict=True):
        H += v[f"p_{g}"] * F_a + v[f"p_{g}"] ** 2 / (2 * v[f"Rf[{g}]"])
    flow = [ca.gradient(H, v[f"p_{g}"]) for g in "Vmhn"]
    flow += [-ca.gradient(H, v[g]) for g in "Vmhn"]
    theta = list(sd.models.NAKL)
    exact = ca.Function("flow", [ca.vertcat(*v.values())], [ca.vertcat(*flow, H)])
    slopes = ca.Function(
        "by", [ca.vertcat(*v.values())], [ca.gradient(H, ca.vertcat(*(v[t] for t in theta)))]
    )

    order = [s[name] for name in names]
    derived = sp.lambdify([order], [*(e.rhs for e in hamilton.equations), hamilton.hamiltonian])
    parameters = {
        p.name: c.lhs.function for p, c in zip(nakl().parameters, hamilton.parameters, strict=True)
    }
    by_theta = sp.lambdify([order], [parameters[t] for t in theta])
    rng = np.random.default_rng(0)
    for _ in range(5):
        known = rng.uniform(0.7, 1.4, len(theta)) * np.array(list(sd.models.NAKL.values()))
        state = [10.0, *rng.uniform(-80, 40, 1), *rng.uniform(0, 1, 3)]
        at = np.array([*known, *state, *rng.normal(size=4), *rng.uniform(1, 3, 5), -50.0])
        np.testing.assert_allclose(derived(at), exact(at).full()[:, 0], rtol=1e-12)
        np.testing.assert_allclose(by_theta(at), slopes(at).full()[:, 0], rtol=1e-11, atol=1e-12)


def quiet(hamilton: Readable) -> sp.Expr:
    """dH/dt where data and forcing stay what they are."""
    energy = hamilton.energy_rate
    rates = {s: 0 for s in energy.free_symbols if s.name.endswith("'")}
    return energy.subs(rates)


@pytest.mark.parametrize("action", [lorenz63(), nakl()], ids=["lorenz63", "nakl"])
def test_the_hamiltonian_is_constant_where_nothing_depends_on_time(action: sd.Action) -> None:
    hamilton = action.hamilton()
    assert quiet(hamilton) == 0
    H, right = hamilton.hamiltonian, [equation.rhs for equation in hamilton.equations]
    along = zip((*hamilton.states, *hamilton.momenta), right, strict=True)
    change = sum(H.diff(symbol) * rate for symbol, rate in along)
    values = {
        s: sp.Rational(7 + n, 11 + 3 * n)
        for n, s in enumerate(sorted(change.free_symbols, key=str))
    }
    assert abs(change.subs(values).evalf(40)) < 1e-30


def test_time_in_the_equations_is_seen() -> None:
    x, t = sd.state("x"), sd.time()
    hamilton = sd.Action(sd.Model({x: t**2 * x}), [x]).hamilton()
    s = symbols(hamilton)
    assert quiet(hamilton) == 2 * t * x * s["p_x"]


@pytest.mark.parametrize("which", ["lorenz63", "pendulum"])
def test_the_hamiltonian_is_constant_along_a_flow(which: str) -> None:
    if which == "lorenz63":
        action, theta = lorenz63(), sd.models.LORENZ63
    else:
        model = sd.models.pendulum()
        action, theta = sd.Action(model, [model["angle"]]), sd.models.PENDULUM
    hamilton = action.hamilton()
    fixed = {"Rm[1]": 2.0, "y[1]": 0.7, "Y[1]": 0.7, "drive": 0.4, **theta}
    phase = (*hamilton.states, *hamilton.momenta)
    values = {
        s: fixed.get(s.name, 5.0)
        for e in hamilton.equations
        for s in e.rhs.free_symbols
        if s not in phase
    }
    flow = sp.lambdify([phase], [e.rhs.subs(values) for e in hamilton.equations])
    energy = sp.lambdify([phase], hamilton.hamiltonian.subs(values))
    start = np.linspace(1.0, 2.0, len(phase))
    path = solve_ivp(lambda _, z: flow(z), (0, 0.5), start, rtol=1e-12, atol=1e-12, method="DOP853")
    levels = np.array([energy(z) for z in path.y.T])
    assert np.ptp(path.y, axis=1).min() > 1e-2
    assert np.ptp(levels) < 1e-8 * max(1.0, abs(levels[0]))


def test_parameters_per_step() -> None:
    """One that is not free is a state with x' = 0; a free one has no momentum but a condition."""
    x, y, k = sd.state("x"), sd.state("y"), sd.parameter("k")
    w, d = sd.parameter("w", per="step"), sd.parameter("d", per="step", process_variance=0.25)
    action = sd.Action(sd.Model({x: -k * x + w * y, y: w**2 + d * x}), {"e": x * d, "w": w})
    hamilton, euler, lagrange = action.hamilton(), action.euler_lagrange(), action.lagrangian()
    s = symbols(hamilton, euler)
    assert lagrange.free == (w,) and lagrange.states == (x, y, d)
    px, py, pd = (s[f"p_{n}"] for n in "xyd")
    expected = {
        "x'": -k * x + w * y + px / s["Rf[x]"],
        "y'": w**2 + d * x + py / s["Rf[y]"],
        "d'": pd / s["Rf[d]"],
        "p_x'": k * px - d * py + s["Rm[1]"] * (x * d - s["Y[1]"]) * d,
        "p_y'": -w * px,
        "p_d'": -x * py + s["Rm[1]"] * (x * d - s["Y[1]"]) * x,
    }
    assert all(same(solved(hamilton)[name], value) for name, value in expected.items())
    (condition,) = hamilton.constraints
    assert same(condition.lhs, s["Rm[2]"] * (w - s["Y[2]"]) - y * px - 2 * w * py)
    (condition,) = euler.constraints
    ex, ey = s["x'"] + k * x - w * y, s["y'"] - w**2 - d * x
    right = s["Rm[2]"] * (w - s["Y[2]"]) - s["Rf[x]"] * ex * y - s["Rf[y]"] * ey * 2 * w
    assert same(condition.lhs, right)
    assert "w: any function of time" in " ".join(str(lagrange).split())
    assert "Rf[d] = 4*h, the step's length/process variance." in " ".join(str(lagrange).split())
    functions = dict(zip(action.measurement.names, action.measurement.functions, strict=True))
    rated = sd.Action(action.model, functions, model_error="rate").lagrangian()
    assert "Rf[d] = 4, 1/process variance." in " ".join(str(rated).split())
    assert not any("p_w" in name for name in s)


def test_equations_jumps_and_conditions_make_the_minimiser() -> None:
    """Of a linear problem whose exact minimiser another test has: shooting with what is derived."""
    states = sd.states("x y")
    rows = [sum(f * s for f, s in zip(row, states, strict=True)) for row in reference.F.tolist()]
    model = sd.Model(dict(zip(states, rows, strict=True)))
    hamilton = sd.Action(model, [states[0]], model_error="rate").hamilton()
    s = symbols(hamilton)
    z = sp.Matrix([*hamilton.states, *hamilton.momenta])
    known = {symbol: reference.RF for name, symbol in s.items() if name.startswith("Rf")}
    right = sp.Matrix([e.rhs.subs(known | {s["Rm[1]"]: 0}) for e in hamilton.equations])
    flow = expm(np.array(right.jacobian(z).tolist(), dtype=float) * 0.5)
    (jump,) = hamilton.jumps
    assert jump.lhs.has(s["p_x(tau[s]+)"])
    by = sp.lambdify([list(z), s["Y[1,s]"]], jump.rhs.subs(s["Rm[1,s]"], reference.RM))

    def shoot(x0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # p(t0) = 0 before the first datum
        point, path = np.array([*x0, 0.0, 0.0]), []
        for k, y in enumerate(reference.DATA):
            path.append(point[:2].copy())
            point[2] += by(point, y)
            if k < len(reference.DATA) - 1:
                point = flow @ point
        return point[2:], np.array(path)

    offset = shoot(np.zeros(2))[0]
    slopes = np.column_stack([shoot(e)[0] - offset for e in np.eye(2)])
    path = shoot(np.linalg.solve(slopes, -offset))[1]
    np.testing.assert_allclose(path, reference.continuous_minimiser(), atol=1e-10)


def test_results_are_plain_values() -> None:
    """They compare, hash and pickle (where SymPy keeps the order of terms), of a lattice too."""
    i = sd.site("i", 5, boundary="reflect")
    x = sd.states("x", i)
    action = sd.Action(sd.Model({x[i]: x[i + 1] - x[i]}), x[:2])
    for of in (action.hamilton(), action.euler_lagrange(), lorenz63().hamiltonian()):
        again = pickle.loads(pickle.dumps(of))
        assert again.equations == of.equations and hash(again.equations) == hash(of.equations)
        assert again.states == of.states
    assert action.hamilton() == action.hamilton() != action.euler_lagrange()


def test_one_state_without_parameters() -> None:
    x = sd.state("x")
    hamilton = sd.Action(sd.Model({x: -x}), [x]).hamilton()
    assert hamilton.parameters == ()
    assert "The problem has none." in str(hamilton)
    assert [str(e) for e in solved(hamilton)] == ["x'", "p_x'"]


def test_no_two_symbols_print_alike() -> None:
    """Names of the model are taken: other letters stand for momenta, data and precisions."""
    names = ["x", "p", "p_x", "L", "H", "y", "t", "F", "Rf", "pp", "mom_x", "s", "tau"]
    states = sd.states(names)
    model = sd.Model(
        {a: b * sd.parameter("Rm") for a, b in zip(states, states[1:] + states[:1], strict=True)}
    )
    action = sd.Action(model, states[:2])
    hamilton = action.hamilton()
    s = symbols(hamilton, action.euler_lagrange())
    assert set(states) <= set(s.values())
    momenta = [p.name for p in hamilton.momenta]
    assert len({*momenta, *names, "Rm"}) == 2 * len(names) + 1


@pytest.mark.parametrize("name", ["lagrangian", "euler_lagrange", "hamiltonian", "hamilton"])
def test_a_map_has_no_continuous_limit(name: str) -> None:
    model = sd.models.henon()
    action = sd.Action(model, [model["x"]])
    with pytest.raises(OptionError, match=r"'henon' is a map.*action.discrete_euler_lagrange\(\)"):
        getattr(action, name)()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model_error": "rate"}, "Rf is the precision of a rate. "),
        ({}, "the Rf of a step, which this action takes, is Rf divided by the step's length."),
        (
            {"averaging": "eq14"},
            "Rm stands for 1/L times the precision of the data, Rf for 2/(D*N)",
        ),
    ],
)
def test_the_note_says_what_the_precisions_are(options: dict[str, str], said: str) -> None:
    model = sd.models.lorenz63()
    action = sd.Action(model, [model["x"]], **options)
    for of in (action.lagrangian(), action.hamiltonian(), action.hamilton()):
        assert said in " ".join(str(of).split()) + " "


def test_long_derivatives_stand_by_name_and_are_listed() -> None:
    """What is printed by name, with the values of the names, is what the equations are."""
    for of in (nakl().hamilton(), nakl().euler_lagrange(), nakl().lagrangian()):
        *sections, named = of.sections
        assert named.title == "By name"
        values = {line.left.name: line.right for line in named.lines}
        lines = [line for part in sections for line in part.lines]
        used = {s for line in lines for s in line.right.free_symbols | line.left.free_symbols}
        short = {s: values[s.name.strip("()")] for s in used if s.name.strip("()") in values}
        assert len(short) == len(values) >= 4
        # behind the equations of vectors
        first = len(of.equations) // 4
        title = {"lagrangian": "Canonical"}.get(type(of).__name__.lower(), sections[0].title)
        section = next(part for part in sections if part.title.startswith(title))
        for line, equation in zip(section.lines[first:], of.equations, strict=True):
            difference = line.right.xreplace(short) - equation.rhs
            free = sorted(difference.free_symbols, key=str)
            numbers = {s: 0.3 + 0.1 * n for n, s in enumerate(free)}
            assert abs(difference.subs(numbers)) < 1e-9
        assert max(map(len, str(of).splitlines())) <= 100


def test_hamilton_of_lorenz63_as_printed() -> None:
    text = str(lorenz63().hamilton())
    assert (
        "  X' = F + Rf^-1*p\n"
        "  p' = -DF.T*p + Dh.T*Rm*(h(X) - Y)\n"
        "  x' = sigma*(y - x) + p_x/Rf[x]\n"
        "  y' = x*(rho - z) - y + p_y/Rf[y]\n"
        "  z' = x*y - beta*z + p_z/Rf[z]\n"
        "  p_x' = Rm[1]*(x - Y[1]) + p_x*sigma - p_y*(rho - z) - p_z*y\n"
        "  p_y' = p_y - p_x*sigma - p_z*x\n"
        "  p_z' = p_y*x + p_z*beta\n"
    ) in text
    latex = lorenz63().euler_lagrange().latex()
    assert (
        r"\left(\frac{d}{d t} + \mathrm{D}F^{T}\right) \mathbf{R}_f "
        r"\left(\dot{\mathbf{X}} - F\right) &= \mathrm{D}\mathbf{h}^{T} \mathbf{R}_m "
        r"\left(\mathbf{h}(\mathbf{X}) - \mathbf{Y}\right)"
    ) in latex


def test_what_is_said_uses_the_letters_that_are_shown() -> None:
    """Where L, H, p, y, theta and x are names of the model, remarks use what stands for them."""
    p, y, x = sd.states("p y x")
    L, H, theta, drive = (
        sd.parameter("L"),
        sd.parameter("H"),
        sd.parameter("theta"),
        sd.forcing("f"),
    )
    action = sd.Action(sd.Model({p: H * x - L * p, y: -theta * y + drive, x: -p}), [y])
    said = {part.title: part.note for part in action.hamilton().sections}
    assert said["Hamilton's equations"].startswith(
        "X' = dHamiltonian/dmom and mom' = -dHamiltonian/dX. "
    )
    assert said["Parameters"].endswith("the integral of dHamiltonian/dTheta.")
    assert said["Energy"] == (
        "Along solutions; Y[1]' is the rate of measured values; f' is the rate of forcing. Where "
        "nothing depends on time by itself, Hamiltonian is constant."
    )
    momenta = action.lagrangian().sections[1].note
    assert momenta == "They are the derivatives dLagrangian/dX' of Lagrangian."
    (energy,) = next(part for part in action.hamilton().sections if part.title == "Energy").lines
    assert {"Y[1]'", "f'"} <= {s.name for s in energy.right.free_symbols}


def test_velocities_beside_states_with_a_prime() -> None:
    x, fast = sd.state("x"), sd.state("x'")
    action = sd.Action(sd.Model({x: fast, fast: -x}), [x])
    assert (
        "  d(x)/dt = x' + p_x/Rf[x]\n"
        "  d(x')/dt = p_x'/Rf[x'] - x\n"
        "  d(p_x)/dt = Rm[1]*(x - y[1]) + p_x'\n"
        "  d(p_x')/dt = -p_x\n"
    ) in str(action.hamilton())
    names = [s.name for s in action.euler_lagrange().accelerations]
    assert names == ["d(d(x)/dt)/dt", "d(d(x')/dt)/dt"]
    text = str(action.euler_lagrange())
    assert "d(X)/dt - F" in text and "  d(d(x)/dt)/dt = " in text


def test_derivatives_of_steps_are_those_away_from_the_jumps() -> None:
    x, z = sd.states("x z")
    field = {x: sp.sign(x) + z * sp.floor(2 * x), z: sp.Abs(x) + sp.Mod(x * z, 2) - z}
    action = sd.Action(sd.Model(field), [x, sp.Heaviside(z)])
    hamilton = action.hamilton()
    p_x, p_z, Rm, data = (symbols(hamilton)[n] for n in ("p_x", "p_z", "Rm[1]", "y[1]"))
    got = solved(hamilton)
    assert same(got["p_x'"], Rm * (x - data) - p_z * (sp.sign(x) + z))
    assert same(got["p_z'"], -p_x * sp.floor(2 * x) - p_z * (x - 1))
    everything = [hamilton, action.lagrangian(), action.euler_lagrange(), action.equations()]
    for of in everything:
        assert not re.search(r"Delta|Derivative\(|Subs\(", str(of))
    assert "away from the jumps of steps" in " ".join(str(hamilton).split())
    assert "away from the jumps" not in " ".join(str(lorenz63().hamilton()).split())
