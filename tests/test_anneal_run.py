"""A run: warm starts, failures, independence of executor and of K, limits, what it refuses."""

import concurrent.futures as cf
import re
import signal

import numpy as np
import pytest
from anneal_fakes import make_problem, mark, run, start_of, workers_of

from symda.anneal import STARTS, Ladder
from symda.anneal.executors import SerialExecutor, start_workers
from symda.api import Run
from symda.errors import OptionError
from symda.solve import SOLVERS


class Recorder:
    """A reporter that writes down what it is told."""

    def __init__(self):
        self.events = []

    def start(self, total):
        self.events.append(("start", total))

    def path_done(self, path, level, status):
        self.events.append((path, level, status))

    def stop(self):
        self.events.append(("stop",))


def comparable(dataset):
    """Return the dataset without what differs between any two runs."""
    return dataset.assign_attrs(provenance="")


def test_each_minimum_is_the_start_of_the_next_rung():
    dataset = run(paths=2, keep="all")
    for k in range(2):
        path, theta = start_of(k)
        for beta in range(4):
            path = 0.5 * (path + path.mean(axis=0))
            assert np.array_equal(dataset["states_by_beta"][k, beta], path)
            assert np.array_equal(dataset["parameters"][k, beta], theta)
        assert np.array_equal(dataset["states"][k], path)
        assert np.array_equal(dataset["momenta"][k], 4.0 * np.diff(path, axis=0))
        assert np.array_equal(dataset["fit"][k], path[:, :1])


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_every_executor_gives_the_same_numbers(executor):
    serial = run(paths=6, keep="all")
    other = run(paths=6, keep="all", executor=executor, workers=workers_of(executor))
    assert comparable(serial).identical(comparable(other))


def test_a_path_does_not_depend_on_how_many_there_are():
    assert comparable(run(paths=5)).identical(comparable(run(paths=8)).isel(path=slice(5)))


def test_processes_are_the_default_and_a_single_path_stays_here():
    assert start_workers(None, 2, 5).name == "processes"
    assert start_workers(None, None, 1).name == "serial"
    assert start_workers(None, 1, 5).name == "serial"
    assert start_workers("processes", 1, 5).name == "processes"
    assert start_workers("threads", 8, 5).count == 5
    assert start_workers(SerialExecutor(), 8, 5).count == 5


@pytest.mark.parametrize("make", [cf.ThreadPoolExecutor, cf.ProcessPoolExecutor])
def test_an_executor_of_ones_own_is_left_running(make):
    with make(max_workers=2) as executor:
        dataset = run(paths=5, executor=executor)
        assert comparable(dataset).identical(comparable(run(paths=5)))
        assert executor.submit(sum, [1, 2]).result() == 3


def test_an_executor_that_can_only_submit():
    class Bare:
        def submit(self, function, *args):
            future = cf.Future()
            future.set_result(function(*args))
            return future

    assert comparable(run(paths=3, executor=Bare())).identical(comparable(run(paths=3)))


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_the_solver_is_made_once_for_each_worker(executor, tmp_path):
    log = tmp_path / "built"
    run(paths=12, executor=executor, workers=workers_of(executor), options={"built": str(log)})
    # The caller makes one as well, to find wrong options; in a serial run it is also the worker.
    assert len(log.read_text().split()) <= {"serial": 1, "threads": 3, "processes": 3}[executor]


def test_threads_do_not_share_a_solver(tmp_path):
    log = tmp_path / "built"
    run(paths=6, executor="threads", workers=2, options={"built": str(log), "nap": 0.01})
    assert len(log.read_text().split()) == 3


def test_an_exception_ends_its_path_alone():
    dataset = run(paths=4, options={"crash": {mark(1): 2}})
    assert dataset["message"].values.tolist() == [
        "",
        "rung 2: ArithmeticError: the pivot is zero",
        "",
        "",
    ]
    assert dataset["status"][1].values.tolist() == [1, 1, 4, 0]
    assert dataset["last_beta"].values.tolist() == [3, 1, 3, 3]
    assert np.isfinite(dataset["action"][1]).values.tolist() == [True, True, False, False]
    assert np.isfinite(dataset["states"][1]).all()
    assert np.isfinite(dataset["fit"][1]).all()
    others = comparable(dataset).isel(path=[0, 2, 3])
    assert others.identical(comparable(run(paths=4)).isel(path=[0, 2, 3]))


