"""Systems of `sympy.physics.mechanics`, as they are, against their own mass matrix and forcing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import sympy as sp
from sympy import symbols
from sympy.physics.mechanics import (
    KanesMethod,
    LagrangesMethod,
    Lagrangian,
    Particle,
    Point,
    ReferenceFrame,
    RigidBody,
    dot,
    dynamicsymbols,
    inertia,
)

import symda as sd
from symda.declare import EquationModel
from symda.errors import ModelError

mass, length, gravity = symbols("m l g")
clock = dynamicsymbols._t
Method = LagrangesMethod | KanesMethod


def pendulum() -> LagrangesMethod:
    """A bob on a rod, driven by a torque that is a function of time."""
    theta, torque = dynamicsymbols("theta torque")
    N = ReferenceFrame("N")
    A = N.orientnew("A", "Axis", [theta, N.z])
    O = Point("O")
    O.set_vel(N, 0)
    bob = O.locatenew("P", length * A.x)
    bob.v2pt_theory(O, N, A)
    body = Particle("bob", bob, mass)
    body.potential_energy = -mass * gravity * length * sp.cos(theta)
    method = LagrangesMethod(Lagrangian(N, body), [theta], forcelist=[(A, torque * N.z)], frame=N)
    method.form_lagranges_equations()
    return method


def double_pendulum() -> LagrangesMethod:
    """The double pendulum of SymPy's documentation, with Lagrange's method."""
    q1, q2 = dynamicsymbols("q1 q2")
    d1, d2 = q1.diff(), q2.diff()
    energy = (
        mass * length**2 * d1**2
        + mass * length**2 * d2**2 / 2
        + mass * length**2 * d1 * d2 * sp.cos(q1 - q2)
    )
    L = energy + mass * gravity * length * (2 * sp.cos(q1) + sp.cos(q2))
    method = LagrangesMethod(L, [q1, q2])
    method.form_lagranges_equations()
    return method


def cart_and_pole() -> KanesMethod:
    """A cart pushed by F with a pole hinged to it; speeds of their own."""
    q, theta, u, w, F = dynamicsymbols("q theta u w F")
    cart_mass, damping = symbols("M c")
    N = ReferenceFrame("N")
    A = N.orientnew("A", "Axis", [theta, N.z])
    A.set_ang_vel(N, w * N.z)
    O = Point("O")
    O.set_vel(N, 0)
    cart = O.locatenew("C", q * N.x)
    cart.set_vel(N, u * N.x)
    bob = cart.locatenew("P", length * A.y)
    bob.v2pt_theory(cart, N, A)
    loads = [(cart, (F - damping * u) * N.x), (bob, -mass * gravity * N.y)]
    method = KanesMethod(N, [q, theta], [u, w], [q.diff() - u, theta.diff() - w])
    method.kanes_equations([Particle("cart", cart, cart_mass), Particle("bob", bob, mass)], loads)
    return method


def rolling_disc() -> KanesMethod:
    """A disc that rolls without slipping, in three speeds; from SymPy's documentation."""
    q1, q2, q3, u1, u2, u3 = dynamicsymbols("q1 q2 q3 u1 u2 u3")
    radius = symbols("r")
    N = ReferenceFrame("N")
    Y = N.orientnew("Y", "Axis", [q1, N.z])
    L = Y.orientnew("L", "Axis", [q2, Y.x])
    R = L.orientnew("R", "Axis", [q3, L.y])
    w = R.ang_vel_in(N)
    R.set_ang_vel(N, u1 * L.x + u2 * L.y + u3 * L.z)
    ground = Point("C")
    ground.set_vel(N, 0)
    centre = ground.locatenew("D", radius * L.z)
    centre.v2pt_theory(ground, N, R)
    spin = inertia(L, mass / 4 * radius**2, mass / 2 * radius**2, mass / 4 * radius**2)
    kinematic = [dot(R.ang_vel_in(N) - w, axis) for axis in L]
    method = KanesMethod(N, [q1, q2, q3], [u1, u2, u3], kinematic)
    disc = RigidBody("disc", centre, R, mass, (spin, centre))
    method.kanes_equations([disc], [(centre, -mass * gravity * Y.z)])
    return method


