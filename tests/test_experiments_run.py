"""Runs of several experiments: what users get, see, save and are told."""

from __future__ import annotations

import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from cli_shell import Shell, symda

import symda as sd
from symda.api import ProblemWarning

__all__ = ["symda"]

LADDER = sd.Ladder(rf0=0.1, alpha=10.0, rungs=7)
TRUE = {"sigma": 10.0, "rho": 28.0}


def lorenz(measured=("x", "y")) -> sd.Action:
    """Lorenz-63 with a drive u; k, its strength, is each experiment's own."""
    x, y, z = sd.states("x y z", start=(-20.0, 40.0))
    sigma = sd.parameter("sigma", bounds=(5.0, 15.0))
    rho = sd.parameter("rho", bounds=(20.0, 35.0))
    k = sd.parameter("k", bounds=(-10.0, 20.0), per="experiment")
    u = sd.forcing("u")
    model = sd.Model(
        {x: sigma * (y - x), y: x * (rho - z) - y + k * u, z: x * y - 8 * z / 3}, name="lorenz63"
    )
    named = {"x": x, "y": y, "z": z}
    return sd.Action(model, [named[name] for name in measured], scheme="rk4")


def recordings(action: sd.Action) -> tuple[dict[str, sd.Trajectory], dict[str, sd.Observations]]:
    """Two sweeps of different length, drive and k."""
    truths, data = {}, {}
    for name, k, steps, rate in (("slow", 4.0, 60, 2.0), ("fast", 8.0, 50, 7.0)):
        t = 0.02 * np.arange(steps + 1)
        truths[name], data[name] = sd.twin(
            action,
            parameters={**TRUE, "k": k},
            dt=0.02,
            steps=steps,
            variance=0.1,
            seed=len(name) + steps,
            initial=[-5.0, -7.0, 20.0] if name == "slow" else [6.0, 10.0, 15.0],
            forcing={"u": (t, np.sin(rate * t))},
        )
    return truths, data


@pytest.fixture(scope="module")
def twins():
    action = lorenz()
    return (action, *recordings(action))


@pytest.fixture(scope="module")
def run(twins) -> sd.Run:
    action, _, data = twins
    return sd.anneal(action, data, ladder=LADDER, paths=6, solver="newton", start="nudged")


def test_the_estimate_is_the_truth_within_its_error_bars(twins, run):
    action, truths, data = twins
    table = action.posterior(run, data).table({**TRUE, "k[slow]": 4.0, "k[fast]": 8.0})
    assert (table["z"].abs() < 4.0).all()
    best = run.best
    assert list(best.experiments) == ["slow", "fast"]
    for name, truth in truths.items():
        part = best.experiments[name]
        assert set(part.parameters) == {"sigma", "rho", "k"}
        assert part.parameters["sigma"] == best.parameters["sigma"]
        assert part.parameters["k"] == best.parameters[f"k[{name}]"]
        np.testing.assert_allclose(part.states["time"], truth.times)
        assert np.sqrt(np.mean((part.states.values - truth.states.values) ** 2)) < 0.5
        own = data[name]
        measured = part.states.sel(state=list(own.channels)).values
        misfit = (own.values - measured) / own.variance**0.5
        np.testing.assert_allclose(part.residuals.values, misfit, atol=1e-12)
    assert run.chi_squared().p == 2 * 3 + 4
    assert run.chi_squared().low < best.action < run.chi_squared().high


def test_two_sweeps_know_more_than_each(twins, run):
    """What they say of shared parameters adds up: so do the inverses of the covariances."""
    action, _, data = twins
    together = action.posterior(run, data)
    shared = [together.names.index(name) for name in ("sigma", "rho")]
    information = np.zeros((2, 2))
    for name, one in data.items():
        start = run.best.experiments[name]
        alone = sd.anneal(
            action,
            one,
            ladder=sd.Ladder(rf0=1e5, rungs=1),
            paths=1,
            solver="newton",
            start=(start.states.values, start.parameters),
        )
        found = action.posterior(alone, one)
        own = found.covariance[np.ix_(*2 * [[found.names.index(n) for n in ("sigma", "rho")]])]
        information += np.linalg.inv(own)
        for n in ("sigma", "rho"):
            assert together.sd[n] < found.sd[n]
    expected = np.sqrt(np.diag(np.linalg.inv(information)))
    sds = np.sqrt(np.diag(together.covariance))[shared]
    # each alone is at a minimum of its own, where the curvature is a little other
    np.testing.assert_allclose(sds, expected, rtol=0.1)


