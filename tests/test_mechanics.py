"""Models from Hamiltonians and Lagrangians, against equations written by hand."""

from __future__ import annotations

import dataclasses
import pickle
import time

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import symda as sd
from symda.api import VirtualMachineWarning
from symda.derive.motion import Motion
from symda.errors import ModelError

q, p = sd.state("q"), sd.state("p")
x, y, px, py = sd.states("x y px py")
v, vx, vy = sd.states("v vx vy")
m, k, c = sd.parameters("m k c")
drive, t = sd.forcing("drive"), sd.time()


def numbers(expressions, at):
    """Their values, the symbols given by name."""
    values = {s: at[s.name] for e in expressions for s in sp.sympify(e).free_symbols}
    return np.array([float(sp.sympify(e).subs(values)) for e in expressions])


def accelerations(model: sd.MechanicalModel, at) -> np.ndarray:
    """d2q/dt2 = (dv/dq) q' + (dv/dp) p' of v(q, p) = dH/dp, at a point."""
    states = (*model.coordinates, *model.momenta)
    slopes = sp.Matrix(model.velocity).jacobian(states)
    rates = numbers(model.equations[: len(states)], at)
    return numbers(list(slopes), at).reshape(slopes.shape) @ rates


def test_hamiltons_equations_are_those_of_the_hamiltonian() -> None:
    model = sd.Model.from_hamiltonian(p**2 / (2 * m) + k * q**4 / 4 - drive * q + t * q, q, p)
    assert model.states == (q, p) and model.coordinates == (q,) and model.momenta == (p,)
    assert model.equations == (p / m, -k * q**3 + drive - t)
    assert model.velocity == (p / m,)
    assert model.forces == (0,) and model.lagrangian is None and model.velocities == ()
    assert set(model.parameters) == {m, k} and model.forcing == (drive,) and model.time == t
    assert repr(model) == "MechanicalModel('model', n=1, P=2, U=1)"


def test_three_bodies_of_a_chain() -> None:
    qq, pp = sd.states("q", 3), sd.states("p", 3)
    H = sum(a**2 for a in pp) / 2 + sum((qq[i + 1] - qq[i]) ** 2 for i in range(2)) / 2
    model = sd.Model.from_hamiltonian(H, qq, pp, name="chain")
    at = {**{f"q{i}": 0.3 * i**2 for i in range(3)}, **{f"p{i}": i - 0.5 for i in range(3)}}
    found = numbers(model.equations, at)
    assert found == pytest.approx([-0.5, 0.5, 1.5, 0.3, 0.6, -0.9], abs=1e-14)


@pytest.fixture(scope="module")
def library() -> dict[str, sd.MechanicalModel]:
    names = ("harmonic", "kepler", "henon_heiles", "double_pendulum")
    return {name: getattr(sd.models, name)() for name in names}


def test_the_double_pendulum_is_the_textbooks(library) -> None:
    model = library["double_pendulum"]
    rng = np.random.default_rng(0)
    for _ in range(3):
        m1, m2, l1, l2, g = rng.uniform(0.5, 3.0, 5)
        (a1, a2), (w1, w2) = rng.uniform(-3.0, 3.0, (2, 2))
        gap = a1 - a2
        p1 = (m1 + m2) * l1**2 * w1 + m2 * l1 * l2 * w2 * np.cos(gap)
        p2 = m2 * l2**2 * w2 + m2 * l1 * l2 * w1 * np.cos(gap)
        at = dict(m1=m1, m2=m2, l1=l1, l2=l2, g=g, a1=a1, a2=a2, p1=p1, p2=p2)
        assert numbers(model.velocity, at) == pytest.approx([w1, w2], rel=1e-11)
        # the accelerations as they are usually printed, for instance by E. Neumann, myPhysicsLab
        share = 2 * m1 + m2 - m2 * np.cos(2 * gap)
        first = (
            -g * (2 * m1 + m2) * np.sin(a1)
            - m2 * g * np.sin(a1 - 2 * a2)
            - 2 * np.sin(gap) * m2 * (w2**2 * l2 + w1**2 * l1 * np.cos(gap))
        ) / (l1 * share)
        second = (
            2
            * np.sin(gap)
            * (w1**2 * l1 * (m1 + m2) + g * (m1 + m2) * np.cos(a1) + w2**2 * l2 * m2 * np.cos(gap))
        ) / (l2 * share)
        assert accelerations(model, at) == pytest.approx([first, second], rel=1e-9)