def test_numbers_that_are_not_finite_end_a_path_at_the_rung_before():
    dataset = run(paths=2, options={"blank": {mark(0): 1}})
    assert dataset["message"][0] == "rung 1: the solver returned values that are not finite"
    assert dataset["status"][0].values.tolist() == [1, 4, 0, 0]
    assert np.array_equal(dataset["iterations"][0], [1, 2, 0, 0])
    path, _ = start_of(0)
    assert np.array_equal(dataset["states"][0], 0.5 * (path + path.mean(axis=0)))


def test_a_rung_that_fails_with_finite_numbers_ends_its_path_at_the_rung_before():
    dataset = run(paths=2, keep="all", options={"stall": {mark(0): 1}})
    assert dataset["message"][0] == "rung 1: stalled"
    assert dataset["status"][0].values.tolist() == [1, 4, 0, 0]
    assert dataset["last_beta"].values.tolist() == [0, 3]
    # The effort was spent, the point is no minimum.
    assert dataset["iterations"][0].values.tolist() == [1, 2, 0, 0]
    assert dataset["seconds"][0, 1] == 0.25
    assert np.isfinite(dataset["action"][0]).values.tolist() == [True, False, False, False]
    assert dataset["states_by_beta"][0, 1:].isnull().all()
    path, _ = start_of(0)
    assert np.array_equal(dataset["states"][0], 0.5 * (path + path.mean(axis=0)))


def test_when_every_path_fails_at_the_last_rung_the_run_is_the_one_before():
    stalled = {mark(k): 3 for k in range(3)}
    found = Run(run(paths=3, options={"stall": stalled}))
    assert found.last_beta == 2
    assert set(found.dataset["last_beta"].values) == {2}
    best = found.best
    assert best.action == found.levels[best.path, 2] == found.table()["level"][0]
    assert best.action == found.chi_squared().value
    assert best.measurement_term == found.chi_squared().measurement


def test_a_path_that_fails_at_once_has_nothing():
    dataset = run(paths=1, options={"crash": {mark(0): 0}})
    assert dataset["last_beta"].item() == -1
    for name in ("action", "states", "parameters", "momenta", "fit", "seconds"):
        assert dataset[name].isnull().all(), name


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_time_limit_keeps_the_rungs_done(executor):
    # so that starting processes does not use up the time
    run(executor=executor, workers=workers_of(executor))
    dataset = run(
        paths=30,
        ladder=Ladder(0.5, 2.0, 200),
        executor=executor,
        workers=workers_of(executor),
        time_limit=0.7,
        options={"nap": 0.05},
    )
    assert dataset.attrs["interrupted"] == 0
    last = dataset["last_beta"].values
    assert 0 < last[0] < 199
    assert last[-1] == -1
    assert re.fullmatch(
        rf"time limit reached before rung {last[0] + 1}", dataset["message"][0].item()
    )
    assert re.fullmatch(r"not run: time limit of .* s reached", dataset["message"][-1].item())
    for k in range(30):
        reached = last[k] + 1
        assert (dataset["status"][k] == 1).sum() == reached
        assert np.isfinite(dataset["action"][k]).sum() == reached


def hits(dataset, within):
    levels = dataset["action"][:, -1].values
    return int((levels <= np.nanmin(levels) + within).sum())


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_stop_after_so_many_hits(executor):
    dataset = run(
        paths=200,
        executor=executor,
        workers=workers_of(executor),
        stop_after=3,
        options={} if executor == "serial" else {"nap": 0.01},
    )
    done = dataset["last_beta"].values == 3
    assert hits(dataset, 0.5) >= 3
    assert done.sum() < 100
    assert dataset["message"][-1] == "not run: the lowest level was reached 3 times"
    assert dataset["status"][-1].values.tolist() == [0, 0, 0, 0]
    if executor == "serial":
        assert hits(dataset, 0.5) == 3
        assert done[: done.sum()].all()
        assert dataset["action"][done.sum() - 1, -1] < 1.0


