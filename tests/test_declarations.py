"""The model's table of declarations: other bounds, starts and values, and the same symbols."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.declare import Declaration, EquationModel, LatticeModel, model_digest
from symda.declare.factory import Model
from symda.errors import DataError, ModelError

X, Y = sd.states("x y", start=(-1.0, 1.0))
K = sd.parameter("k", bounds=(0.0, 2.0), start=(0.5, 1.5))
G = sd.parameter("g", value=9.81)
W = sd.parameter("w", per="step", start=(-1.0, 1.0), process_variance=0.5)
I = sd.forcing("I")
MODEL = sd.Model({X: Y, Y: -K * X - G * Y + W * I}, name="m")
VERDICT = Path(__file__).parents[1] / "docs" / "verdict.md"


def test_a_model_holds_what_its_symbols_were_declared_with() -> None:
    assert list(MODEL.declarations) == [X, Y, W, G, K]
    assert MODEL.declarations[K] == Declaration((0.0, 2.0), (0.5, 1.5))
    assert MODEL.declarations[G].value == 9.81
    assert MODEL.declarations[W].process_variance == 0.5


def test_other_bounds_are_another_model_of_the_same_symbols_and_equations() -> None:
    wide = MODEL.with_bounds(k=(0, 30))
    assert wide.declarations[K] == Declaration((0.0, 30.0), (0.5, 1.5))
    assert MODEL.declarations[K].bounds == (0.0, 2.0)
    assert wide.equations == MODEL.equations and wide.parameters == MODEL.parameters
    assert wide["k"] is MODEL["k"] and wide != MODEL and wide.with_bounds(k=(0, 2)) == MODEL
    assert model_digest(wide) == model_digest(MODEL) and hash(wide) == hash(MODEL)
    assert pickle.loads(pickle.dumps(wide)) == wide
    # the same symbol in every expression: SymPy keeps one
    assert sp.diff(wide.equations[1], K) == -X


def test_each_sibling_changes_its_own_field() -> None:
    every = (
        MODEL.with_start({"x": (0, 1), Y: (2, 3), (W,): (0.0, 0.5)})
        .with_value(k=1, g=None)
        .with_typical({K: 3})
        .with_process_variance(w=None)
    )
    found = every.declarations
    assert found[X].start == (0.0, 1.0) and found[Y].start == (2.0, 3.0)
    assert found[W] == Declaration(start=(0.0, 0.5))
    assert found[K] == Declaration((0.0, 2.0), (0.5, 1.5), 1.0, 3.0)
    assert found[G] == Declaration()


def test_what_is_bound_is_the_models_table() -> None:
    T = 6
    data = sd.Observations(np.arange(T), np.zeros((T, 1)), variance=1.0, forcing={"I": np.ones(T)})
    offset = sd.parameter("offset", start=(-0.5, 0.5))
    model = MODEL.with_bounds(k=(-1.0, 30.0), x=(-7.0, 7.0)).with_start(k=(2.0, 20.0))
    model = model.with_value(g=1.5).with_typical(k=4.0).with_process_variance(w=0.125)
    problem = sd.Action(model, [X + offset]).bind(data)
    assert problem.states == ("x", "y", "w") and problem.parameters == ("g", "k", "offset")
    np.testing.assert_array_equal(problem.state_bounds[0], [-7.0, 7.0])
    np.testing.assert_array_equal(problem.parameter_bounds[1], [-1.0, 30.0])
    np.testing.assert_array_equal(problem.parameter_start, [[1.5, 1.5], [2, 20], [-0.5, 0.5]])
    np.testing.assert_array_equal(problem.fixed, [1.5, np.nan, np.nan])
    np.testing.assert_array_equal(problem.typical, [1.5, 4.0, 0.5])
    assert problem.per_step.tolist() == [False, False, True] and not problem.untied.any()
    np.testing.assert_array_equal(problem.precision([[1.0, 2.0, 3.0]]), [[1.0, 2.0, 1.0 / 0.125]])
    with pytest.raises(DataError, match="no value for the parameter 'g'"):
        sd.simulate(MODEL.with_value(g=None), [0.0, 1.0], [0.0, 1.0], parameters={"k": 1, "w": 0})


def test_known_values_serve_simulations() -> None:
    """x' = -g x: the solution is exp(-g t)."""
    x, g = sd.state("x"), sd.parameter("g")
    model = sd.Model({x: -g * x}).with_value(g=2.0)
    found = sd.simulate(model, [0.0, 1.0], [1.0]).states.values[-1, 0]
    assert found == pytest.approx(np.exp(-2.0), rel=1e-9)
    half = sd.step_map(model, "rk4").step(np.ones(1), 0.5)
    assert half == pytest.approx(1 - 1 + 1 / 2 - 1 / 6 + 1 / 24)


def test_kernels_follow_the_table() -> None:
    """x**n with a free n needs its limit at 0 only where x may be 0."""
    x, n = sd.state("x", start=(0.0, 1.0)), sd.parameter("n", start=(1.0, 3.0))
    model = sd.Model({x: -(x**n)}, name="power")
    guarded = sd.Action(model, [x]).emitted.digest
    positive = sd.Action(model.with_start(x=(0.5, 1.0)).with_bounds(x=(0.1, 2.0)), [x]).emitted
    assert positive.digest != guarded
    declared = sd.state("x", bounds=(0.1, 2.0), start=(0.5, 1.0))
    by_symbol = sd.Action(sd.Model({declared: -(declared**n)}, name="power"), [declared]).emitted
    assert positive == by_symbol