def test_the_library_is_what_the_sources_say(library) -> None:
    rng = np.random.default_rng(1)
    x_, y_, px_, py_, s = rng.uniform(0.2, 0.9, 5)
    at = dict(x=x_, y=y_, px=px_, py=py_, mu=s, q=x_, p=px_, m=y_, k=s) | {"lambda": s}
    r3 = (x_**2 + y_**2) ** 1.5
    expected = {
        "harmonic": [px_ / y_, -s * x_],
        "kepler": [px_, py_, -s * x_ / r3, -s * y_ / r3],
        "henon_heiles": [px_, py_, -x_ - 2 * s * x_ * y_, -y_ - s * (x_**2 - y_**2)],
    }
    for name, slopes in expected.items():
        model = library[name]
        assert numbers(model.equations, at) == pytest.approx(slopes, rel=1e-12), name
        assert model.separable and model.conservative
    assert library["double_pendulum"].conservative
    assert not library["double_pendulum"].separable


def test_a_central_force_in_polar_coordinates() -> None:
    r, angle = sd.states("r angle")
    vr, w = sp.symbols("vr w")
    L = m * (vr**2 + r**2 * w**2) / 2 + k / r
    model = sd.Model.from_lagrangian(L, [r, angle], [vr, w])
    p_r, p_angle = model.momenta
    assert (p_r.name, p_angle.name) == ("p_r", "p_angle")
    by_hand = [p_r / m, p_angle / (m * r**2), p_angle**2 / (m * r**3) - k / r**2, 0]
    assert [sp.simplify(a - b) for a, b in zip(model.equations, by_hand, strict=True)] == [0] * 4
    assert not model.separable and model.conservative
    H = p_r**2 / (2 * m) + p_angle**2 / (2 * m * r**2) - k / r
    assert sp.simplify(model.hamiltonian - H) == 0
    same = sd.Model.from_hamiltonian(H, [r, angle], [p_r, p_angle])
    assert [sp.simplify(a - b) for a, b in zip(model.equations, same.equations, strict=True)] == (
        [0] * 4
    )
    assert [velocity.name for velocity in model.velocities] == ["vr", "w"]
    assert model.lagrangian.has(*model.velocities)


@pytest.mark.parametrize("name", ["harmonic", "kepler", "henon_heiles", "double_pendulum"])
def test_energy_is_constant_along_a_solution(library, name: str) -> None:
    model = library[name]
    values = getattr(sd.models, name.upper())
    start = [0.4, 0.1, 0.2, 0.5][: len(model.states)]
    found = sd.simulate(model, np.linspace(0.0, 5.0, 11), start, parameters=values)
    energy = found.evaluate(model.hamiltonian).values
    assert np.ptp(found.states.values[:, 0]) > 0.1
    assert energy == pytest.approx(energy[0], rel=1e-8)


quadratic = st.integers(1, 3).flatmap(
    lambda n: st.lists(st.integers(-3, 3), min_size=6 * n * n, max_size=6 * n * n)
)