def on_a_circle() -> LagrangesMethod:
    """A pendulum in x and y, held at its distance by a constraint with a multiplier."""
    x, y = dynamicsymbols("x y")
    L = mass * (x.diff(clock) ** 2 + y.diff(clock) ** 2) / 2 - mass * gravity * y
    method = LagrangesMethod(L, [x, y], hol_coneqs=[x**2 + y**2 - length**2])
    method.form_lagranges_equations()
    return method


SYSTEMS: Mapping[str, Callable[[], Method]] = {
    "pendulum": pendulum,
    "double_pendulum": double_pendulum,
    "cart_and_pole": cart_and_pole,
    "rolling_disc": rolling_disc,
    "on_a_circle": on_a_circle,
}
NAMES = {
    "pendulum": "theta theta_dot",
    "double_pendulum": "q1 q2 q1_dot q2_dot",
    "cart_and_pole": "q theta u w",
    "rolling_disc": "q1 q2 q3 u1 u2 u3",
    "on_a_circle": "x y x_dot y_dot",
}


@pytest.fixture(scope="module", params=list(SYSTEMS))
def system(request: pytest.FixtureRequest) -> tuple[str, Method]:
    return request.param, SYSTEMS[request.param]()


def test_the_model_has_the_systems_own_slopes(system: tuple[str, Method]) -> None:
    name, method = system
    model = sd.Model.from_mechanics(method, name=name)
    assert type(model) is EquationModel and not model.discrete
    assert " ".join(s.name for s in model.states) == NAMES[name]
    expected_forcing = {"pendulum": ["torque"], "cart_and_pole": ["F"]}.get(name, [])
    assert [f.name for f in model.forcing] == expected_forcing
    rng = np.random.default_rng(3)
    functions = [*method.q, *method.u]
    for _ in range(3):
        values = {s: float(x) for s, x in zip(model.states, rng.uniform(0.3, 1.2, 9), strict=False)}
        values |= {p: float(rng.uniform(0.5, 2.0)) for p in (*model.parameters, *model.forcing)}
        by_name = {s.name: number for s, number in values.items()}
        known = {f: by_name[s.name] for f, s in zip(functions, model.states, strict=True)}
        # what has cancelled out of the model may be anything
        constants = method.mass_matrix_full.free_symbols | method.forcing_full.free_symbols
        known |= {s: by_name.get(s.name, 1.3) for s in constants - {clock}}
        known |= {sp.Function(f.name)(clock): by_name[f.name] for f in model.forcing}
        # derivatives before the functions in them
        order = sorted(known, key=lambda s: not isinstance(s, sp.Derivative))
        at = [(s, known[s]) for s in order]
        M = np.array(method.mass_matrix_full.subs(at).evalf(), dtype=float)
        right = np.array(method.forcing_full.subs(at).evalf(), dtype=float)
        expected = np.linalg.solve(M, right)[: len(functions), 0]
        found = [float(e.subs(values)) for e in model.equations]
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_pendulum_on_a_circle_is_the_pendulum() -> None:
    model = sd.Model.from_mechanics(on_a_circle(), symbols={gravity: 9.81, mass: 2})
    x, y = model.states[:2]
    assert [p.name for p in model.parameters] in ([], ["l"])
    angle = sd.state("angle")
    rate = sd.state("rate")
    plain = sd.Model({angle: rate, rate: -9.81 * sp.sin(angle)})
    times = np.linspace(0.0, 2.0, 9)
    start = {"x": np.sin(1.0), "y": -np.cos(1.0), "x_dot": 0.0, "y_dot": 0.0}
    values = {p.name: 1.0 for p in model.parameters}
    found = sd.simulate(model, times, start, parameters=values).evaluate(sp.atan2(x, -y))
    expected = sd.simulate(plain, times, [1.0, 0.0]).states.sel(state="angle")
    assert found.values == pytest.approx(expected.values, abs=1e-7)


def test_what_symbols_say() -> None:
    m = sd.parameter("mass", bounds=(0.1, 10.0), start=(0.5, 2.0))
    torque = dynamicsymbols("torque")
    t = sd.time()
    given = {mass: m, length: 2, gravity: 9.81, torque: sp.cos(t)}
    model = sd.Model.from_mechanics(pendulum(), symbols=given, name="driven")
    theta = model.states[0]
    expected = (sp.cos(t) - m * 9.81 * 2 * sp.sin(theta)) / (4 * m)
    assert sp.expand(model.equations[1] - expected) == 0
    assert model.parameters == (m,) and model.forcing == () and model.time == t