def test_fields_and_single_sites_of_a_lattice() -> None:
    i = sd.site("i", 5)
    u, v = sd.states("u", i, bounds=(-1.0, 1.0)), sd.states("v", i, bounds=(-1.0, 1.0))
    model = sd.Model({u[i]: v[i] - u[i + 1], v[i]: -u[i]}, name="ring")
    assert isinstance(model, LatticeModel) and isinstance(model, sd.Model)
    wide = model.with_bounds(u=(-5.0, 5.0))
    assert {wide.declarations[s].bounds for s in u} == {(-5.0, 5.0)}
    assert {wide.declarations[s].bounds for s in v} == {(-1.0, 1.0)}
    assert wide != model and wide == model.with_bounds({u: (-5.0, 5.0)})
    assert wide.expand() == model.expand().with_bounds({u: (-5.0, 5.0)})
    one = model.with_bounds(u3=(-2.0, 2.0))
    bounds = [one.declarations[s].bounds for s in u]
    assert bounds[3] == (-2.0, 2.0) and bounds[2] == (-1.0, 1.0)
    assert wide.declared(u) == Declaration((-5.0, 5.0)) and one.declared(u) is None
    assert "by site" in one._repr_html_() and "-5 .. 5" in wide._repr_html_()


def test_a_closed_form_for_one_sign_is_not_used_for_the_other() -> None:
    q, v, m = sd.state("q"), sd.state("v"), sd.parameter("m", bounds=(0.0, 2.0))
    k = sd.parameter("k", bounds=(0.0, 2.0))
    relativistic = -m * sp.sqrt(1 - v**2) - k * q**2 / 2
    model = sd.Model.from_lagrangian(relativistic, q, v, name="fast")
    assert model.with_bounds(m=(0.0, 9.0), q=(-3.0, 3.0)).declarations[m].bounds == (0.0, 9.0)
    with pytest.raises(ModelError, match=r"for a m that is never negative.*make the model again"):
        model.with_bounds(m=(-1.0, 2.0))
    spring = sd.Model.from_lagrangian(m * v**2 / 2 - k * q**2 / 2, q, v)
    assert spring.with_bounds(k=(-1.0, 2.0)).declarations[k].bounds == (-1.0, 2.0)
    light = spring.with_bounds(k=(-1.0, 2.0)).substitute({m: sp.Float(1)})
    assert light.declarations[k].bounds == (-1.0, 2.0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: MODEL.with_bounds(kk=(0, 1)), "'kk' is no state or parameter.*mean 'k'.*has x, y"),
        (lambda: MODEL.with_bounds(I=(0, 1)), "with_bounds: 'I' is no state or parameter"),
        (lambda: MODEL.with_bounds({3: (0, 1)}), "3 is no state or parameter"),
        (lambda: MODEL.with_bounds(k=(5, 1)), "'k': bounds = .* the wrong way round"),
        (lambda: MODEL.with_bounds(k=(1, 1)), "leave no room"),
        (lambda: MODEL.with_bounds(k=(0.0, 1.0)), r"'k': start = \(0.5, 1.5\) leaves bounds"),
        (lambda: MODEL.with_start(k=(-1, 1)), "start = .* leaves bounds"),
        (lambda: MODEL.with_bounds(k=None), "bounds must be a pair"),
        (lambda: MODEL.with_value(k=3.0), "value = 3.0 lies outside bounds"),
        (
            lambda: MODEL.with_value(x=3.0),
            "'x' is a state, which has no value; it has bounds, start",
        ),
        (lambda: MODEL.with_process_variance(k=1.0), "'k' is a parameter, which has no process_v"),
        (lambda: MODEL.with_process_variance(w=0.0), "must be finite and larger than zero"),
        (lambda: MODEL.with_bounds({K: (0, 3)}, k=(0, 4)), "'k' is given twice"),
        (lambda: MODEL.with_bounds([(0, 1)]), "expected a mapping of states or parameters"),
        (
            lambda: MODEL.with_bounds({sd.parameter("k"): (0, 1)}),
            r"prints like a symbol of the model but was declared differently.*model\['k'\]",
        ),
    ],
)
def test_a_mistake_is_named(call, words) -> None:
    with pytest.raises(ModelError, match=words):
        call()


def test_two_declarations_that_disagree_are_still_an_error() -> None:
    other = sd.parameter("k", bounds=(0.0, 30.0))
    with pytest.raises(ModelError, match="two different symbols print alike as 'k'"):
        sd.Model({X: K * X + other})


def test_every_kind_is_a_model_and_the_constructors_are_where_they_were() -> None:
    hamiltonian = sd.Model.from_hamiltonian(X**2 + Y**2, X, Y)
    assert isinstance(hamiltonian, sd.Model) and isinstance(hamiltonian, sd.MechanicalModel)
    assert type(MODEL) is EquationModel and isinstance(MODEL, sd.Model)
    assert issubclass(sd.MechanicalModel, sd.Model) and sd.Model is Model
    assert not isinstance(X, sd.Model) and not issubclass(dict, sd.Model)
    assert not isinstance(MODEL, sd.MechanicalModel)


def test_the_example_of_the_docs_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", VERDICT.read_text("utf-8"), flags=re.DOTALL)
    (example,) = (block for block in blocks if "with_bounds" in block)
    names = {"sd": sd, "model": sd.models.lorenz96(5)}
    exec(compile(example, "verdict.md", "exec"), names)
    declared = names["wider"].declarations
    assert declared[names["model"]["nu"]].bounds == (0.0, 30.0)
    assert names["wider"].equations == names["model"].equations