@settings(max_examples=12, deadline=None)
@given(entries=quadratic)
def test_random_quadratic_lagrangians(entries: list[int]) -> None:
    """L = v A v/2 + v B q + b v - q K q/2, with damping v C v/2 and forces f = G v + q.

    A a = (B^T - B) v - K q - C v + f by hand.
    """
    n = int(np.sqrt(len(entries) / 6))
    A, B, K, C, G, rest = np.array(entries).reshape(6, n, n)
    A, K, C, b = A + A.T, K + K.T, C + C.T, rest[0]
    if not C.any():
        C[0, 0] = 1
    qs, vs = sd.states("q", n), sd.states("v", n)
    Q, V = sp.Matrix(qs), sp.Matrix(vs)

    def form(left, matrix, right):
        return (left.T * sp.Matrix(matrix.tolist()) * right)[0]

    L = form(V, A, V) / 2 + form(V, B, Q) - form(Q, K, Q) / 2
    L += sum(int(a) * s for a, s in zip(b, vs, strict=True))
    push = sp.Matrix(G.tolist()) * V + Q
    arguments = dict(forces=dict(zip(qs, push, strict=True)), dissipation=form(V, C, V) / 2)
    if not A.any() and not B.any() and not b.any():
        with pytest.raises(ModelError, match="does not depend on any velocity"):
            sd.Model.from_lagrangian(L, qs, vs, **arguments)
        return
    if np.linalg.matrix_rank(A) < n:
        with pytest.raises(ModelError, match=f"has rank {np.linalg.matrix_rank(A)}, expected {n}"):
            sd.Model.from_lagrangian(L, qs, vs, **arguments)
        return
    model = sd.Model.from_lagrangian(L, qs, vs, **arguments)
    rng = np.random.default_rng(2)
    q_, v_ = rng.standard_normal((2, n))
    at = {f"q{i}": a for i, a in enumerate(q_)}
    at |= {f"p_q{i}": a for i, a in enumerate(A @ v_ + B @ q_ + b)}
    assert numbers(model.velocity, at) == pytest.approx(v_, abs=1e-9)
    a_ = np.linalg.solve(A, (B.T - B) @ v_ - K @ q_ - C @ v_ + G @ v_ + q_)
    assert accelerations(model, at) == pytest.approx(a_, abs=1e-8)
    energy = float(v_ @ A @ v_ + q_ @ K @ q_) / 2
    assert numbers([model.hamiltonian], at)[0] == pytest.approx(energy, abs=1e-9)


@pytest.mark.parametrize("form", ["lagrangian", "hamiltonian"])
def test_a_driven_damped_pendulum_loses_energy_as_it_should(form: str) -> None:
    """dH/dt = -2 R + drive v - m q dg/dt sin.. : power lost, power of the drive."""
    R = c * v**2 / 2
    if form == "lagrangian":
        L = m * v**2 / 2 + k * sp.cos(q)
        model = sd.Model.from_lagrangian(L, q, v, momenta=p, forces={q: drive}, dissipation=R)
    else:
        H = p**2 / (2 * m) - k * sp.cos(q)
        R_p = R.subs(v, p / m)
        model = sd.Model.from_hamiltonian(H, q, p, forces={q: drive}, dissipation=R_p)
    assert model.states == (q, p)
    assert [sp.expand(force) for force in model.forces] == [drive - c * p / m]
    assert not model.conservative and not model.separable
    times = np.linspace(0.0, 6.0, 1201)
    found = sd.simulate(
        model,
        times,
        {"q": 1.0, "p": 0.0},
        parameters={"m": 2.0, "k": 3.0, "c": 0.4},
        forcing={"drive": sp.cos(2 * t)},
    )
    energy = found.evaluate(model.hamiltonian).values
    power = found.evaluate(drive * p / m - c * (p / m) ** 2).values
    assert found.evaluate(drive).values == pytest.approx(np.cos(2 * times), abs=1e-12)
    slope = (energy[2:] - energy[:-2]) / (times[2] - times[0])
    assert slope == pytest.approx(power[1:-1], abs=1e-4)
    assert np.ptp(power) > 1.0


def test_dissipation_in_momenta_of_coupled_masses() -> None:
    """R given in p is R(v(p)), whatever couples the masses."""
    V = sp.Matrix([vx, vy])
    mass, drag = sp.Matrix([[2, 1], [1, 3]]), sp.Matrix([[4, 1], [1, 2]])
    momenta = sp.Matrix([px, py])
    kinetic = (momenta.T * mass.inv() * momenta)[0] / 2
    R = (V.T * drag * V)[0] / 2
    speeds = dict(zip(V, mass.inv() * momenta, strict=True))
    model = sd.Model.from_hamiltonian(kinetic, (x, y), (px, py), dissipation=R.subs(speeds))
    expected = -drag * mass.inv() * momenta
    assert [sp.expand(a - b) for a, b in zip(model.forces, expected, strict=True)] == [0, 0]