@pytest.mark.parametrize(
    "strategy", [sd.Window(samples=20, extend=10), sd.Population(samples=20, extend=10)]
)
def test_windows_and_populations_of_experiments_end_in_the_same_minimum(twins, run, strategy):
    action, _, data = twins
    found = sd.anneal(
        action,
        data,
        ladder=LADDER,
        paths=6,
        solver="newton",
        start="nudged",
        strategy=strategy,
        progress=False,
    )
    assert found.best.action == pytest.approx(run.best.action, rel=1e-6)


def test_what_is_saved_is_loaded_and_shown(twins, run, tmp_path):
    _, truths, _ = twins
    again = sd.load(run.save(tmp_path / "run.nc"))
    assert again.dataset.identical(run.dataset)
    assert list(again.best.experiments) == ["slow", "fast"]
    np.testing.assert_array_equal(
        again.best.experiments["fast"].momenta, run.best.experiments["fast"].momenta
    )
    text = again.summary()
    assert "experiment slow: t = 0 .. 1.2, 60 steps, 122 data" in text
    assert "parameter k[fast] = " in text
    assert {"k[slow]", "k[fast]", "sigma", "rho"} <= set(again.table().columns)
    titles = [ax.get_title(loc="left") for ax in again.plot_states(truth=truths).axes]
    assert titles[:2] == ["x, slow", "y, slow"]
    assert titles[3:5] == ["x, fast", "y, fast"]
    assert [ax.get_title(loc="left") for ax in again.plot_states(states=["z"]).axes] == [
        "z, slow (unmeasured)",
        "z, fast (unmeasured)",
    ]
    axes = again.plot_states(states=["x"]).axes
    assert [round(ax.get_xlim()[1], 1) for ax in axes] == [1.2, 1.0]
    plt.close("all")
    with pytest.raises(sd.DataError, match=re.escape("a mapping of slow, fast to one each")):
        again.plot_states(truth=truths["slow"])
    page = run.report(tmp_path / "run.md", truth=truths).read_text()
    assert "experiment slow" in page and "x, fast" in page
    assert "slow.csv fast.csv" in page
    assert "this order: slow, fast" in page


def test_a_run_goes_on_where_another_ended(twins, run):
    action, _, data = twins
    higher = sd.Ladder(rf0=1e6, rungs=1)
    more = sd.anneal(action, data, ladder=higher, paths=6, solver="newton", start=run)
    assert more.best.action == pytest.approx(run.best.action, rel=0.05)
    other = {"slow": data["slow"], "quick": data["fast"]}
    with pytest.raises(
        sd.OptionError, match="has the experiments slow, fast; expected slow, quick"
    ):
        sd.anneal(action, other, ladder=higher, solver="newton", start=run)
    with pytest.raises(sd.OptionError, match="the run has other experiments"):
        action.posterior(run, other)


def test_a_file_whose_experiments_do_not_add_up_is_refused(run, tmp_path):
    for change, words in (
        ({"points": ("experiment", [60, 51])}, "points of the experiments"),
        ({"use": (("experiment", "kernel_parameter"), [[0, 1, 9], [0, 1, 2]])}, "use holds"),
    ):
        broken = sd.Run(run.dataset.assign(change))
        with pytest.raises(sd.DataError, match=words):
            sd.load(broken.save(tmp_path / "broken.nc"))
    with pytest.raises(sd.DataError, match="it has no use"):
        sd.load(sd.Run(run.dataset.drop_vars("use")).save(tmp_path / "lacks.nc"))


