"""Covariances of observations: what is taken, kept, drawn, shown and refused."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_shell import Shell, symda
from correlated import C2, covariances, mixed, plain
from correlated import spring as make_spring

import symda as sd
from symda.solve.objective import Objective

__all__ = ["symda"]


@pytest.fixture(scope="module")
def spring() -> sd.Action:
    return make_spring()


def test_a_diagonal_covariance_is_a_variance(spring, uncompiled):
    variance = np.array([0.3, 0.07])
    data = plain({"variance": variance}), plain({"covariance": np.diag(variance)})
    problems = [spring.bind(one) for one in data]
    assert [p.correlated for p in problems] == [False, True]
    for name in ("y", "rm", "variance"):
        np.testing.assert_array_equal(*(getattr(p, name) for p in problems))
    X, kernels = np.random.default_rng(0).normal(size=(8, 2)), spring.compile()
    at = [(X, [1.3], 5.0, one) for one in data]
    for of in (kernels.action, kernels.gradient, lambda *a: kernels.hessian(*a).toarray()):
        np.testing.assert_allclose(*(of(*one) for one in at), rtol=1e-14, atol=1e-14)
    runs = [
        sd.anneal(spring, one, ladder=sd.Ladder(rf0=10.0, rungs=2), paths=2, seed=1) for one in data
    ]
    np.testing.assert_allclose(*(r.best.states for r in runs), rtol=1e-12)
    np.testing.assert_allclose(*(r.best.residuals for r in runs), rtol=1e-12)
    np.testing.assert_array_equal(*(r.dataset["variance"] for r in runs))


def test_channels_made_independent_by_hand_give_the_same_run(spring, uncompiled):
    """L^-1 (x, y) with variance 1 says what (x, y) with the covariance L L^T does."""
    W = np.linalg.inv(np.linalg.cholesky(C2))
    x, y = spring.model.states
    white = {"first": W[0, 0] * x, "second": W[1, 0] * x + W[1, 1] * y}
    whole = sd.twin(spring, parameters={"w": 1.0}, dt=0.3, steps=20, covariance=C2, seed=3)[1]
    by_hand = sd.Observations(whole.times, whole.values @ W.T, variance=1.0)
    options = {"ladder": sd.Ladder(rf0=1e3, rungs=1), "paths": 1, "start": "nudged"}
    first = sd.anneal(spring, whole, **options)
    start = first.best.states.values, first.best.parameters
    other = sd.Action(spring.model, white, scheme="rk4")
    second = sd.anneal(other, by_hand, **{**options, "start": start})
    assert first.best.action == pytest.approx(second.best.action, rel=1e-12)
    np.testing.assert_allclose(first.best.residuals, second.best.residuals, atol=1e-6)
    sds = [
        action.posterior(run, data).sd["w"]
        for action, run, data in ((spring, first, whole), (other, second, by_hand))
    ]
    assert sds[0] == pytest.approx(sds[1], rel=1e-6)
    shifts = [json.loads(run.dataset.attrs["assessment"]) for run in (first, second)]
    for what in ("scheme", "model"):
        for number in ("fit", "sds"):
            assert shifts[0][what][number] == pytest.approx(shifts[1][what][number], rel=1e-4)
            assert shifts[0][what][number] > 0.0
    assert first.chi_squared().verdict == second.chi_squared().verdict


def test_one_matrix_is_that_matrix_at_each_time(spring):
    once, each = plain({"covariance": C2}), plain({"covariance": np.tile(C2, (8, 1, 1))})
    assert once.covariance.shape == (8, 2, 2) and not once.covariance.flags.writeable
    np.testing.assert_array_equal(once.covariance, each.covariance)
    np.testing.assert_array_equal(once.variance, np.broadcast_to([0.3, 0.07], (8, 2)))
    assert spring.bind(once).digest == spring.bind(each).digest
    assert spring.bind(once).digest != spring.bind(plain({"covariance": 1.001 * C2})).digest
    assert spring.bind(once).digest != spring.bind(plain({"variance": [0.3, 0.07]})).digest
    for copied in (pickle.loads(pickle.dumps(once)), once.with_initial({"x": 1.0})):
        np.testing.assert_array_equal(copied.covariance, once.covariance)
    assert repr(once).endswith("correlated noise)")


def test_a_gap_is_integrated_out_and_columns_go_by_name(spring):
    problem = spring.bind(plain({"covariance": C2}))
    P = np.linalg.inv(C2)
    np.testing.assert_allclose(problem.rm[0], np.diag(P), rtol=1e-14)
    np.testing.assert_allclose(problem.cross[0], P[1, 0], rtol=1e-14)
    assert problem.rm[2].tolist() == [0.0, 1 / 0.07] and problem.cross[2] == 0.0
    data = plain({"covariance": C2}, channels=["y", "x"])
    turned = spring.bind(data)
    np.testing.assert_allclose(turned.rm[0], np.diag(P)[::-1], rtol=1e-14)
    np.testing.assert_array_equal(turned.y[:, 0], problem.y[:, 1])
    np.testing.assert_allclose(turned.covariance[0], C2[::-1, ::-1], rtol=1e-14)
    assert np.isnan(turned.covariance[2]).sum() == 3


def test_tables_take_a_covariance(tmp_path: Path, spring):
    frame = pd.DataFrame({"t": [0.0, 1.0, 0.0, 1.0], "x": 1.0, "y": 2.0, "of": list("aabb")})
    own = frame[["t", "x", "y"]][:2]
    one = sd.Observations.from_pandas(own, "t", covariance=C2)
    own.to_csv(tmp_path / "one.csv", index=False)
    frame.to_csv(tmp_path / "tidy.csv", index=False)
    read = [
        one,
        sd.Observations.from_csv(tmp_path / "one.csv", covariance=C2),
        sd.Observations.from_xarray(own.set_index("t").to_xarray(), covariance=C2),
        *sd.Experiments.from_pandas(frame, "of", "t", covariance=C2).values(),
        *sd.Experiments.from_csv(tmp_path / "tidy.csv", "of", covariance=C2).values(),
    ]
    for found in read:
        np.testing.assert_array_equal(found.covariance, [C2, C2])
        assert found.channels == ("x", "y")


def test_averaging_windows_and_joins(spring):
    """Factors are those of variances; a window has its part; experiments without have zeros."""
    data, other = plain({"covariance": C2}), plain({"variance": 0.2})
    halved = sd.Action(spring.model, spring.measurement.functions, averaging="eq2")
    problem = spring.bind(data)
    np.testing.assert_array_equal(halved.bind(data).cross, problem.cross / 2)
    np.testing.assert_allclose(halved.bind(data).covariance, problem.covariance, rtol=1e-14)
    np.testing.assert_array_equal(problem.window(3).cross, problem.cross[:4])
    joined = spring.bind([other, data, data])
    assert joined.cross.shape == (24, 1) and not joined.cross[:8].any()
    np.testing.assert_array_equal(joined.cross[8:16], problem.cross)
    assert [one.correlated for one in joined.experiments] == [True] * 3
    halves = halved.bind([other, data])
    np.testing.assert_array_equal(halves.cross[8:], problem.cross / 2)
    X, kernels = np.random.default_rng(0).normal(size=(24, 2)), spring.compile()
    parts = [(X[8 * i : 8 * i + 8], [1.2], 3.0, one) for i, one in enumerate([other, data, data])]
    total = sum(kernels.action(*part) for part in parts)
    assert kernels.action(X, [1.2], 3.0, [other, data, data]) == pytest.approx(total, rel=1e-13)


@pytest.mark.smoke
def test_residuals_are_independent_and_kept(spring, tmp_path, uncompiled):
    """L^-1 (y - h) by hand; a saved run has them, and a posterior asks for the same noise."""
    _, data = sd.twin(
        spring, parameters={"w": 1.0}, dt=0.1, steps=400, covariance=C2, seed=3, initial=[1.0, 0.0]
    )
    run = sd.anneal(
        spring, data, ladder=sd.Ladder(rf0=1e3, alpha=1e3, rungs=3), paths=1, start="nudged"
    )
    best = run.best
    error = data.values - best.states.values
    expected = np.linalg.solve(np.linalg.cholesky(C2), error.T).T
    np.testing.assert_allclose(best.residuals, expected, rtol=1e-9, atol=1e-9)
    # of n numbers of variance 1 the covariance is known to 1/sqrt(n), the variance to sqrt(2/n)
    found = np.cov(best.residuals.values.T)
    assert np.abs(found - np.eye(2)).max() < 4 * np.sqrt(2 / 400)
    # chi-squared counts every datum once
    assert run.chi_squared().n == 802 and run.chi_squared().p == 3
    assert run.chi_squared().low < best.measurement_term < run.chi_squared().high
    again = sd.load(run.save(tmp_path / "run.nc"))
    np.testing.assert_array_equal(again.best.residuals, best.residuals)
    np.testing.assert_allclose(again.dataset["covariance"][7], C2, rtol=1e-12)
    np.testing.assert_allclose(again.dataset["variance"][7], np.diag(C2), rtol=1e-12)
    assert spring.posterior(run, data).sd["w"] > 0.0
    for noise in ({"covariance": 1.01 * C2}, {"variance": np.diag(C2)}):
        other = sd.Observations(data.times, data.values, **noise)
        with pytest.raises(sd.OptionError, match="variances"):
            spring.posterior(run, other)
    for change, words in (
        (-C2, "covariance holds a number that no covariance has"),
        (
            C2 + np.array([[0.0, 1.0], [1.0, 0.0]]),
            "covariance holds a matrix that is not positive definite",
        ),
    ):
        broken = run.dataset.copy(deep=True)
        broken["covariance"][3] = change
        with pytest.raises(sd.DataError, match=words):
            sd.load(sd.Run(broken).save(tmp_path / "broken.nc"))
    page = run.report(tmp_path / "run.md").read_text()
    assert "inverse of the covariance" in page
    assert spring.check(data).channels[0].noise == pytest.approx(np.sqrt(0.3))


def test_windows_grow_with_correlated_noise(spring, uncompiled):
    _, data = sd.twin(
        spring, parameters={"w": 1.0}, dt=0.1, steps=30, covariance=C2, seed=3, initial=[1.0, 0.0]
    )
    ends = [
        sd.anneal(spring, data, ladder=sd.Ladder(rf0=10.0, rungs=4), paths=2, strategy=strategy)
        for strategy in ("ladder", sd.Window(samples=10, extend=10))
    ]
    assert ends[0].best.action == pytest.approx(ends[1].best.action, rel=1e-6)


def test_workers_of_their_own_find_the_same(spring, uncompiled):
    """Kernels are rebuilt in another process."""
    options = {"ladder": sd.Ladder(rf0=10.0, rungs=2), "paths": 2, "executor": "processes"}
    data = plain({"covariance": C2})
    here = sd.anneal(spring, data, **{**options, "executor": "serial"})
    there = sd.anneal(spring, data, **options, workers=2)
    np.testing.assert_array_equal(here.levels, there.levels)


MODEL = """
import symda as sd
x, y = sd.states("x y", start=(-3.0, 3.0))
w = sd.parameter("w", bounds=(0.1, 5.0), start=(0.5, 2.0))
model = sd.Model({x: y, y: -w * x}, name="spring")
measured = [x, y]
covariance = [[0.3, 0.1], [0.1, 0.07]]
"""


def test_a_models_file_may_say_the_covariance(symda: Shell, spring, uncompiled):
    symda.write("spring.py", MODEL)
    data = plain({"covariance": C2})
    frame = pd.DataFrame(data.values, columns=["x", "y"]).assign(t=data.times)
    frame.to_csv("data.csv", index=False)
    plainly = ["--rungs=2", "--rf0=10", "--paths=2", "--solver=newton"]
    for more, noise in (([], {"covariance": C2}), (["--variance=0.2"], {"variance": 0.2})):
        done = symda("anneal", "spring.py", "data.csv", *plainly, *more)
        assert done.code == 0, done.err
        ladder = sd.Ladder(rf0=10.0, rungs=2)
        run = sd.anneal(spring, plain(noise), ladder=ladder, paths=2, solver="newton")
        level = float(re.search(r"lowest level: (\S+)", done.out)[1])
        assert level == pytest.approx(run.best.action, rel=1e-5)
    symda.write("spring.py", MODEL + "variance = 0.1\n")
    refused = symda("anneal", "spring.py", "data.csv", *plainly)
    assert refused.code == 2 and "variance was given as well" in re.sub(r"\s+", " ", refused.err)


def test_twins_draw_correlated_noise(spring):
    options = {"parameters": {"w": 1.0}, "dt": 0.01, "steps": 20_000, "seed": 5, "initial": [1, 0]}
    truth, data = sd.twin(spring, **options, covariance=C2)
    found = np.cov((data.values - truth.states.values).T)
    spread = np.sqrt((C2**2 + np.outer(np.diag(C2), np.diag(C2))) / 20_000)
    assert (np.abs(found - C2) < 4 * spread).all()
    np.testing.assert_array_equal(data.covariance[0], C2)
    with pytest.raises(sd.OptionError, match="expected one matrix of the 2 channels \\(x, y\\)"):
        sd.twin(spring, **options, covariance=[C2])
    with pytest.raises(sd.OptionError, match="twin: covariance of Observations: it is not pos"):
        sd.twin(spring, **options, covariance=[[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(sd.OptionError, match="twin: covariance of Observations: variance was giv"):
        sd.twin(spring, **options, covariance=C2, variance=0.1)
    options["steps"] = 10
    one = sd.twin(spring, **options, covariance=np.diag([0.3, 0.07]))[1]
    other = sd.twin(spring, **options, variance=[0.3, 0.07])[1]
    np.testing.assert_array_equal(one.values, other.values)


def test_twins_of_other_noise_beside_it():
    action, _ = mixed()
    full = np.full((5, 5), np.nan)
    full[np.ix_([0, 2, 4], [0, 2, 4])] = covariances(2)
    options = {"parameters": {"k": 1.0, "q": 1.0, "s": 0.5, "u": 0.0}, "initial": [1.0, 1.0]}
    options |= {"dt": 0.1, "steps": 5, "seed": 1}
    _, data = sd.twin(action, **options, covariance=full)
    assert np.isnan(data.variance[:, [1, 3]]).all()
    counts = data.values[:, 3]
    np.testing.assert_array_equal(counts, np.round(counts))
    full[3] = full[:, 3] = 0.0
    full[0, 3] = full[3, 0] = 0.1
    full[3, 3] = 1.0
    with pytest.raises(sd.OptionError, match="twin: observations: the noise of channel 'count'"):
        sd.twin(action, **options, covariance=full)


BAD = [
    ({"covariance": C2, "variance": 0.1}, "variance was given as well. Pass one of them"),
    ({"covariance": [0.1, 0.2]}, "expected shape (2, 2) or (8, 2, 2), got (2,). Pass a square"),
    ({"covariance": np.eye(3)}, "expected shape (2, 2) or (8, 2, 2), got (3, 3)"),
    ({"covariance": np.tile(C2, (7, 1, 1))}, "expected shape (2, 2) or (8, 2, 2), got (7, 2, 2)"),
    ({"covariance": [[1.0], [1.0, 2.0]]}, "the rows have different lengths"),
    ({"covariance": "C"}, "covariance of Observations: expected numbers, got text ('C')"),
    ({"covariance": [[0.3, 0.1], [0.1, 0.0]]}, "entry [1, 1] is 0.0, expected a positive"),
    ({"covariance": [[0.3, np.nan], [0.1, 1.0]]}, "entry [0, 1] is nan, expected a finite number"),
    ({"covariance": [[0.3, 0.1], [0.1, np.nan]]}, "entry [0, 1] is 0.1, expected 0 or nan beside"),
    (
        {"covariance": [[0.3, 0.1], [0.2, 1.0]]},
        "it is not symmetric: entry [0, 1] is 0.1, and [1, 0] 0.2. Pass (C + C.T)/2",
    ),
    (
        {"covariance": [[1.0, 2.0], [2.0, 1.0]]},
        "it is not positive definite: the smallest eigenvalue of the part of the channels measured "
        "at time 0.0 is -1. No noise has such a covariance",
    ),
    (
        {"covariance": [[1.0, 1.0], [1.0, 1.0]]},
        "it is not positive definite: the smallest eigenvalue",
    ),
]


@pytest.mark.parametrize(("noise", "words"), BAD)
def test_what_is_no_covariance_is_refused(noise, words):
    with pytest.raises(sd.DataError, match=re.escape(words)):
        plain(noise)


def test_the_row_of_a_wrong_covariance_is_named():
    each = np.tile(C2, (8, 1, 1))
    each[4, 0, 1] = each[4, 1, 0] = 0.5
    smallest = np.linalg.eigvalsh(each[4])[0]
    with pytest.raises(sd.DataError, match=re.escape("[4] (time 0.4) is not positive def")) as bad:
        plain({"covariance": each})
    assert f"at time 0.4 is {smallest:.3g}." in str(bad.value)
    each[4] = [[0.3, 0.1], [0.0, 0.2]]
    with pytest.raises(sd.DataError, match=re.escape("[4] (time 0.4) is not symmetric: entry [4")):
        plain({"covariance": each})
    # at a gap there is nothing to be wrong
    each[4], each[2] = C2, [[np.nan, 9.0], [-9.0, 0.2]]
    each[5] = [[0.1, np.inf], [np.inf, -1.0]]
    assert plain({"covariance": each}).covariance is not None


def test_what_does_not_know_of_it_says_so(spring):
    data = plain({"covariance": C2})
    rate = sd.Action(spring.model, spring.measurement.functions, model_error="rate")
    for solver in ("collocation", "bvp", "sweeps"):
        with pytest.raises(sd.OptionError, match=rf"{solver}: .* noise that is correlated across"):
            sd.boundary_value(rate, data, rf=1.0, start=(np.zeros((8, 2)), [1.0]), method=solver)
    with pytest.raises(sd.OptionError, match=r"collocation: .* noise that is correlated across"):
        sd.anneal(rate, data, solver="collocation", paths=1, ladder=sd.Ladder(rf0=1.0, rungs=1))
    with pytest.raises(sd.OptionError, match="noise that is correlated across channels"):
        rate.of(rate.bind(data)).lagrangian()
    i = sd.site("i", 300)
    x = sd.states("x", i, start=(-1.0, 1.0))
    model = sd.Model({x[i]: x[i - 1] - x[i]}, name="ring")
    lattice = sd.Action(model, [x[0], x[1]], scheme="rk4")
    with pytest.raises(sd.OptionError, match="matrix-free and knows noise that is independent"):
        lattice.bind(data)
    with pytest.raises(sd.OptionError, match="correlated=True, and a matrix-free lattice"):
        sd.Action(model, [x[0], x[1]], scheme="rk4", correlated=True)
    with pytest.raises(sd.OptionError, match="correlated must be True or False, got 'yes'"):
        sd.Action(spring.model, spring.measurement.functions, correlated="yes")


def test_kernels_and_least_squares_refuse_it_by_name(spring, uncompiled):
    problem = spring.bind(plain({"covariance": C2}))
    with pytest.raises(sd.InputError, match="these kernels are of noise that is not"):
        spring.compile().machine.at(problem)
    at = spring.of(problem).compile().machine.at(problem)
    objective = Objective(at, np.array([1.0, 1.0]))
    with pytest.raises(sd.OptionError, match="once a channel and time, not correlated"):
        objective.residuals(np.zeros(17))


def test_other_noise_is_not_correlated():
    x, y = sd.states("x y", start=(-3.0, 3.0))
    model = sd.Model({x: y, y: -x}, name="spring")
    s = sd.parameter("s", bounds=(0.1, 2.0))
    for noise in (sd.Normal(y, s), sd.StudentT(4, y)):
        action = sd.Action(model, {"a": x, "b": noise})
        data = plain({"covariance": C2})
        words = f"the noise of channel 'b' is {noise}, and its covariance with that of 'a' at time"
        with pytest.raises(sd.DataError, match=re.escape(words)):
            action.bind(data)
    free = np.diag([0.3, 0.07])
    tailed = action.bind(plain({"covariance": free}))
    assert tailed.rm[0] == pytest.approx([1 / 0.3, 1 / 0.07], rel=1e-15)
    with pytest.raises(sd.DataError, match=r"channel 'b' at time 0\.0 has no variance"):
        action.bind(plain({"covariance": [[0.3, 0.0], [0.0, np.nan]]}))


def test_equations_have_a_matrix(spring):
    action = sd.Action(spring.model, spring.measurement.functions, scheme="rk4", correlated=True)
    text = str(action.equations())
    assert "Rm[l,j,s] is the inverse of the covariance of the channels" in text.replace("\n  ", " ")
    assert "sum_{s=1..T, l=2..L, j=1..l-1} (Rm[l,j,s]*" in text
    assert "Rm[n] is the inverse of the covariance" in text
    assert "is diagonal" not in text
    plainly = spring.equations()
    assert "covariance" not in str(plainly)
    found = spring.of(spring.bind(plain({"covariance": C2})))
    assert str(found.equations()) == text and found.emitted.text == action.emitted.text
    assert "Rm" in str(action.discrete_euler_lagrange())
    # such kernels take data without a covariance, too
    data = plain({"variance": 0.2})
    X = np.random.default_rng(0).normal(size=(8, 2))
    at = (X, [1.3], 5.0, data)
    assert action.compile().action(*at) == pytest.approx(spring.compile().action(*at), rel=1e-14)


def test_labels_decide_the_order_of_a_covariance() -> None:
    import pandas as pd
    import xarray as xr

    frame = pd.DataFrame({"t": np.arange(3.0), "a": 1.0, "b": 2.0})
    named = pd.DataFrame([[1.0, 0.5], [0.5, 4.0]], index=["a", "b"], columns=["a", "b"])
    both = xr.DataArray(named.values, dims=("i", "j"), coords={"i": ["a", "b"], "j": ["a", "b"]})
    for labelled in (named, both):
        data = sd.Observations.from_pandas(frame, "t", ["b", "a"], covariance=labelled)
        assert data.covariance[0].tolist() == [[4.0, 0.5], [0.5, 1.0]]
    plain = sd.Observations.from_pandas(frame, "t", ["b", "a"], covariance=named.values)
    assert plain.covariance[0].tolist() == named.values.tolist()
    other = named.rename(index={"a": "q"}, columns={"a": "q"})
    with pytest.raises(sd.DataError, match="its rows and columns are q, b, and the channels b, a"):
        sd.Observations.from_pandas(frame, "t", ["b", "a"], covariance=other)


def test_labels_decide_the_order_of_variances() -> None:
    frame = pd.DataFrame({"t": np.arange(3.0), "a": 1.0, "b": 2.0})
    each = pd.Series({"a": 1.0, "b": 4.0})
    every = pd.DataFrame({"a": np.full(3, 1.0), "b": 4.0})
    for variance in (each, every):
        data = sd.Observations.from_pandas(frame, "t", ["b", "a"], variance=variance)
        assert data.variance[0].tolist() == [4.0, 1.0]
    with pytest.raises(sd.DataError, match="it is labelled a, q, and the channels are b, a"):
        wrong = each.rename({"b": "q"})
        sd.Observations.from_pandas(frame, "t", ["b", "a"], variance=wrong)
