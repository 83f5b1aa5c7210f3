"""`step_map` and `integrate`: numbers against other means, ensembles, forcing, every mistake."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Sequence

import flow_models as systems
import numpy as np
import pytest
import sympy as sp
from flow_models import Maps

import symda as sd
from symda.api import IntegrationWarning, VirtualMachineWarning
from symda.api.flow_run import Stops
from symda.discretise import Tableau
from symda.errors import SymdaError


def pendulum() -> sd.MechanicalModel:
    q, p = sd.states("q p")
    g = sd.parameter("g", value=9.81)
    return sd.Model.from_hamiltonian(p**2 / 2 - g * sp.cos(q), [q], [p], name="pendulum")


def oscillator() -> sd.MechanicalModel:
    q, p = sd.states("q p")
    return sd.Model.from_hamiltonian(p**2 / 2 + q**2 / 2, [q], [p], name="oscillator")


def kepler() -> sd.MechanicalModel:
    q, p = sd.states("q", 2), sd.states("p", 2)
    H = (p[0] ** 2 + p[1] ** 2) / 2 - 1 / sp.sqrt(q[0] ** 2 + q[1] ** 2)
    return sd.Model.from_hamiltonian(H, q, p, name="kepler")


def decay() -> sd.Model:
    x, k = sd.state("x"), sd.parameter("k", value=0.7)
    return sd.Model({x: -k * x}, name="decay")


def pushed() -> sd.Model:
    """D = 1, driven by a forcing and a clock."""
    x, I, t = sd.state("x"), sd.forcing("I"), sd.time("t")
    return sd.Model({x: -x + I + sp.sin(3 * t)}, name="pushed")


def steered() -> sd.Model:
    x, v = sd.state("x"), sd.parameter("v", per="step")
    return sd.Model({x: v}, name="steered")


def blow_up() -> sd.Model:
    x = sd.state("x")
    return sd.Model({x: x**2}, name="blow_up")


def test_verlet_as_one_writes_it() -> None:
    q, p, h = 0.3, -0.2, 0.05
    for _ in range(40):
        p -= h / 2 * 9.81 * math.sin(q)
        q += h * p
        p -= h / 2 * 9.81 * math.sin(q)
    found = sd.integrate(pendulum(), [0.0, 1.0, 2.0], [0.3, -0.2], method="verlet", step=0.05)
    np.testing.assert_allclose(found.states.values[-1], [q, p], rtol=1e-13)
    assert found.states.dims == ("time", "state")
    assert found.parameters == {"g": 9.81}


@pytest.mark.usefixtures("uncompiled")
def test_rk4_of_one_state_in_closed_form() -> None:
    found = sd.integrate(decay(), [0.0, 1.0], {"x": 2.0}, step=0.25, parameters={"k": 1.2})
    z = -1.2 * 0.25
    exact = 2.0 * (1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24) ** 4
    np.testing.assert_allclose(found.states.values[:, 0], [2.0, exact], rtol=1e-14)


@pytest.mark.usefixtures("uncompiled")
def test_implicit_midpoint_of_one_state_in_closed_form() -> None:
    step = sd.step_map(decay(), "midpoint", parameters=[1.2])
    ratio = (1 - 1.2 * 0.25 / 2) / (1 + 1.2 * 0.25 / 2)
    np.testing.assert_allclose(step.step([2.0], 0.25), [2.0 * ratio], rtol=1e-14)
    np.testing.assert_allclose(step.tangent([2.0], 0.25), [[ratio]], rtol=1e-14)


@pytest.mark.usefixtures("uncompiled")
def test_variational_midpoint_is_implicit_midpoint() -> None:
    model = systems.lagrangian(2, 1, curved=False)
    x = systems.start(model)
    one, other = (
        sd.step_map(model, name).advance(x, 0.1, 20)[-1]
        for name in ("variational-midpoint", "midpoint")
    )
    np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.usefixtures("uncompiled")
def test_quadratic_invariants_are_kept_and_energy_stays_near() -> None:
    for name, bound in (("midpoint", 1e-14), ("gauss4", 1e-14), ("verlet", 2e-3), ("rk4", 1.0)):
        step = sd.step_map(oscillator(), name)
        states = step.advance([1.0, 0.0], 0.1, 1000, every=10)
        error = abs((states**2).sum(axis=1) / 2 - 0.5)
        assert error.max() < bound, name
    # of rk4 the energy leaks: 1 - h^6 / 72 + h^8 / 576 a step
    assert 2 * error[-1] == pytest.approx(1 - (1 - 0.1**6 / 72 + 0.1**8 / 576) ** 1000, rel=1e-3)


@pytest.mark.usefixtures("uncompiled")
def test_angular_momentum_is_kept() -> None:
    x = np.array([0.4, 0.0, 0.0, 2.0])
    for name in ("symplectic-euler", "verlet", "yoshida4"):
        states = sd.step_map(kepler(), name).advance(x, 0.01, 200)
        spin = states[:, 0] * states[:, 3] - states[:, 1] * states[:, 2]
        np.testing.assert_allclose(spin, 0.8, atol=1e-13)


def test_integrate_against_simulate_with_forcing_time_and_uneven_times() -> None:
    times = np.array([0.0, 0.13, 0.5, 1.7, 2.0])
    t = sd.time("t")
    for forcing in (sp.cos(2 * t), sd.Samples(np.linspace(0, 2, 201), np.linspace(0, 2, 201) ** 2)):
        given = {"I": forcing}
        exact = sd.simulate(pushed(), times, [0.4], forcing=given)
        found = sd.integrate(pushed(), times, [0.4], method="gauss4", step=0.01, forcing=given)
        np.testing.assert_allclose(found.states.values, exact.states.values, atol=1e-8)
        assert set(found.forcing) == {"I"}


@pytest.mark.usefixtures("uncompiled")
def test_a_jump_takes_effect_at_its_own_time() -> None:
    I = sd.forcing("I")
    x = sd.state("x")
    model = sd.Model({x: I}, name="ramp")
    held = sd.Samples([0.0, 0.3, 1.0], [1.0, -2.0, 7.0], "hold")
    found = sd.integrate(model, [0.0, 0.3, 1.0], [0.0], method="rk4", forcing={"I": held})
    np.testing.assert_allclose(found.states.values[:, 0], [0.0, 0.3, 0.3 - 1.4], rtol=1e-14)


def test_long_runs_with_forcing_are_laid_out_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    t = sd.time("t")
    given = {"I": sp.cos(t)}
    times = np.linspace(0.0, 3.0, 8)
    whole = sd.integrate(pushed(), times, [0.4], method="gauss4", step=0.02, forcing=given)
    monkeypatch.setattr("symda.api.flow_run.CHUNK", 7)
    pieces = sd.integrate(pushed(), times, [0.4], method="gauss4", step=0.02, forcing=given)
    np.testing.assert_allclose(pieces.states.values, whole.states.values, rtol=1e-14)


def test_stretches_cut_and_whole() -> None:
    stops = Stops.between(np.array([0.0, 0.3, 1.0]), 0.1, "integrate")
    assert stops.counts.tolist() == [3, 7]
    pieces = list(stops.chunks(4))
    assert [part.counts.tolist() for part, _ in pieces] == [[3, 1], [4], [2]]
    assert [ends.tolist() for _, ends in pieces] == [[0, -1], [-1], [1]]
    np.testing.assert_allclose([part.t[-1] for part, _ in pieces], [0.3, 0.4, 0.8])


@pytest.mark.usefixtures("uncompiled")
def test_parameters_per_step() -> None:
    model = steered()
    found = sd.integrate(model, [0.0, 1.0, 2.0], [0.0], parameters={"v": [1.0, -3.0]})
    np.testing.assert_allclose(found.states.sel(state="x"), [0.0, 1.0, -2.0], rtol=1e-14)
    many = sd.integrate(model, [0.0, 1.0, 2.0], [[0.0], [5.0]], parameters={"v": [1.0, -3.0]})
    assert many.states.dims == ("member", "time", "state")
    np.testing.assert_allclose(many.states.sel(state="x")[1], [5.0, 6.0, 3.0], rtol=1e-14)
    np.testing.assert_allclose(many.states.sel(state="v")[1], [1.0, -3.0, -3.0])


def test_forces_time_and_forcing_of_a_mechanical_model() -> None:
    q, p = sd.states("q p")
    v, t, I = sd.state("v"), sd.time("t"), sd.forcing("I")
    L = v**2 / 2 - (1 + sp.cos(t) / 2) * sp.cos(q) + q * I
    model = sd.Model.from_lagrangian(L, q, v, momenta=p, forces={q: -0.1 * v}, name="shaken")
    maps, u = Maps.of(model), lambda t: np.sin(2 * t) / 2
    assert not any(one.needs == "separable" for one in maps.methods)  # the force depends on p
    x, end = np.array([0.4, 0.3]), 1.0
    exact = maps.reference(x, end, u=u)
    for method in maps.methods:
        if method.order < 2:
            continue
        errors = []
        for N in (10, 20):
            found = maps.run(maps.numpy, method, x, end / N, N, u=u)
            errors.append(np.linalg.norm(found - exact))
        assert math.log2(errors[0] / errors[1]) > method.order - 0.3 or errors[0] < 1e-9, method
        _, M = maps.tangent(maps.numpy, method, x, 0.1, 0.3, u)
        eps = 1e-5
        columns = [
            maps.run(maps.numpy, method, x + eps * e, 0.1, 1, 0.3, u)
            - maps.run(maps.numpy, method, x - eps * e, 0.1, 1, 0.3, u)
            for e in np.eye(2)
        ]
        np.testing.assert_allclose(M, np.array(columns).T / (2 * eps), atol=1e-9)


def test_a_member_does_not_depend_on_its_company() -> None:
    members = np.random.default_rng(0).uniform(-1, 1, (23, 2))
    times = np.linspace(0.0, 3.0, 5)
    runs = [
        sd.integrate(pendulum(), times, members, method=method, step=0.05, threads=threads).states
        for method in ("verlet", "gauss4")
        for threads in (1, 2, 5)
    ]
    for one, two, five in (runs[:3], runs[3:]):
        assert one.dims == ("member", "time", "state") and one.shape == (23, 5, 2)
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, five)
    alone = sd.integrate(pendulum(), times, members[7], method="gauss4", step=0.05).states
    np.testing.assert_array_equal(runs[3][7], alone)


def test_a_member_that_diverges_leaves_the_others_alone() -> None:
    members = [[0.5], [2.0], [-1.0]]
    with pytest.warns(IntegrationWarning, match="member 1: the solution left finite numbers"):
        found = sd.integrate(blow_up(), [0.0, 0.25, 1.5], members, step=1e-3)
    values = found.states.values[:, :, 0]
    np.testing.assert_allclose(values[0], [0.5, 0.5 / 0.875, 2.0], rtol=1e-9)
    np.testing.assert_allclose(values[1], [2.0, 4.0, np.nan], rtol=1e-9)
    np.testing.assert_allclose(values[2], [-1.0, -0.8, -0.4], rtol=1e-9)
    assert "member 1" in found.states.attrs["message"]


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMDA_CC", "none")
    with pytest.warns(VirtualMachineWarning):
        step = sd.step_map(pendulum(), "gauss4")
    assert step.kind == "virtual machine" and "gauss4" in step.source
    slow = step.advance([0.3, 0.1], 0.1, 5)
    monkeypatch.undo()
    fast = sd.step_map(pendulum(), "gauss4")
    assert fast.kind == "compiled"
    np.testing.assert_allclose(slow, fast.advance([0.3, 0.1], 0.1, 5), rtol=1e-13)


def test_every_mth_state_and_ensembles_of_a_step_map() -> None:
    step = sd.step_map(pendulum(), "verlet")
    all_states = step.advance({"q": 0.3, "p": 0.1}, 0.1, 6)
    some = step.advance([0.3, 0.1], 0.1, 6, every=3)
    assert all_states.shape == (7, 2)
    np.testing.assert_allclose(some, all_states[::3], rtol=1e-14)
    many = step.advance([[0.3, 0.1], [0.0, 0.0]], 0.1, 6, every=2)
    assert many.shape == (2, 4, 2)
    np.testing.assert_array_equal(many[1], 0.0)
    np.testing.assert_allclose(step.step(step.step([0.3, 0.1], 0.1), -0.1), [0.3, 0.1], rtol=1e-13)


@pytest.mark.usefixtures("uncompiled")
def test_one_step_of_several_states() -> None:
    step = sd.step_map(decay(), "euler", parameters=[1.0])
    np.testing.assert_allclose(step.step([[1.0], [2.0], [3.0]], 0.1), [[0.9], [1.8], [2.7]])


@pytest.mark.usefixtures("uncompiled")
def test_steps_back_to_the_first_sample() -> None:
    samples = sd.Samples([0.0, 1.0, 3.0], [1.0, 2.0, 0.0])
    step = sd.step_map(pushed(), "rk4", forcing={"I": samples})
    there = step.advance([1.0], 0.1, 30)[-1]
    np.testing.assert_allclose(step.advance(there, -0.1, 30, t=3.0)[-1], [1.0], atol=1e-4)
    with pytest.raises(sd.DataError, match=r"needed at -0\.0\d"):
        step.advance(there, -0.1, 31, t=3.0)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("name", ["of", "stages", "t", "tangent"])
def test_names_of_integrators_that_are_words_of_the_module(name: str) -> None:
    """Nothing but the maps themselves begins with step_ or tangent_ in the emitted module."""
    own = Tableau(name, 1, A=[[1]], b=[1])
    defined = re.findall(r"\b(?:step|tangent)_\w+(?=[ (])", sd.step_map(decay(), own).source)
    assert len(set(defined)) == 2


@pytest.mark.usefixtures("uncompiled")
def test_an_integrator_of_ones_own() -> None:
    ralston = Tableau("ralston", 2, A=[[], ["2/3"]], b=["1/4", "3/4"])
    found = sd.step_map(decay(), ralston).step([1.0], 0.5)
    z = -0.35
    np.testing.assert_allclose(found, [1 + z + z**2 / 2], rtol=1e-15)


def test_the_text_is_the_same_twice_and_reads_well() -> None:
    text = sd.step_map(pendulum(), "verlet").source
    assert text == sd.step_map(pendulum(), "verlet").source
    assert "kick - drift - kick" in text and "dp/dt = -g*sin(q)" in text
    assert "if fresh:" in text  # the last force of a step is the first of the next


def test_names_that_would_be_code_elsewhere() -> None:
    x, y = sd.states("lambda I")
    model = sd.Model({x: y, y: -x}, name='while "x"')
    found = sd.integrate(model, [0.0, 1.0], [1.0, 0.0], method="gauss6", step=0.1)
    np.testing.assert_allclose(found.states.values[-1], [math.cos(1), -math.sin(1)], atol=1e-9)


def stiff() -> sd.Model:
    x = sd.state("x")
    return sd.Model({x: 1 / x}, name="hyperbola")


@pytest.mark.usefixtures("uncompiled")
def test_what_does_not_converge_says_where() -> None:
    step = sd.step_map(blow_up(), "midpoint")
    with pytest.raises(sd.SolveError, match=r"converge in step \d+ \(t = .*smaller step") as failed:
        step.advance([1.0], 0.3, 10)
    assert "'midpoint'" in str(failed.value)


@pytest.mark.usefixtures("uncompiled")
def test_what_leaves_finite_numbers_says_in_which_step(monkeypatch: pytest.MonkeyPatch) -> None:
    words = []
    for longest in (1 << 22, 77):
        monkeypatch.setattr("symda.api.flow_run.LONGEST_CALL", longest)
        with pytest.raises(sd.SolveError) as failed:
            sd.integrate(blow_up(), [0.0, 0.5, 2.0], [1.0], method="euler", step=0.01)
        words.append(str(failed.value))
    x, n = 1.0, 0
    while math.isfinite(after := x + 0.01 * x * x):
        x, n = after, n + 1
    assert f"finite numbers in step {n} (t = {n / 100:.6g}, h = 0.01)" in words[0]
    assert words[1] == words[0]
    with pytest.raises(sd.SolveError, match=r"^StepMap.step: the solution left .* in step 0 "):
        sd.step_map(blow_up(), "euler").step([1e200], 1.0)
    with pytest.raises(sd.SolveError, match=r"^StepMap.tangent: the solution left .* in step 0 "):
        sd.step_map(blow_up(), "heun").tangent([1e160], 1.0)


def map_model() -> sd.Model:
    x = sd.state("x")
    return sd.Model({x: 1 - x**2}, name="quadratic", discrete=True)


def lattice() -> sd.Model:
    i = sd.site("i", 300)
    u = sd.states("u", i)
    return sd.Model({u[i]: u[i + 1] - u[i]}, name="shift")


def product() -> sd.MechanicalModel:
    q, p = sd.states("q p")
    return sd.Model.from_hamiltonian(p**2 * (1 + q**2) / 2, [q], [p], name="product")


Call = Callable[[], object]
T = (0.0, 1.0)

MISTAKES: Sequence[tuple[Call, list[str]]] = [
    (lambda: sd.integrate("pendulum", T, [0.0]), ["first argument", "str"]),
    (lambda: sd.integrate(map_model(), T, [0.0]), ["discrete map", "sd.simulate"]),
    (lambda: sd.integrate(pendulum(), T, [0, 0], method="verlte"), ["'verlte'", "'verlet'"]),
    (
        lambda: sd.step_map(pendulum(), None),
        ["method must be 'euler' or", "a symda.Tableau of your own, got None"],
    ),
    (lambda: sd.step_map(product(), "verlet"), ["separable", "'product'", "'lobatto-2'"]),
    (lambda: sd.step_map(product(), "yoshida4"), ["separable", "'yoshida4-midpoint'"]),
    (lambda: sd.step_map(decay(), "verlet"), ["coordinates and momenta", "from_hamiltonian"]),
    (lambda: sd.step_map(decay(), "lobatto-2"), ["coordinates and momenta", "'gauss4'"]),
    (lambda: sd.step_map(pendulum(), "variational-midpoint"), ["from_lagrangian", "'midpoint'"]),
    (lambda: sd.step_map(lattice(), "gauss4"), ["implicit", "300 states", "'rk4'"]),
    (lambda: sd.integrate(pendulum(), T, [0.0]), ["integrate: initial", "length 2"]),
    (lambda: sd.integrate(pendulum(), T, [[0.0]]), ["(members, 2)", "(1, 1)"]),
    (lambda: sd.integrate(pendulum(), T, np.empty((0, 2))), ["(members, 2)"]),
    (lambda: sd.integrate(pendulum(), T, [[0, 0], [0, np.nan]]), ["member 1", "'p'"]),
    (lambda: sd.integrate(pendulum(), [1.0, 0.0], [0, 0]), ["increasing"]),
    (lambda: sd.integrate(pendulum(), T, [0, 0], step=0.0), ["integrate: step", "positive"]),
    (lambda: sd.integrate(pendulum(), T, [0, 0], step=1e-300), ["step = 1e-300"]),
    (lambda: sd.integrate(pendulum(), T, [0, 0], threads=0), ["threads", "at least 1"]),
    (lambda: sd.integrate(pendulum(), T, [0, 0], threads=2), ["threads=2 has no effect", "(K, D)"]),
    (lambda: sd.integrate(pendulum(), T, [0, 0], parameters={"h": 1}), ["no parameter 'h'"]),
    (lambda: sd.integrate(pushed(), T, [0.0]), ["forcing 'I'", "integrate(...)"]),
    (
        lambda: sd.integrate(
            pushed(), T, [0.0], method="gauss4", forcing={"I": ([0.0, 0.5], [1.0, 2.0])}
        ),
        ["integrate: forcing 'I'", "cover times 0.0 to 0.5"],
    ),
    (
        lambda: sd.step_map(pendulum(), "verlet").advance([0, 0], 0.1, 5, every=2),
        ["no multiple", "4 steps"],
    ),
    (lambda: sd.step_map(pendulum(), "verlet").advance([0, 0], 0.1, 0), ["steps", "at least 1"]),
    (
        lambda: sd.step_map(pendulum(), "verlet").step([0, 0], np.nan),
        ["StepMap.step: h", "finite"],
    ),
    (
        lambda: sd.step_map(pendulum(), "verlet").tangent([[0, 0], [1, 1]], 0.1),
        ["StepMap.tangent: expected one state, got 2"],
    ),
    (
        lambda: sd.step_map(pendulum(), "verlet").advance([0, 0], 1e-3, 10**12),
        ["StepMap.advance: 1000000000001 states", "1.6e+04 GB", "every="],
    ),
    (lambda: sd.integrate(decay(), [-1e308, 1e308], [1.0]), ["times -1e+308", "too far apart"]),
    (lambda: sd.integrate(decay(), [0.0, 1e-300, 1.0], [1.0]), ["step = 1e-300 makes 1e+300"]),
    (
        lambda: sd.step_map(steered(), "rk4", parameters={"v": [2.0, 3.0]}),
        ["step_map: parameters['v']: expected a number or symda.Samples", "no times"],
    ),
    (lambda: sd.integrate(blow_up(), [0.0, 2.0], [1.0], step=0.01), ["left finite", "smaller"]),
]


@pytest.mark.parametrize(("call", "words"), MISTAKES, ids=[words[0] for _, words in MISTAKES])
def test_mistakes(call: Call, words: list[str]) -> None:
    with pytest.raises(SymdaError) as refused, warnings.catch_warnings():
        warnings.simplefilter("error")
        call()
    for word in words:
        assert word in str(refused.value)


@pytest.mark.usefixtures("uncompiled")
def test_sampled_forcing_is_not_extrapolated_by_a_composition() -> None:
    q, p, I = *sd.states("q p"), sd.forcing("I")
    model = sd.Model.from_hamiltonian(p**2 / 2 + q**2 / 2 - q * I, [q], [p], name="driven")
    samples = {"I": sd.Samples([0.0, 1.0], [0.0, 1.0])}
    with pytest.raises(sd.DataError, match=r"'yoshida4' evaluates forcing up to 0.35 steps"):
        sd.integrate(model, T, [0.0, 0.0], method="yoshida4", step=0.1, forcing=samples)
    found = sd.integrate(model, T, [0.0, 0.0], method="verlet", step=1e-3, forcing=samples)
    np.testing.assert_allclose(found.states.sel(state="q")[-1], 1 - math.sin(1), atol=1e-6)


def test_too_large_for_an_implicit_step() -> None:
    x = sd.states("x", 300)
    model = sd.Model({s: -s for s in x}, name="wide")
    with pytest.raises(sd.OptionError, match="900 unknowns"):
        sd.step_map(model, "gauss6")


def test_large_lattices_in_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    i, j = sd.site("i", 12), sd.site("j", 20, boundary="reflect")
    u, v = sd.states("u", (i, j)), sd.states("v", (i, j))
    k, I, t = sd.parameter("k", value=0.3), sd.forcing("I"), sd.time("t")
    spread = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] - 4 * u[i, j]
    model = sd.Model(
        {u[i, j]: k * spread - v[i, j] + I, v[i, j]: sp.sin(u[i, j]) - k * v[i - 2, j] * sp.cos(t)},
        name="sheet",
    )
    x = np.random.default_rng(0).normal(size=len(model.states))
    given = {"I": sp.cos(3 * t)}
    found = sd.integrate(model, [0.0, 0.5, 1.0], x, step=0.01, forcing=given)
    exact = sd.simulate(model, [0.0, 0.5, 1.0], x, forcing=given)
    np.testing.assert_allclose(found.states.values, exact.states.values, atol=1e-9)
    many = sd.integrate(model, [0.0, 0.5, 1.0], [0 * x, x], step=0.01, forcing=given, threads=2)
    np.testing.assert_array_equal(many.states[1], found.states)
    step = sd.step_map(model, "rk4", forcing={"I": 1.0})
    with pytest.raises(sd.OptionError, match=r"no Jacobian of 'sheet', a lattice of 480 states"):
        step.tangent(x, 0.1)
    monkeypatch.setenv("SYMDA_CC", "none")
    with pytest.warns(VirtualMachineWarning):
        slow = sd.step_map(model, "rk4", forcing={"I": 1.0})
    np.testing.assert_allclose(slow.step(x, 0.1), step.step(x, 0.1), rtol=1e-12)


@pytest.mark.usefixtures("uncompiled")
def test_splittings_of_hamiltonians_that_change_in_time() -> None:
    """Kicks and drifts have clocks of their own; both parts depend on time here."""
    q, p, v = *sd.states("q p"), sd.parameter("v", per="step")
    t, I = sd.time("t"), sd.forcing("I")
    H = (1 + sp.sin(2 * t) / 3) * p**2 / 2 + p * I - (1 + sp.cos(t) / 2) * sp.cos(q) + q * I + v * q
    model = sd.Model.from_hamiltonian(H, [q], [p], name="swing")
    assert model.separable
    known = sd.Model.from_hamiltonian(H.subs(v, 0.2), [q], [p], name="swing")
    maps, u = Maps.of(known), lambda t: np.sin(3 * t) / 2
    x, end = np.array([0.4, 0.3]), 1.5
    exact = maps.reference(x, end, u=u)
    for method in maps.methods:
        if method.needs != "separable":
            continue
        few, many = (
            np.linalg.norm(maps.run(maps.numpy, method, x, end / N, N, u=u) - exact)
            for N in (20, 40)
        )
        assert abs(math.log2(few / many) - method.order) < 0.25, method.name
    given = {"forcing": {"I": sp.sin(3 * t) / 2}, "parameters": {"v": 0.2}}
    found = sd.integrate(model, [0.0, end], x, method="yoshida4", step=end / 40, **given)
    again = maps.run(maps.numpy, sd.INTEGRATORS["yoshida4"], x, end / 40, 40, u=u)
    np.testing.assert_allclose(found.states.values[-1, :2], again, rtol=1e-12)
    assert list(found.states["state"].values) == ["q", "p", "v"]


@pytest.mark.usefixtures("uncompiled")
def test_one_time_alone_and_times_far_from_zero() -> None:
    found = sd.integrate(decay(), [3.0], [[1.0], [2.0]])
    assert found.states.shape == (2, 1, 1) and found.states.values[1, 0, 0] == 2.0
    far = sd.integrate(pushed(), [1e4, 1e4 + 0.5], [0.0], forcing={"I": 0.0}, step=0.01)
    exact = sd.simulate(pushed(), [1e4, 1e4 + 0.5], [0.0], forcing={"I": 0.0})
    np.testing.assert_allclose(far.states.values, exact.states.values, atol=1e-8)