ONE = sd.Observations([0.0, 1.0], [1.0, 0.5], variance=0.1, forcing={"u": 1.0})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "experiments: there is none. Pass some recordings, as in [data1, data2] or"),
        ({}, "experiments: there is none."),
        ([("a", ONE), ("a", ONE)], "experiments: two are called 'a'. Give each a name"),
        ({" a": ONE}, "' a' is no name for an experiment"),
        ({"k[a]": ONE}, "'k[a]' is no name for an experiment; it must be a printable text without"),
        ([ONE, 3.0], "experiments: '2' is a float; expected a symda.Observations"),
        (
            {
                "a": ONE,
                "b": sd.Observations([0.0, 1.0], [[1.0, 2.0], [1.0, 2.0]], variance=1.0),
            },
            "'a' has 1 channel without names, 'b' has 2 channels without names. Give all the same",
        ),
        (
            {
                "a": sd.Observations([0.0], [1.0], variance=1.0, channels=["x"]),
                "b": sd.Observations([0.0], [1.0], variance=1.0, channels=["y"]),
            },
            "'a' has the channel 'x', 'b' has the channel 'y'. Give all the same channels, a "
            "column of nan where one was not measured.",
        ),
        (
            {"a": ONE, "b": sd.Observations([0.0, 1.0], [1.0, 0.5], variance=0.1)},
            "experiments: the forcing differs: 'a' 'u' and 'b' none. Give all the same channels",
        ),
    ],
)
def test_experiments_that_do_not_go_together_are_refused(given, words):
    with pytest.raises(sd.DataError, match=re.escape(words)):
        sd.Experiments(given)


def test_experiments_are_a_mapping_of_their_names():
    found = sd.Experiments([ONE, ONE])
    assert list(found) == ["1", "2"] and len(found) == 2 and found["2"] is ONE
    assert sd.Experiments(found).recordings == found.recordings
    with pytest.raises(TypeError):
        found.recordings["1"] = ONE


@pytest.mark.parametrize(
    ("fixed", "words"),
    [
        (
            {"k[swift]": 1.0},
            "fixed: 'k[swift]' is of the experiment 'swift', and there is none of that name. "
            "There are 'slow', 'fast'.",
        ),
        ({"q[slow]": 1.0}, "experiment 'slow': fixed: 'q' is no parameter"),
        ({"k[slow]": 99.0}, "experiment 'slow': fixed['k']: expected a value within the bounds"),
        ([1.0], "fixed: expected a mapping"),
    ],
)
def test_what_cannot_be_fixed_is_refused(twins, fixed, words):
    action, _, data = twins
    with pytest.raises(sd.OptionError, match=re.escape(words)):
        action.bind(data, fixed=fixed)


def test_an_error_names_its_experiment(twins):
    action, _, data = twins
    with pytest.raises(sd.DataError, match=r"experiment 'slow': .*forcing 'u'"):
        action.bind(data, stop=9.0)


def test_a_scale_of_the_noise_counts_as_measured_with_its_channel():
    x = sd.state("x", start=(-1.0, 1.0))
    s, w = sd.parameters("s w", bounds=(0.1, 2.0), per="experiment")
    model = sd.Model({x: -x}, name="decay")
    action = sd.Action(model, {"a": sd.Normal(x, s), "b": sd.Normal(x, w)}, scheme="euler")
    times, values = np.arange(4.0), np.random.default_rng(0).normal(size=(4, 2))
    half = np.where([True, False], values, np.nan)
    data = {"both": sd.Observations(times, values), "half": sd.Observations(times, half)}
    assert action.check(data).unconstrained == ("w[half]",)