@pytest.mark.parametrize(("scale", "runs"), [(1.0, "until the lowest"), (20.0, "three")])
def test_hits_are_counted_on_the_scale_of_the_measurement_term(scale, runs):
    # The two levels of the fake lie 10 apart: one level if half the scale is 10.
    dataset = run(make_problem(scale=scale), paths=40, seed=3, stop_after=3)
    count = int((dataset["last_beta"] == 3).sum())
    high = int((dataset["action"][:, -1] > 5.0).sum())
    assert high > 0
    assert count == 3 if runs == "three" else count > 3


def test_a_failed_path_is_no_hit():
    stalled = {mark(k): 3 for k in range(40)}
    dataset = run(paths=40, stop_after=1, options={"stall": stalled})
    assert (dataset["last_beta"] == 2).all()


@pytest.mark.parametrize("manner", ["interrupt", "swallow"])
def test_ctrl_c_in_this_process_keeps_the_rungs_of_the_path_under_way(manner):
    before = signal.getsignal(signal.SIGINT)
    dataset = run(paths=5, options={manner: {mark(2): 2}})
    assert signal.getsignal(signal.SIGINT) is before
    assert dataset.attrs["interrupted"] == 1
    assert dataset["last_beta"].values.tolist() == [3, 3, 1, -1, -1]
    assert dataset["message"].values.tolist() == [
        "",
        "",
        "interrupted at rung 2",
        "not run: interrupted",
        "not run: interrupted",
    ]


def test_the_reporter_hears_of_every_path():
    recorder = Recorder()
    crash = {"crash": {mark(1): 2}}
    dataset = run(paths=3, reporter=recorder, options=crash)
    assert recorder.events[0] == ("start", 3)
    assert recorder.events[-1] == ("stop",)
    assert recorder.events[1] == (0, dataset["action"][0, -1].item(), "converged")
    assert recorder.events[2][0] == 1
    assert np.isnan(recorder.events[2][1])
    assert recorder.events[2][2] == "failed"
    assert len(recorder.events) == 5


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_a_reporter_that_raises_stops_the_run_and_is_stopped(executor):
    class Broken(Recorder):
        def path_done(self, path, level, status):
            raise LookupError("no terminal")

    reporter = Broken()
    with pytest.raises(LookupError, match="no terminal"):
        run(paths=6, executor=executor, workers=workers_of(executor), reporter=reporter)
    assert reporter.events == [("start", 6), ("stop",)]


def test_a_job_that_cannot_travel_is_a_failure_with_its_reason():
    import threading

    dataset = run(paths=2, executor="processes", workers=2, options={"lock": threading.Lock()})
    assert (dataset["status"][:, 0] == 4).all()
    assert "pickle" in dataset["message"][0].item()


def test_a_solver_that_does_not_exist_is_an_error_at_the_call():
    with pytest.raises(OptionError) as caught:
        run(solver="ipotp")
    assert str(caught.value) == (
        f"anneal: there is no solver 'ipotp'; there is {', '.join(SOLVERS)}, or a solver of your "
        "own, see symda.Descent. Did you mean 'ipopt'?"
    )


def test_wrong_solver_options_are_an_error_at_the_call():
    def refuse(job):
        raise OptionError("solver 'relax': there is no option 'tolerence'.")

    with pytest.raises(OptionError, match=r"^solver 'relax': there is no option 'tolerence'\.$"):
        run(prepare=refuse)