def test_a_relativistic_particle() -> None:
    light = sd.parameter("c0", bounds=(0.5, 100.0))
    L = -m * light**2 * sp.sqrt(1 - v**2 / light**2) - k * q**2 / 2
    with pytest.raises(ModelError, match=r"If m cannot be negative, declare bounds=\(0, ...\)"):
        sd.Model.from_lagrangian(L, q, v, momenta=p)
    mass = sd.parameter("m", bounds=(0.0, 10.0))
    L = -mass * light**2 * sp.sqrt(1 - v**2 / light**2) - k * q**2 / 2
    model = sd.Model.from_lagrangian(L, q, v, momenta=p)
    H = light * sp.sqrt(p**2 + mass**2 * light**2) + k * q**2 / 2
    at = {"q": 0.3, "p": -2.0, "m": 1.5, "c0": 2.0, "k": 0.7}
    expected = [sp.diff(H, p), -sp.diff(H, q), H]
    found = numbers([*model.equations, model.hamiltonian], at)
    assert found == pytest.approx(numbers(expected, at), rel=1e-12)
    assert model.separable and model.conservative


def test_a_closed_form_that_cancels_is_not_taken() -> None:
    """Cardano's, of p = v + v^3: seven digits at v = 100, none at 1000."""
    with pytest.raises(ModelError, match="no closed form that keeps its digits in floating point"):
        sd.Model.from_lagrangian(v**2 / 2 + v**4 / 4 - q**2, q, v)
    # ill-conditioned near |p| = 1, where v is infinite, but not cancelling
    model = sd.Model.from_lagrangian(sp.sqrt(1 + v**2), q, v, momenta=p)
    assert numbers(model.velocity, {"p": -0.6}) == pytest.approx([-0.75], rel=1e-14)
    model = sd.Model.from_lagrangian(sp.exp(v), q, v, momenta=p)
    assert numbers(model.velocity, {"p": 2.0}) == pytest.approx([np.log(2.0)], rel=1e-14)


def test_masses_of_any_size_beside_each_other() -> None:
    L = 1e-7 * vx**2 / 2 + 1e5 * vy**2 / 2 - x**2 - y**2
    model = sd.Model.from_lagrangian(L, [x, y], [vx, vy], momenta=[px, py], dissipation=vx**2 / 2)
    expected = [1e7, 2e-5, -1e7 - 2.0, -2.0]
    at = {"x": 1.0, "y": 1.0, "px": 1.0, "py": 2.0}
    assert numbers(model.equations, at) == pytest.approx(expected, rel=1e-12)
    same = sd.Model.from_hamiltonian(
        model.hamiltonian, [x, y], [px, py], dissipation=(1e7 * px) ** 2 / 2
    )
    assert numbers(same.equations, at) == pytest.approx(expected, rel=1e-12)


def test_what_separates_and_what_is_kept() -> None:
    kinetic = p**2 / 2
    assert sd.Model.from_hamiltonian(kinetic + t * q**2 + drive * q, q, p).separable
    assert not sd.Model.from_hamiltonian(kinetic + t * q**2, q, p).conservative
    assert not sd.Model.from_hamiltonian(kinetic + drive * q, q, p).conservative
    # no mixed term, though it looks as if there were one
    hidden = kinetic * (sp.sin(q) ** 2 + sp.cos(q) ** 2) + q**2
    assert sd.Model.from_hamiltonian(hidden, q, p).separable
    assert not sd.Model.from_hamiltonian(kinetic * (1 + q**2), q, p).separable
    assert sd.Model.from_hamiltonian(kinetic, q, p, forces={q: -(q**3)}).separable
    assert not sd.Model.from_hamiltonian(kinetic, q, p, forces={q: -(q**3)}).conservative
    assert not sd.Model.from_hamiltonian(kinetic, q, p, forces={q: -p}).separable
    w = sd.parameter("w", per="step")
    assert not sd.Model.from_hamiltonian(kinetic + w * q**2, q, p).conservative


def test_what_is_added_to_a_hamiltonian_without_moving_anything_is_left_out() -> None:
    model = sd.Model.from_hamiltonian(m * (p**2 + c) + sp.sin(t) + k * q**2, q, p)
    assert model.hamiltonian == m * p**2 + k * q**2 and model.conservative
    found = sd.simulate(model, [0.0, 1.0], [1.0, 0.0], parameters={"m": 0.5, "k": 0.5})
    assert found.evaluate(model.hamiltonian).values == pytest.approx([0.5, 0.5], rel=1e-8)
    # what moves nothing but needs no symbol of its own stays as it was written
    assert sd.Model.from_hamiltonian(p**2 / 2 + 1, q, p).hamiltonian == p**2 / 2 + 1