def test_parameters_that_one_experiment_does_not_determine_are_named(uncompiled):
    """The drive is off in one; another does not see the equations of y."""
    x, y = sd.states("x y", start=(-1.0, 1.0))
    k, q = sd.parameters("k q", start=(0.5, 1.5), per="experiment")
    u = sd.forcing("u")
    model = sd.Model({x: k * u - x, y: -q * y}, name="two")
    action = sd.Action(model, [x, y], scheme="euler")
    times, rng = np.arange(6.0), np.random.default_rng(0)
    values = rng.normal(size=(6, 2))
    half = np.where([True, False], values, np.nan)
    data = {
        "on": sd.Observations(times, values, variance=0.1, forcing={"u": 1.0}),
        "off": sd.Observations(times, half, variance=0.1, forcing={"u": 0.0}),
    }
    said = "\n".join(action.check(data).warnings)
    assert "nothing constrains the parameter q[off]: no measured quantity" in said
    assert "nothing depends on the parameter k[off]: the action's derivative is zero" in said
    assert "[on]" not in said
    with pytest.warns(ProblemWarning, match=re.escape("the parameter q[off]")):
        run = sd.anneal(action, data, ladder=sd.Ladder(rungs=2), paths=2)
    # neither of the two was fitted
    assert run.chi_squared().p == 2 * 2 + 4 - 2
    few = {"a": ONE, "b": ONE}
    thin = sd.Action(model, [x], scheme="euler").check(few)
    assert any("4 states at the start of all 2 experiments" in text for text in thin.warnings)
    assert "2 experiments: a, b" in str(thin)


def test_what_takes_one_recording_says_so(twins):
    action, _, data = twins
    rate = sd.Action(action.model, action.measurement.functions, scheme="rk4", model_error="rate")
    with pytest.raises(sd.OptionError, match="solver='collocation' takes one recording, got 2"):
        sd.anneal(rate, data, solver="collocation")
    with pytest.raises(sd.OptionError, match="boundary_value takes one recording, got 2"):
        sd.boundary_value(rate, data, rf=1.0, start="nudged")
    i = sd.site("i", 300)
    x = sd.states("x", i, start=(-1.0, 1.0))
    lattice = sd.Action(sd.Model({x[i]: x[i - 1] - x[i]}), [x[0]], scheme="rk4")
    with pytest.raises(sd.OptionError, match="is matrix-free, and takes one recording"):
        lattice.bind([sd.Observations([0.0, 1.0], [1.0, 2.0], variance=1.0)] * 2)


MODEL = """
import symda as sd
x, y = sd.states("x y", start=(-3.0, 3.0))
w = sd.parameter("w", bounds=(0.1, 5.0))
d = sd.parameter("d", bounds=(0.0, 2.0), per="experiment")
model = sd.Model({x: y, y: -w * x - d * y}, name="spring")
measured = [x]
scheme = "euler"
variance = 0.01
"""


def test_the_command_line_takes_several_files_or_one_table(symda: Shell, uncompiled):
    symda.write("spring.py", MODEL)
    t = 0.1 * np.arange(25)
    frames = []
    for number, d in ((1, 0.1), (2, 0.6)):
        frame = pd.DataFrame({"t": t, "x": np.exp(-d / 2 * t) * np.cos(t + number)})
        frame.to_csv(f"run {number}.csv", index=False)
        frames.append(frame.assign(trial=number))
    pd.concat(frames).to_csv("tidy.csv", index=False)
    plain = ["--rungs=3", "--alpha=100", "--paths=2", "--solver=newton"]
    files = symda("anneal", "spring.py", "run 1.csv", "run 2.csv", *plain, "--fix=d[run 2]=0.6")
    assert files.code == 0, files.err
    assert "parameter d[run 1] = " in files.out and "parameter d[run 2]" not in files.out
    table = symda("anneal", "spring.py", "tidy.csv", "--experiment=trial", *plain, "--fix=d[2]=0.6")
    assert table.code == 0, table.err
    lowest = [re.search(r"lowest level: (\S+)", one.out)[1] for one in (files, table)]
    assert lowest[0] == lowest[1]
    for words, message in (
        (["tidy.csv", "--experiment=tial"], "there is no column 'tial'. Did you mean 'trial'?"),
        (["tidy.csv", "run 1.csv", "--experiment=trial"], "tells experiments apart within one CSV"),
        (["run 1.csv", "./run 1.csv"], "two files are called 'run 1'"),
    ):
        refused = symda("anneal", "spring.py", *words)
        assert refused.code == 2
        assert message in re.sub(r"\s+", " ", refused.err)


