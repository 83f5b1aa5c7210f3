"""Paths on executors of the user's: Dask's, MPI's, ones that lose their workers or their memory."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import Executor, Future
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import numpy as np
import pytest
from rings import ring, twin

import symda as sd
from symda.anneal import dispatch, remote
from symda.anneal.executors import ExecutorWarning, Workers
from symda.errors import OptionError

HERE = Path(__file__).parent
CALL = {"paths": 12, "ladder": sd.Ladder(alpha=16.0, rungs=4), "seed": 2}


@pytest.fixture(scope="module")
def case():
    action = ring()
    _, data = twin(action, steps=12)
    return action, data, sd.anneal(action, data, executor="serial", **CALL)


def same(run, expected):
    for name in ("action", "states", "parameters", "status", "message"):
        a, b = run.dataset[name].values, expected.dataset[name].values
        assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), name


class Elsewhere(Executor):
    """Runs tasks here, but as another process would: what goes in and out is pickled."""

    def __init__(self, workers=3, forgets=0):
        self._max_workers, self._forgets = workers, forgets
        self.sizes = []

    def submit(self, fn, /, *args, **kwargs):
        task = cloudpickle.dumps((fn, args, kwargs))
        self.sizes.append(len(task))
        if self._forgets and len(self.sizes) % self._forgets == 0:
            remote._jobs.clear()
        future = Future()
        try:
            fn, args, kwargs = cloudpickle.loads(task)
            future.set_result(cloudpickle.loads(cloudpickle.dumps(fn(*args, **kwargs))))
        except Exception as error:
            future.set_exception(error)
        return future


def test_the_data_travel_once_to_each_worker(case):
    action, data, expected = case
    pool = Elsewhere(workers=2)
    # a path a task, so that there are many
    call = {**CALL, "solver": "lbfgs", "ladder": sd.Ladder(alpha=16.0, rungs=2)}
    run = sd.anneal(action, data, executor=pool, **call)
    same(run, sd.anneal(action, data, executor="serial", **call))
    large = [size for size in pool.sizes if size > 0.5 * max(pool.sizes)]
    # and one that asks whether they can
    assert len(pool.sizes) == 13 and len(large) == 2
    assert sorted(pool.sizes)[-3] < 0.1 * max(pool.sizes)
    same(sd.anneal(action, data, executor=pool, **CALL), expected)


def test_rounds_of_several_kinds_each_have_their_own_job(case):
    action, data, _ = case
    # the solver climbs path by path, so that every round travels
    plain = sd.anneal(action, data, seed=1, executor="serial")
    run = sd.anneal(action, data, seed=1, executor=Elsewhere(workers=2))
    same(run, plain)


def test_a_worker_that_lost_the_data_is_sent_them_again(case):
    action, data, _ = case
    pool = Elsewhere(workers=1, forgets=4)
    call = {**CALL, "solver": "lbfgs", "ladder": sd.Ladder(alpha=16.0, rungs=2)}
    run = sd.anneal(action, data, executor=pool, **call)
    same(run, sd.anneal(action, data, executor="serial", **call))
    assert len(pool.sizes) > 13


def test_a_worker_with_another_version_is_refused(case, monkeypatch):
    action, data, _ = case
    mine = remote.versions()
    before = remote.parcels

    def parcels(job):
        made = before(job)
        monkeypatch.setattr(remote, "versions", lambda: {**mine, "numpy": "1.26.0"})
        return made

    monkeypatch.setattr(remote, "parcels", parcels)
    with pytest.raises(OptionError, match=r"numpy 1.26.0 \(here "):
        sd.anneal(action, data, executor=Elsewhere(), **CALL)


class Deserted(Executor):
    """Takes tasks that nobody does, as Dask's executor whose one worker is gone soon."""

    def __init__(self):
        # before the run, and once in it
        there = 2 * [{"workers": {"one": {}}}]
        self._client = SimpleNamespace(
            nthreads=dict, scheduler_info=lambda n_workers: there.pop() if there else {}
        )

    def submit(self, fn, /, *args, **kwargs):
        return Future()


def test_an_executor_without_workers_is_given_up(case, tmp_path, monkeypatch):
    action, data, _ = case
    monkeypatch.setattr(dispatch, "LOOK", 0.01)
    monkeypatch.setattr(remote, "ANSWER", 0.01)
    run = sd.anneal(action, data, executor=Deserted(), store=tmp_path / "s", **CALL)
    assert not np.isfinite(run.levels.values).any()
    told = set(run.dataset["message"].values.tolist())
    assert told == {"not run: the executor has no workers any more"} and run.interrupted
    again = sd.anneal(action, data, executor="serial", store=tmp_path / "s", **CALL)
    same(again, case[2])


def test_workers_that_have_not_come_yet_are_waited_for(monkeypatch):
    """Also by a run that is gone on with, which has paths of an earlier session."""
    monkeypatch.setattr(dispatch, "GONE", 2)
    pool = Deserted()
    for _ in range(2):
        pool._client.scheduler_info(n_workers=-1)
    asked = dispatch.Dispatcher(
        None, SimpleNamespace(pooled=False, name="x"), [(0,), (1,)],
        Workers("x", pool, 1, 2, local=False, owned=False),
        time_limit=None, left=None, enough=lambda _: "", done=lambda *_: None,
        known={0: None},
    )  # fmt: skip
    with pytest.warns(ExecutorWarning, match="has no workers, and the run waits until some come"):
        assert [asked._deserted() for _ in range(5)] == [False] * 5
    asked._pending[done := Future()] = (1,), pool
    done.set_result([])
    asked._take(done)
    assert asked._deserted()


@pytest.mark.smoke
def test_dask_with_a_worker_killed_on_the_way(case, tmp_path):
    distributed = pytest.importorskip("distributed")
    action, data, expected = case
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pool = client.get_executor()
        same(sd.anneal(action, data, executor=pool, **CALL), expected)
        call = {**CALL, "solver": "lbfgs", "ladder": sd.Ladder(alpha=16.0, rungs=3)}
        whole = sd.anneal(action, data, executor="serial", **call)
        pids = client.run(os.getpid)
        timer = threading.Timer(1.0, os.kill, (next(iter(pids.values())), signal.SIGKILL))
        timer.start()
        same(sd.anneal(action, data, executor=pool, store=tmp_path / "s", **call), whole)
        timer.join()
        assert set(client.run(os.getpid).values()) != set(pids.values())


MPI = """\
import sys
import numpy as np
import symda as sd
from rings import ring, twin

if __name__ == "__main__":
    from mpi4py.futures import MPIPoolExecutor

    action = ring()
    _, data = twin(action, steps=12)
    call = {"paths": 12, "ladder": sd.Ladder(alpha=16.0, rungs=4), "seed": 2}
    with MPIPoolExecutor() as pool:
        run = sd.anneal(action, data, executor=pool, **call)
    np.save(sys.argv[1], run.dataset["states"].values)
"""


@pytest.mark.smoke
def test_mpi(case, tmp_path):
    launcher = Path(sys.executable).with_name("mpiexec")
    found = str(launcher) if launcher.exists() else shutil.which("mpiexec")
    if found is None or importlib.util.find_spec("mpi4py") is None:
        pytest.skip("there is no MPI: pip install mpi4py mpich")
    (tmp_path / "run.py").write_text(MPI)
    done = subprocess.run(
        [found, "-n", "3", sys.executable, "-m", "mpi4py.futures", "run.py", "out.npy"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    _, _, expected = case
    assert np.array_equal(np.load(tmp_path / "out.npy"), expected.dataset["states"].values)