def test_a_lagrangian_holds_only_symbols_of_its_model() -> None:
    L = v**2 / 2 - q**2 / 2
    assert sd.Model.from_lagrangian(L + drive + c * t, q, v).lagrangian == L
    # what no equation has, but does not split off, is the model's nevertheless
    model = sd.Model.from_lagrangian(v**2 / 2 - sp.log(q / c), q, v, momenta=p)
    assert model.parameters == (c,) and sp.expand(model.equations[1] * q) == -1
    (slopes,) = Motion(model).legendre([3.0], [2.0], [], [1.0], 0.0).T.full()
    assert slopes == pytest.approx([2.0, -1 / 3])
    found = sd.simulate(model, [0.0, 0.1], [2.0, 1.0], parameters={"c": 4.0})
    energy = found.evaluate(model.hamiltonian).values
    assert energy == pytest.approx([0.5 + np.log(0.5)] * 2, rel=1e-9)
    model = sd.Model.from_hamiltonian(p**2 / 2 + sp.log(q / drive), q, p)
    assert model.forcing == (drive,) and not model.conservative


def test_a_long_chain_takes_no_long_time() -> None:
    n = 40
    qs, vs = sd.states("q", n), sd.states("v", n)
    V = sum((qs[i + 1] - qs[i]) ** 4 / 4 for i in range(n - 1))
    began = time.process_time()
    model = sd.Model.from_lagrangian(sum(m * a**2 for a in vs) / 2 - V, qs, vs)
    assert model.separable and model.conservative
    assert time.process_time() - began < 10.0
    assert sp.expand(model.equations[n] - (qs[1] - qs[0]) ** 3) == 0


def test_three_pendulums_in_a_chain_are_no_monster() -> None:
    """Momenta M(q) v of given velocities lead back to these; elimination took 9,000 operations."""
    qs, vs = sd.states("q", 3), sd.states("v", 3)
    across = [sum(sp.cos(a) * b for a, b in zip(qs[:n], vs, strict=False)) for n in (1, 2, 3)]
    upward = [sum(sp.sin(a) * b for a, b in zip(qs[:n], vs, strict=False)) for n in (1, 2, 3)]
    T = sum(a**2 + b**2 for a, b in zip(across, upward, strict=True)) / 2
    model = sd.Model.from_lagrangian(T + sum(map(sp.cos, qs)), qs, vs)
    assert sum(equation.count_ops() for equation in model.equations) < 1000
    at = {"q0": 0.3, "q1": -1.2, "q2": 2.1, "v0": 0.7, "v1": -0.4, "v2": 1.1}
    at |= {f"p_q{i}": a for i, a in enumerate(numbers([sp.diff(T, s) for s in vs], at))}
    assert numbers(model.velocity, at) == pytest.approx([0.7, -0.4, 1.1], rel=1e-13)
    # dp/dt = dL/dq
    pushes = numbers([sp.diff(T + sp.cos(s), s) for s in qs], at)
    assert numbers(model.equations[3:], at) == pytest.approx(pushes, rel=1e-12)


def test_it_is_a_model_like_any_other() -> None:
    model = sd.models.kepler()
    again = pickle.loads(pickle.dumps(model))
    assert again == model and hash(again) == hash(model) and again.separable
    assert type(again) is sd.MechanicalModel
    plain = sd.Model(dict(zip(model.states, model.equations, strict=True)), name=model.name)
    assert plain != model
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.hamiltonian = q  # type: ignore[misc]
    assert model["px"] in model.momenta
    other = sd.Model.from_hamiltonian(p**2 / 2 + q**2, q, p)
    assert other != sd.Model.from_hamiltonian(p**2 / 2 + q**2 + 1, q, p)
    bounded = sd.state("p_q", bounds=(-3.0, 3.0))
    momentum = sd.Model.from_lagrangian(v**2 / 2, q, v, momenta=bounded).momenta[0]
    assert momentum.declaration.bounds == (-3.0, 3.0)