def test_a_support_that_moves_is_forcing_with_its_derivatives() -> None:
    theta, lift = dynamicsymbols("theta lift")
    x, y = length * sp.sin(theta), lift - length * sp.cos(theta)
    L = mass * (x.diff(clock) ** 2 + y.diff(clock) ** 2) / 2 - mass * gravity * y
    method = LagrangesMethod(L, [theta])
    method.form_lagranges_equations()
    free = sd.Model.from_mechanics(method)
    assert [f.name for f in free.forcing] == ["lift_ddot"]
    t = sd.time()
    known = sd.Model.from_mechanics(method, symbols={lift: sp.sin(3 * t)})
    angle, l, g = free.states[0], free["l"], free["g"]
    expected = -(g + free["lift_ddot"]) * sp.sin(angle) / l
    assert sp.simplify(free.equations[1] - expected) == 0
    swung = -(g - 9 * sp.sin(3 * t)) * sp.sin(angle) / l
    assert sp.simplify(known.equations[1] - swung) == 0


def test_a_lagrangian_in_functions_of_time() -> None:
    theta, torque = dynamicsymbols("theta torque")
    c = sd.parameter("c", bounds=(0.0, 1.0))
    L = mass * length**2 * theta.diff() ** 2 / 2 + mass * gravity * length * sp.cos(theta)
    model = sd.Model.from_lagrangian(
        L, theta, forces={theta: torque}, dissipation=c * theta.diff() ** 2 / 2
    )
    assert [s.name for s in model.states] == ["theta", "p_theta"]
    assert [f.name for f in model.forcing] == ["torque"]
    m, l, g = (model[name] for name in "mlg")
    angle, p = model.states
    assert model.velocity == (p / (l**2 * m),)
    force = model["torque"] - c * p / (l**2 * m) - m * g * l * sp.sin(angle)
    assert sp.expand(model.equations[1] - force) == 0
    with pytest.raises(ModelError, match=r"velocities of theta\(t\) are their derivatives"):
        sd.Model.from_lagrangian(L, theta, dynamicsymbols("u"))
    with pytest.raises(ModelError, match="x is not a function of time only"):
        sd.Model.from_lagrangian(L, [theta, symbols("x")])


def test_an_acceleration_is_no_forcing() -> None:
    theta = dynamicsymbols("theta")
    rate, faster = theta.diff(), theta.diff(clock, 2)
    L = rate**2 / 2 - theta**2 / 2
    with pytest.raises(ModelError, match=r"Lagrangian: holds .*Derivative\(theta.*by parts"):
        sd.Model.from_lagrangian(L + theta * faster, theta)
    with pytest.raises(ModelError, match=r"force along theta\(t\): holds Derivative"):
        sd.Model.from_lagrangian(L, theta, forces={theta: faster.diff()})
    with pytest.raises(ModelError, match="forces must be a mapping"):
        sd.Model.from_lagrangian(L, theta, forces=[-theta])


def unformed() -> LagrangesMethod:
    theta = dynamicsymbols("theta")
    return LagrangesMethod(theta.diff() ** 2, [theta])


def massless() -> LagrangesMethod:
    theta, x = dynamicsymbols("theta x")
    method = LagrangesMethod(theta.diff() ** 2 / 2 - x**2 * theta, [theta, x])
    method.form_lagranges_equations()
    return method


@pytest.mark.parametrize(
    ("make", "given", "message"),
    [
        (lambda: "pendulum", {}, "expected a LagrangesMethod or KanesMethod"),
        (unformed, {}, r"not formed yet; call form_lagranges_equations\(\) first"),
        (massless, {}, r"mass matrix is singular \(rank 1, expected 2\)"),
        (pendulum, {symbols("M"): 1}, "gives M a meaning, which the system does not use"),
        (pendulum, {dynamicsymbols("theta"): 1}, r"gives theta\(t\) a meaning, but it is a coord"),
        (pendulum, [gravity], r"symbols must be a mapping .* \{g: 9.81\}, got list"),
        (pendulum, {mass: "2"}, r"symbols\[m\]: got the text '2'"),
        (pendulum, {mass: symbols("M")}, "'M' is an undeclared SymPy symbol"),
    ],
)
def test_what_cannot_be_a_model_is_refused(make, given, message: str) -> None:
    with pytest.raises(ModelError, match=f"^Model 'model'.*{message}"):
        sd.Model.from_mechanics(make(), symbols=given)
