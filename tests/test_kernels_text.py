"""Emitted text is deterministic and complete; kernels travel to other processes; wrong input."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from models import (
    compiled_case,
    disagreements,
    everything,
    make_case,
    random_point,
    random_problem,
)

import symda as sd
from symda.errors import InputError

WIDE = {"start": (-1.0, 1.0)}

PRINT_SOURCES = """
import hashlib
from models import COMPILED, compiled_case
for index in range(len(COMPILED)):
    source = compiled_case(index).source
    print(source.name, source.digest, hashlib.sha256(source.text.encode()).hexdigest())
"""

EVALUATE = """
import pickle, sys
import numpy as np
payload, problem, X, theta, rf = pickle.load(open(sys.argv[1], "rb"))
kernels = payload.restore()
at = kernels.at(problem)
value, gradient = at.value_and_gradient(X, theta, rf)
result = kernels.kind, value, gradient, at.hessian(X, theta, rf).toarray(), kernels.source
pickle.dump(result, open(sys.argv[2], "wb"))
"""


def run(script, *arguments, **variables):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), **variables}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_processes_emit_the_same_bytes():
    first, second = (run(PRINT_SOURCES, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first == second
    assert compiled_case(2).source.digest in first


def vortex(equations):
    """A model of two states, from a function of them."""
    x, y = sd.states("x y", **WIDE)
    model = sd.Model({x: equations(x, y), y: x - y}, name="vortex")
    return make_case(model, [x], "euler")


CHANGES = {
    "swapped arguments": lambda x, y: sp.atan2(y, x),
    "changed constant": lambda x, y: sp.atan2(x, 1.0000000000000002 * y),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_of_the_model_changes_digest_and_numbers(name):
    base, changed = vortex(lambda x, y: sp.atan2(x, y)), vortex(CHANGES[name])
    assert base.source.digest != changed.source.digest
    assert base.source.name != changed.source.name
    rng = np.random.default_rng(0)
    problem = random_problem(base, rng, N=3, observed="all")
    point = random_point(problem, rng)
    before = everything(base.compiled, problem, *point)
    after = everything(changed.compiled, problem, *point)
    assert disagreements(after, everything(changed.virtual, problem, *point)) == {}
    assert not np.array_equal(after["gradient"], before["gradient"])
    # and back: what was compiled in between has replaced nothing
    again = everything(base.compiled, problem, *point)
    assert all(np.array_equal(again[key], before[key]) for key in before)


def test_the_same_model_written_again_is_the_same_text():
    first, second = (vortex(lambda x, y: sp.atan2(x, y)).source for _ in range(2))
    assert first == second


@pytest.mark.parametrize("kind", ["compiled", "virtual"])
@pytest.mark.parametrize("index", [2, 6, 8])
def test_kernels_survive_a_round_trip(kind, index):
    case = compiled_case(index)
    kernels = getattr(case, kind)
    rng = np.random.default_rng(index)
    problem = random_problem(case, rng, N=3)
    point = random_point(problem, rng)
    back = pickle.loads(pickle.dumps(kernels.payload(problem))).restore()
    assert (back.kind, back.source) == (kernels.kind, kernels.source)
    before, after = everything(kernels, problem, *point), everything(back, problem, *point)
    assert all(np.array_equal(after[key], before[key]) for key in before)


@pytest.mark.parametrize("kind", ["compiled", "virtual"])
def test_kernels_travel_to_a_fresh_process(kind, tmp_path):
    case = compiled_case(6)
    kernels = getattr(case, kind)
    rng = np.random.default_rng(6)
    problem = random_problem(case, rng, N=3)
    point = random_point(problem, rng)
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(pickle.dumps((kernels.payload(problem), problem, *point)))
    run(EVALUATE, str(there), str(back))
    told, value, gradient, hessian, source = pickle.loads(back.read_bytes())
    assert (told, source) == (kernels.kind, kernels.source)
    at = kernels.at(problem)
    assert value == at.action(*point)
    np.testing.assert_array_equal(gradient, at.gradient(*point))
    np.testing.assert_array_equal(hessian, at.hessian(*point).toarray())


@pytest.fixture
def bound():
    case = compiled_case(6)
    rng = np.random.default_rng(0)
    problem = random_problem(case, rng, N=3)
    return case.compiled.at(problem), *random_point(problem, rng)


@pytest.mark.parametrize("method", ["action", "gradient", "hessian", "terms", "value_and_gradient"])
def test_a_path_of_the_wrong_shape_is_refused(bound, method):
    at, X, theta, rf = bound
    message = (
        "The path X must have the shape (M, D) = (7, 2) of this problem's grid and states, got {}."
    )
    for wrong in (X[:-1], X.T, X.reshape(-1), X[::2], X[None]):
        text = re.escape(message.format(wrong.shape))
        with pytest.raises(InputError, match=f"^{text}$"):
            getattr(at, method)(wrong, theta, rf)
    with pytest.raises(InputError, match=re.escape("(M, D) = (7, 2)")):
        at.residual(X[:-1], theta)


def test_parameters_of_the_wrong_shape_are_refused(bound):
    at, X, theta, rf = bound
    message = "theta must have the shape (P,) = (2,), one value for each of ('p0', 'p1'), got {}."
    for wrong in (theta[:1], np.append(theta, 1.0), theta[:, None], []):
        text = re.escape(message.format(np.shape(wrong)))
        with pytest.raises(InputError, match=f"^{text}$"):
            at.action(X, wrong, rf)


def test_rf_of_the_wrong_shape_is_refused(bound):
    at, X, theta, _ = bound
    message = "rf must be one number or one a state (D = 2), got the shape {}."
    for wrong in ([1.0, 2.0, 3.0], np.ones((2, 2)), []):
        text = re.escape(message.format(np.shape(wrong)))
        with pytest.raises(InputError, match=f"^{text}$"):
            at.hessian(X, theta, wrong)


def test_a_problem_of_another_model_or_scheme_is_refused(bound):
    at, *_ = bound
    message = (
        "The problem belongs to another model, measurement or scheme: these kernels have {}. "
        "Bind the data to the action the kernels were made from."
    )
    rng = np.random.default_rng(0)
    sizes = {
        0: "D = 2, not 1; P = 2, not 0; E = 4, not 1; 3 + S U = 6, not 3",
        5: "P = 2, not 3; L = 1, not 2; E = 4, not 2; 3 + S U = 6, not 5",
        # the same model under another scheme
        9: "E = 4, not 2; 3 + S U = 6, not 5",
    }
    for index, told in sizes.items():
        other = random_problem(compiled_case(index), rng, N=2)
        with pytest.raises(InputError, match=f"^{re.escape(message.format(told))}$"):
            at.kernels.at(other)


@pytest.mark.parametrize("kind", ["compiled", "virtual"])
def test_measuring_a_path_of_the_wrong_width_is_refused(kind):
    kernels = getattr(compiled_case(6), kind)
    text = "measure needs a path X of the shape (M, 2) and theta of the shape (2,), got {} and {}."
    for X, theta in (
        (np.ones((5, 3)), np.ones(2)),
        (np.ones(2), np.ones(2)),
        (np.ones((5, 2)), []),
    ):
        message = re.escape(text.format(np.shape(X), np.shape(theta)))
        with pytest.raises(InputError, match=f"^{message}$"):
            kernels.measure(X, theta)
    assert kernels.measure(np.ones((5, 2)), np.ones(2)).shape == (5, 1)


def test_lists_strides_and_other_numbers_are_converted(bound):
    at, X, theta, rf = bound
    expected = at.action(X, theta, rf)
    wide = np.full((X.shape[0], 2 * X.shape[1]), np.nan)
    wide[:, ::2] = X
    for path in (X.tolist(), np.asfortranarray(X), wide[:, ::2], X.astype(object)):
        assert at.action(path, theta.tolist(), rf.tolist()) == expected
    whole = np.arange(X.size).reshape(X.shape) % 3
    assert at.action(whole, theta, 2) == at.action(whole.astype(float), theta, 2.0)


def test_nothing_that_was_passed_is_changed(bound):
    at, X, theta, rf = bound
    copies = X.copy(), theta.copy(), rf.copy()
    at.value_and_gradient(X, theta, rf)
    at.hessian(X, theta, rf)
    for given, copy in zip((X, theta, rf), copies, strict=True):
        np.testing.assert_array_equal(given, copy)


def test_casadi_may_leave_out_a_result() -> None:
    """CasADi passes NULL for a result nobody asked for; the kernels must not write there."""
    for f in compiled_case(0).compiled.functions.values():
        inputs = [np.ones(f.nnz_in(i)) for i in range(f.n_in())]
        expected = [np.array(out.nonzeros()) for out in f.call(inputs)]
        for kept in (*range(f.n_out()), None):
            buffer, run = f.buffer()
            for i, array in enumerate(inputs):
                buffer.set_arg(i, memoryview(array))
            if kept is not None:
                out = np.zeros(f.nnz_out(kept))
                buffer.set_res(kept, memoryview(out))
            run()
            if kept is not None:
                np.testing.assert_array_equal(out, expected[kept])


def test_half_integer_powers_are_written_with_a_square_root() -> None:
    import casadi as ca

    from symda.emit.format import format_body
    from symda.lower.instructions import lower_function

    x = ca.SX.sym("x")
    points = np.array([0.0, 1e-80, 1e-7, 0.3, 2.0, 1e7, 1e80, np.inf])

    def written(power: float) -> str:
        f = ca.Function("f", [x], [x**power, ca.gradient(x**power, x)], ["x"], ["a", "b"])
        (statements,) = format_body(lower_function(f, ("a", "b"))).chunks
        return "\n".join(statements).replace("cdef double ", "")

    assert "pow(" in written(5.5) and "pow(" in written(0.25)
    for power in (0.5, 1.5, 2.5, 3.5, -0.5, -1.5, -2.5):
        space = {"x": [points], "a": [0.0], "b": [0.0], "sqrt": np.sqrt}
        with np.errstate(all="ignore"):
            exec(written(power), space)
            np.testing.assert_allclose(space["a"][0], points**power, rtol=1e-15)
            slope = power * points ** (power - 1.0)
            np.testing.assert_allclose(space["b"][0], slope, rtol=1e-15)