def test_constants_can_be_replaced() -> None:
    model = sd.Model.from_lagrangian(
        m * v**2 / 2 - k * q**2 / 2, q, v, momenta=p, dissipation=c * v**2 / 2
    )
    changed = model.substitute({k: drive, c: sp.Integer(2)})
    assert changed.equations == (p / m, -drive * q - 2 * p / m)
    assert changed.lagrangian == m * v**2 / 2 - drive * q**2 / 2 and changed.forcing == (drive,)


def test_parameters_per_step_follow_coordinates_and_momenta() -> None:
    w = sd.parameter("w", per="step", start=(0.5, 1.5), process_variance=0.1)
    model = sd.Model.from_hamiltonian(p**2 / 2 + w * q**2 / 2, q, p)
    assert model.states == (q, p, w) and model.velocity == (p,)
    times = np.linspace(0.0, np.pi / 2, 5)
    found = sd.simulate(model, times, [1.0, 0.0], parameters={"w": 4.0})
    assert found.states.sel(state="q").values == pytest.approx(np.cos(2 * times), abs=1e-8)
    assert found.evaluate(model.hamiltonian).values == pytest.approx(np.full(5, 2.0), abs=1e-8)


def test_annealing_finds_a_spring_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMDA_CC", "none")
    model = sd.models.harmonic()
    action = sd.Action(model, [model["q"]], scheme="midpoint")
    with pytest.warns(VirtualMachineWarning):
        _, data = sd.twin(
            action, parameters=sd.models.HARMONIC, dt=0.1, steps=30, variance=1e-4, seed=1
        )
        problem = action.bind(data, fixed={"m": 1.0})
        run = sd.anneal(action, problem, ladder=sd.Ladder(1.0, 10.0, 6), paths=2, workers=1)
    assert run.best.parameters["k"] == pytest.approx(1.0, abs=0.05)


BAD_HAMILTONIANS = {
    "odd": ((px**2, [x, y], [px]), r"got 2 coordinates \(x, y\) and 1 momentum \(px\); .* even"),
    "no state": ((k**2, [x], [k]), r"the momentum k is Parameter\(.*expected a State"),
    "overlap": ((x**2, [x, y], [x, py]), "x is given as a coordinate and as a momentum"),
    "twice": ((px**2, [x, x], [px, py]), "the coordinate 'x' is given more than once"),
    "undeclared": ((px**2 + sp.Symbol("z"), x, px), "Hamiltonian: 'z' is an undeclared SymPy"),
    "no momentum": ((x**2 / 2, x, px), r"does not depend on any momentum \(px\)"),
    "other state": ((px**2 + y, x, px), "uses the state 'y', which is none of x, px"),
    "text": (("px**2", x, px), "text is never parsed"),
    "none": ((px**2, [], []), "no coordinate given"),
    "names": ((px**2, "x", "px"), "expected a state or a sequence of states for each coordinate"),
    "alike": ((px**2, x, [px], {"y": 1}), r"forces\['y'\] is along no coordinate; there are x"),
    "pushed": ((px**2, x, [px], [x]), "forces must be a mapping of coordinate"),
    "idle": ((px**2, x, [px], None, x**2), "depends on none of px, so it damps nothing"),
    "stuck": ((x * px, x, [px], None, px**2), r"d2H/dp2 is singular. Write the damping as forces"),
}


@pytest.mark.parametrize("case", BAD_HAMILTONIANS)
def test_a_wrong_hamiltonian_is_refused(case: str) -> None:
    (H, q_, p_, *rest), message = BAD_HAMILTONIANS[case]
    forces, dissipation = (*rest, None, None)[:2]
    with pytest.raises(ModelError, match=f"^Model 'model'.*{message}"):
        sd.Model.from_hamiltonian(H, q_, p_, forces=forces, dissipation=dissipation)