@pytest.mark.parametrize(
    ("problem", "paths"),
    [
        (make_problem(steps=1, states=("x",), measured=(0,), fixed=()), 1),
        (make_problem(steps=1, states=("x",), measured=(-1,), fixed=(2.0,)), 2),
        (make_problem(steps=3, states=("x", "y", "z"), measured=(0, 1, 2)), 2),
        (make_problem(steps=2, gaps=[(0, 0), (1, 0)]), 2),
    ],
    ids=["D=N=K=1", "fixed", "L=D", "one observation"],
)
def test_odd_sizes(problem, paths):
    dataset = run(problem, paths=paths, keep="all", ladder=Ladder(0.5, 2.0, 1))
    assert dict(dataset.sizes) == {
        "path": paths,
        "beta": 1,
        "parameter": problem.P,
        "time": problem.M,
        "state": problem.D,
        "step": problem.N,
        "component": problem.E,
        "channel": problem.L,
    }
    assert (dataset["status"] == 1).all()


REFUSED = [
    ({"paths": 0}, "anneal: paths must be a whole number of at least 1, got 0."),
    ({"paths": 2.0}, "anneal: paths must be a whole number of at least 1, got 2.0."),
    ({"seed": -1}, "anneal: seed must be a whole number of at least 0, got -1."),
    ({"seed": None}, "anneal: seed must be a whole number of at least 0, got None."),
    ({"stop_after": 0}, "anneal: stop_after must be a whole number of at least 1, got 0."),
    (
        {"time_limit": 0},
        "anneal: time_limit must be a positive number, got 0; give seconds, or leave it out for no "
        "limit.",
    ),
    (
        {"strategy": "ladders"},
        "anneal: there is no strategy 'ladders'; there is auto, ladder, window, population, "
        "regions, shooting, shooting-window, or "
        "one with options, such as sd.Window(samples=20). "
        "Did you mean 'ladder'?",
    ),
    *(
        (
            {"time_limit": value},
            f"anneal: time_limit must be a positive number, got {value!r}; give seconds, or leave "
            "it out for no limit.",
        )
        for value in ("5", True, float("nan"), float("inf"))
    ),
    *(
        (
            {"ladder": value},
            "anneal: ladder must be a symda.Ladder, such as "
            f"sd.Ladder(rf0=0.01, alpha=2.0, rungs=26), got {value!r}.",
        )
        for value in (5, [0.01, 0.02], {"rf0": 1.0})
    ),
    *(
        (
            {"solver": value},
            "anneal: solver must be "
            f"{' or '.join(map(repr, SOLVERS))}, or a solver of your own, see "
            f"symda.Descent, got {value!r}.",
        )
        for value in (None, ["ipopt"])
    ),
    *(
        (
            {"options": value},
            "anneal: options must be a mapping of the solver's options to values, such as "
            f"{{'max_iter': 500}}, got {value!r}.",
        )
        for value in ("max_iter=3", ["max_iter"], {3: 1})
    ),
    (
        {"start": np.ones(3)},
        f"anneal: start must be {' or '.join(map(repr, STARTS))}, or {STARTS.own}, "
        "got array([1., 1., 1.]).",
    ),
    ({"keep": 1}, "anneal: keep must be one of last, all, got 1."),
    ({"keep": "none"}, "anneal: keep must be one of last, all, got 'none'."),
    ({"workers": 0}, "anneal: workers must be a whole number of at least 1, got 0."),
    ({"workers": "two"}, "anneal: workers must be a whole number of at least 1, got 'two'."),
    ({"workers": 1.5}, "anneal: workers must be a whole number of at least 1, got 1.5."),
    (
        {"executor": "serial", "workers": 8},
        "anneal: executor='serial' takes one path after the other in this process; workers=8 does "
        "not go with it. Leave one of them out.",
    ),
    (
        {"executor": "process"},
        "anneal: there is no executor 'process'; there are processes, threads, serial, or pass a "
        "concurrent.futures.Executor. Did you mean 'processes'?",
    ),
    (
        {"executor": 4},
        "anneal: executor must be None, one of processes, threads, serial, or an object with the "
        "`submit` of concurrent.futures.Executor, got int.",
    ),
    (
        {"ladder": Ladder(rf0=[1.0, 2.0, 3.0])},
        "Ladder: rf0 has 3 values, but the model has 2 states (x, y). Give one value a state, or a "
        "single number for all.",
    ),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=[f"{o}" for o, _ in REFUSED])
def test_refused(options, message):
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        run(**options)