def test_a_tidy_table_is_read_experiment_by_experiment(tmp_path):
    frame = pd.DataFrame(
        {"t": [0.0, 1.0, 0.0, 2.0], "x": [1.0, 2.0, 3.0, np.nan], "who": ["b", "b", "a", "a"]}
    )
    found = sd.Experiments.from_pandas(frame, "who", "t", variance=0.5)
    assert list(found) == ["b", "a"]
    np.testing.assert_array_equal(found["a"].times, [0.0, 2.0])
    np.testing.assert_array_equal(found["b"].values[:, 0], [1.0, 2.0])
    frame.to_csv(tmp_path / "tidy.csv", index=False)
    again = sd.Experiments.from_csv(tmp_path / "tidy.csv", "who", variance=0.5)
    np.testing.assert_array_equal(again["a"].values, found["a"].values)
    with pytest.raises(sd.DataError, match="row 1 has no name in the column 'who'"):
        sd.Experiments.from_pandas(frame.assign(who=["b", None, "a", "a"]), "who", "t", variance=1)
    with pytest.raises(sd.DataError, match=r"experiment 'a': .*must not decrease"):
        sd.Experiments.from_pandas(
            frame.assign(t=[0.0, 0.0, 2.0, 0.0], who=["b", "c", "a", "a"]), "who", "t", variance=1
        )


def test_with_one_recording_nothing_is_other(twins):
    """A list of one is that one: names, dataset and parameters."""
    action, _, data = twins
    options = {"ladder": sd.Ladder(rungs=2), "paths": 2, "solver": "newton"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ProblemWarning)
        plain = sd.anneal(action, data["slow"], **options)
        listed = sd.anneal(action, [data["slow"]], **options)
    assert plain.dataset["states"].identical(listed.dataset["states"])
    assert set(plain.best.parameters) == {"sigma", "rho", "k"}
    assert list(plain.best.experiments) == ["1"]
    assert plain.best.experiments["1"].states.identical(plain.best.states)
    assert plain.best.experiments["1"].residuals.identical(plain.best.residuals)
    assert "experiment" not in plain.dataset.coords


def test_equations_say_what_each_experiment_has_by_itself(twins, tmp_path):
    action, _, _ = twins
    assert "Of several experiments each has its own parameter k." in str(action.equations())
    page = action.report(tmp_path / "action.md").read_text()
    assert "to be estimated, in each experiment" in page


def test_losses_and_gradients_of_experiments_add_up(twins):
    action, truths, data = twins
    initial = {name: truth.states.values[0] for name, truth in truths.items()}
    given = TRUE | {"k": 5.0, "k[fast]": 7.0}
    found = action.backpropagate(data, initial, given)
    alone = {
        name: action.backpropagate(data[name], initial[name], TRUE | {"k": k})
        for name, k in (("slow", 5.0), ("fast", 7.0))
    }
    assert found.loss == pytest.approx(sum(one.loss for one in alone.values()), rel=1e-14)
    for name in ("sigma", "rho"):
        total = sum(one.by_parameters[name] for one in alone.values())
        assert found.by_parameters[name] == pytest.approx(total, rel=1e-14)
    for name, one in alone.items():
        assert found.by_parameters[f"k[{name}]"] == one.by_parameters["k"]
        assert (
            found.by_initial.sel(experiment=name).values.tolist() == one.by_initial.values.tolist()
        )
        assert found.experiments[name].loss == one.loss
    assert found.states.sizes["time"] == 61 + 51 and found.momenta.sizes["step"] == 60 + 50
    with pytest.raises(sd.DataError, match=r"each experiment \(slow, fast\) to its initial state"):
        action.backpropagate(data, {"slow": initial["slow"]}, given)
    with pytest.raises(sd.DataError, match="parameters must be a mapping of names to numbers"):
        action.backpropagate(data, initial, [1.0, 2.0, 3.0])
    with pytest.raises(sd.DataError, match="experiment 'slow': backpropagate: no value for the"):
        action.backpropagate(data, initial, {"sigma": 1.0})
