"""Workers that die, Ctrl-C from a terminal, and a script without a main guard."""

import concurrent.futures as cf
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from anneal_fakes import mark, run

from symda.anneal import load

HERE = Path(__file__).parent


def test_a_worker_killed_once_costs_nothing(tmp_path):
    options = {"kill_once": {mark(2): 1}, "marker": str(tmp_path / "killed"), "nap": 0.01}
    dataset = run(paths=6, executor="processes", workers=2, options=options)
    assert (tmp_path / "killed").exists()
    plain = run(paths=6)
    assert dataset["message"].values.tolist() == [""] * 6
    assert dataset["action"].identical(plain["action"])
    assert dataset["states"].identical(plain["states"])


def test_a_path_whose_worker_dies_twice_fails_alone():
    options = {"kill": {mark(1): 2}, "nap": 0.01}
    dataset = run(paths=5, executor="processes", workers=2, options=options)
    message = dataset["message"][1].item()
    assert message.startswith("its worker process died twice: ")
    assert "SIGKILL" in message
    assert dataset["status"][1].values.tolist() == [4, 0, 0, 0]
    assert dataset["last_beta"][1] == -1
    rest = [0, 2, 3, 4]
    plain = run(paths=5)
    assert dataset["action"][rest].identical(plain["action"][rest])
    assert (dataset["message"][rest] == "").all()


def test_a_broken_executor_of_ones_own_is_replaced():
    options = {"kill": {mark(0): 1}}
    with cf.ProcessPoolExecutor(max_workers=1) as executor:
        dataset = run(paths=3, executor=executor, workers=1, options=options)
    assert dataset["message"][0].item().startswith("its worker process died twice: ")
    assert (dataset["status"][1:] == 1).all()


CTRL_C = """
    import os, signal, sys, threading
    from anneal_fakes import run, workers_of

    executor, result = sys.argv[1:]

    class Watch:
        done = 0
        def start(self, total):
            pass
        def path_done(self, path, level, status):
            self.done += 1
            if self.done == 2:
                # As a terminal does it: to the whole group, workers included, a little later.
                threading.Timer(0.3, os.killpg, (0, signal.SIGINT)).start()
        def stop(self):
            print("stopped", flush=True)

    if __name__ == "__main__":
        dataset = run(paths=50, executor=executor, workers=workers_of(executor),
                      options={"nap": 0.05}, reporter=Watch())
        from symda.anneal import save
        save(dataset, result)
"""


def script(tmp_path, text, *arguments):
    """Run a script in a process group of its own."""
    file = tmp_path / "script.py"
    file.write_text(textwrap.dedent(text))
    return subprocess.Popen(
        [sys.executable, str(file), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process, seconds=60):
    """Wait for a script; whatever happens, leave nothing of its group behind."""
    try:
        return process.communicate(timeout=seconds)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_ctrl_c_returns_what_is_done(executor, tmp_path):
    process = script(tmp_path, CTRL_C, executor, tmp_path / "run.nc")
    out, err = finish(process)
    assert process.returncode == 0, err
    assert out == "stopped\n"
    assert "Traceback" not in err
    dataset = load(tmp_path / "run.nc")
    assert dataset.attrs["interrupted"] == 1
    done = dataset["last_beta"].values == 3
    assert 2 <= done.sum() < 30
    assert np.isfinite(dataset["action"].values[done]).all()
    assert dataset["message"][-1] == "not run: interrupted"
    assert dataset["status"][-1].values.tolist() == [0, 0, 0, 0]


UNGUARDED = """
    import sys
    import numpy as np
    from anneal_fakes import run
    from symda.anneal import save

    with open(sys.argv[1], "a") as log:
        log.write("here\\n")

    def start(problem, rng):
        return rng.normal(size=(problem.M, problem.D)), np.ones(problem.P)

    save(run(paths=4, start=start, executor=None, workers=2), sys.argv[2])
"""


def test_a_script_without_a_main_guard_runs_once(tmp_path):
    process = script(tmp_path, UNGUARDED, tmp_path / "log", tmp_path / "run.nc")
    began = time.monotonic()
    _, err = finish(process)
    assert process.returncode == 0, err
    assert time.monotonic() - began < 50
    assert (tmp_path / "log").read_text() == "here\n"
    dataset = load(tmp_path / "run.nc")
    assert (dataset["status"] == 1).all()
    assert '"executor": "processes"' in dataset.attrs["provenance"]