LEVER = (vx + vy) ** 2
BAD_LAGRANGIANS = {
    "degenerate": ((LEVER, [x, y], [vx, vy]), r"do not determine vx, vy .* rank 1, expected 2"),
    "no kinetic": ((vx**2 - y * x, [x, y], [vx, vy]), r"do not determine vy \(.*eliminate it"),
    "decimals": (
        (0.1 * 0.1 * vx**2 + 0.2 * 0.1 * vx * vy + 0.01 * vy**2, [x, y], [vx, vy]),
        "degenerate",
    ),
    "hidden": (
        (vx**2 + (1 - sp.sin(x) ** 2 - sp.cos(x) ** 2) * vy**2, [x, y], [vx, vy]),
        "do not determine vy",
    ),
    "linear": ((x * vy - y * vx, [x, y], [vx, vy]), "rank 0, expected 2"),
    "no velocity": ((x**2, x, vx), r"does not depend on any velocity \(vx\)"),
    "not given": ((vx**2, x, None), r'no velocities given.*v = sd.states\("v_x"\)'),
    "too few": ((vx**2, [x, y], [vx]), r"2 coordinates \(x, y\) and 1 velocities \(vx\)"),
    "same": ((x**2, x, x), "the velocity x is called like a coordinate"),
    "cubic": ((v**3 + v**2, q, v), "no closed form was found of the velocities v"),
    "no symbol": ((v**2, q, 2 * v), "expected a symbol that stands for dq/dt"),
    "parameter": ((k**2, q, k), r"the velocity k is Parameter\("),
}


@pytest.mark.parametrize("case", BAD_LAGRANGIANS)
def test_a_wrong_lagrangian_is_refused(case: str) -> None:
    (L, q_, v_), message = BAD_LAGRANGIANS[case]
    with pytest.raises(ModelError, match=f"^Model 'model'.*{message}"):
        sd.Model.from_lagrangian(L, q_, v_)


def test_what_is_made_directly_is_checked() -> None:
    make = sd.MechanicalModel
    assert make(p**2 / 2, [q], [p], forces=[1]).equations == (p, 1)
    for forces in ([], [1, 2], {q: 1}, "p"):
        with pytest.raises(ModelError, match="a sequence of one force for each of q"):
            make(p**2 / 2, [q], [p], forces=forces)
    with pytest.raises(ModelError, match="force along q: uses the state 'x'"):
        make(p**2 / 2, [q], [p], forces=[x])
    with pytest.raises(ModelError, match=r"1 coordinates \(q\) and 0 velocities"):
        make(p**2 / 2, [q], [p], lagrangian=v**2 / 2)
    with pytest.raises(ModelError, match="velocities are symbols of a Lagrangian, and none"):
        make(p**2 / 2, [q], [p], velocities=["v"])
    with pytest.raises(ModelError, match="Lagrangian: uses the state 'x'"):
        make(p**2 / 2, [q], [p], lagrangian=v**2 / 2 + x, velocities=[v])
    with pytest.raises(ModelError, match="forces must be a mapping"):
        sd.Model.from_lagrangian(v**2 / 2, q, v, forces=[-1])


def test_a_momentum_that_would_be_called_like_a_parameter() -> None:
    for momenta in (v, sd.state("m", bounds=(0.0, 1.0))):
        with pytest.raises(ModelError, match=f"the momentum of q would be called '{momenta}'"):
            sd.Model.from_lagrangian(m * v**2 / 2, q, v, momenta=momenta)
    taken = sd.parameter("p_q")
    with pytest.raises(ModelError, match=r"would be called 'p_q', .* momenta=sd.states"):
        sd.Model.from_lagrangian(taken * v**2 / 2, q, v)


def test_the_printed_mathematics_says_where_the_equations_come_from() -> None:
    model = sd.Model.from_lagrangian(
        m * v**2 / 2 - k * q**2 / 2, q, v, forces={q: drive}, name="spring"
    )
    equations = sd.Action(model, [q]).equations()
    printed = str(equations)
    _, _, section = printed.partition("Mechanics\n---------\n")
    lines = [line.strip() for line in section.partition("\n\nMeasured")[0].splitlines() if line]
    assert lines == [
        "Where the equations come from: dq/dt = dH/dp_q, dp_q/dt = -dH/dq + force. "
        "H is not constant.",
        "L = m*v**2/2 - k*q**2/2",
        "v = dq/dt",
        "p_q = m*v   (dL/dv)",
        "H = k*q**2/2 + p_q**2/(2*m)",
        "force[q] = drive",
    ]
    assert r"p\_q/dt = -dH/dq" in equations.latex()
    assert "Mechanics" not in str(
        sd.Action(sd.models.pendulum(), [sd.models.pendulum()["angle"]]).equations()
    )
