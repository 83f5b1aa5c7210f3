"""Stored runs that are refused, cannot be written, or come from somebody else."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
from cli_shell import MODEL, symda  # noqa: F401
from rings import ring
from store_kills import differing
from stored import SHORT, SLOW, STATE, result, small

import symda as sd
from symda.anneal.storage import COMMAND, StoreWarning, is_store, record_of, rows
from symda.anneal.storage import ledger as ledger_module
from symda.anneal.storage.journal import Journal
from symda.errors import DataError


@pytest.fixture(scope="module")
def case():
    return small()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 9}, "seed (2 there, 9 here)"),
        ({"paths": 6}, "paths (5 there, 6 here)"),
        ({"ladder": sd.Ladder(alpha=8.0, rungs=4)}, "alpha (16.0 there, 8.0 here)"),
        ({"solver": "lbfgs"}, "solver ('newton' there, 'lbfgs' here)"),
        ({"fixed": {"nu": 8.0}}, "the values of fixed parameters"),
        ({"start": "nudged"}, "start ({'class': 'Uniform'} there, {'class': 'Nudged'"),
    ],
)
def test_another_call_is_refused_by_its_difference(case, tmp_path, change, named):
    action, data = case
    sd.anneal(action, data, **SHORT, store=tmp_path / "s")
    with pytest.raises(DataError, match="holds another run") as told:
        sd.anneal(action, data, **{**SHORT, **change}, store=tmp_path / "s")
    assert named in str(told.value)


def test_other_data_and_equations_are_refused_by_name(case, tmp_path):
    action, data = case
    sd.anneal(action, data, **SHORT, store=tmp_path / "s")
    other = sd.Observations(data.times, data.values + 1e-12, variance=data.variance)
    with pytest.raises(DataError, match="Different are: the data"):
        sd.anneal(action, other, **SHORT, store=tmp_path / "s")
    with pytest.raises(DataError, match="the measured quantities"):
        one = sd.Observations(data.times, data.values[:, :1], variance=0.5)
        sd.anneal(ring(measured=(0,)), one, **SHORT, store=tmp_path / "s")
    with pytest.raises(DataError, match=r"scheme \('rk4' there, 'midpoint' here\)"):
        sd.anneal(ring(scheme="midpoint"), data, **SHORT, store=tmp_path / "s")
    # nothing of it was touched
    sd.anneal(action, data, **SHORT, store=tmp_path / "s")


def test_a_second_writer_is_refused(case, tmp_path):
    action, data = case
    refused = []

    class Start:
        name = "mine"

        def point(self, draw):
            # the lock is of a process, so that another one has to try
            if draw.number == 3:
                code = (
                    "from symda.anneal.storage import RunStore\n"
                    f"RunStore({str(tmp_path / 's')!r}).open({{}}, 'x', None)"
                )
                done = subprocess.run(
                    [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
                )
                refused.append(done.stderr)
            return sd.Nudged().point(draw)

    sd.anneal(action, data, **SLOW, start=Start(), store=tmp_path / "s")
    assert f"is being written by process {os.getpid()}" in refused[0]


def test_folders_that_are_no_store(case, tmp_path):
    action, data = case
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with pytest.raises(DataError, match=r"other things \(thesis.tex\)"):
        sd.anneal(action, data, **SHORT, store=tmp_path / "other")
    assert sorted(p.name for p in (tmp_path / "other").iterdir()) == ["thesis.tex"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot be written"):
        sd.anneal(action, data, **SHORT, store=tmp_path / "file")
    with pytest.raises(DataError, match="must be the name of a folder"):
        sd.anneal(action, data, **SHORT, store=7)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        sd.anneal(action, data, **SHORT, store=tmp_path / "damaged")
    with pytest.raises(DataError, match="cannot be read"):
        sd.load(tmp_path / "damaged")


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_compiled(
    case, tmp_path, monkeypatch
):
    action, data = case

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        patch.setattr(sd.Action, "compile", lambda *_: pytest.fail("it was compiled"))
        with pytest.raises(DataError, match="No space left on device"):
            sd.anneal(action, data, **SHORT, store=tmp_path / "s")


def test_a_disk_that_fills_up_takes_no_path_along(case, tmp_path, monkeypatch):
    """A limit on the size of files fails as a full disk does, and goes away."""
    action, data = case
    call = {**SLOW, "store": tmp_path / "s"}
    plain = sd.anneal(action, data, **{**call, "store": None})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Start:
        name = "uniform"

        def point(self, draw):
            if STATE["full"] and draw.number == 2:
                resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
            return draw.path(), draw.parameters()

    STATE["full"], handler = True, signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.warns(StoreWarning, match="cannot be written"):
            whole = sd.anneal(action, data, **{**call, "start": Start()})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert whole.dataset.sizes["path"] == 5 and np.isfinite(whole.levels.values).all()
    assert record_of(tmp_path / "s", "test")["state"] == "running"
    # what was written before it was full is there, and the same call goes on from it
    STATE["full"] = False
    again = sd.anneal(action, data, **{**call, "start": Start()})
    assert differing(again.dataset, whole.dataset) == []
    assert plain.dataset.sizes == whole.dataset.sizes


def test_nothing_is_unpickled(case, tmp_path, monkeypatch):
    action, data = case
    sd.anneal(action, data, **SHORT, store=tmp_path / "s")
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, lambda *_, **__: pytest.fail("something was unpickled"))
    sd.load(tmp_path / "s").best.states.values.sum()
    assert sd.anneal(action, data, **SHORT, store=tmp_path / "s").best.action > 0.0
    told = [json.loads(p.read_text()) for p in (tmp_path / "s").rglob("zarr.json")]
    codecs = {c["name"] for one in told for c in one.get("codecs", ())}
    assert codecs <= {"bytes", "zstd", "sharding_indexed", "vlen-utf8"}


def test_other_versions_are_told_of(case, tmp_path, monkeypatch):
    action, data = case
    call = {**SHORT, "start": lambda p, rng: 1 / 0, "store": tmp_path / "s"}
    with contextlib.suppress(sd.errors.OptionError), warnings.catch_warnings():
        sd.anneal(action, data, **call)
    record = json.loads((tmp_path / "s" / "run.json").read_text())
    record["versions"]["numpy"] = "1.0"
    (tmp_path / "s" / "run.json").write_text(json.dumps(record))
    with (
        pytest.warns(StoreWarning, match=r"begun with numpy 1.0 \(now"),
        contextlib.suppress(sd.errors.OptionError),
    ):
        sd.anneal(action, data, **call)


def test_the_command_line_goes_on_lists_and_exports(symda):  # noqa: F811
    symda.write("model.py", MODEL)
    t = 0.02 * np.arange(9)
    rows = "\n".join(f"{s:.2f},{np.sin(s):.6f},{np.cos(s):.6f},{s:.6f}" for s in t)
    symda.write("data.csv", f"t,x0,x2,x3\n{rows}\n")
    words = ("anneal", "model.py", "data.csv", "--solver", "lbfgs", "--paths", "2", "--rungs", "3")
    done = symda(*words, "--store", "runs/first")
    assert done.code == 0 and "kept in runs/first" in done.out
    again = symda(*words, "--store", "runs/first")
    assert again.code == 0
    resumed = symda("resume", "runs/first")
    assert resumed.code == 0 and "symda anneal model.py data.csv" in resumed.err
    levels = [line for line in done.out.splitlines() if "action" in line]
    assert [line for line in resumed.out.splitlines() if "action" in line] == levels
    listed = symda("runs")
    assert "first" in listed.out and "complete" in listed.out and "lorenz96" in listed.out
    told = symda("export", "runs/first", "out.csv")
    assert told.code == 0 and "out-paths.csv" in told.out
    states = np.genfromtxt(symda.folder / "out.csv", delimiter=",", names=True)
    best = sd.load(symda.folder / "runs" / "first").best
    np.testing.assert_allclose(states["x1"], best.states.sel(state="x1").values, rtol=1e-12)
    np.testing.assert_allclose(states["data_x2"], np.cos(t), atol=1e-6)
    paths = np.genfromtxt(symda.folder / "out-paths.csv", delimiter=",", names=True, dtype=None)
    assert len(paths) == 2 and paths["action"].min() == pytest.approx(best.action, rel=1e-12)
    assert symda("export", "runs/first", "out.nc").code == 0
    assert symda("report", "runs/first", "--into", "page.html").code == 0
    assert is_store(symda.folder / "runs" / "first") and COMMAND.get() is None
    for words, text in [
        (("resume", "runs"), "is no store"),
        (("export", "runs/first", "x.mat"), "must end in .nc or .csv"),
        (("runs", "nowhere"), "there is no folder"),
    ]:
        failed = symda(*words)
        assert failed.code == 2 and text in failed.err


def test_zarr_that_cannot_be_written_leaves_the_journal(case, tmp_path, monkeypatch):
    """A store is over only when all its paths are in the dataset on the disk."""
    action, data = case
    whole = sd.anneal(action, data, **SHORT)
    before, count = rows._create, []

    def full(group, name, *rest):
        count.append(name)
        if name == "states":
            raise OSError(28, "No space left on device")
        return before(group, name, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(rows, "_create", full)
        with pytest.warns(StoreWarning, match="No space left"):
            run = sd.anneal(action, data, **SHORT, store=tmp_path / "s")
    assert "states" in count and differing(run.dataset, whole.dataset) == []
    assert record_of(tmp_path / "s", "test")["state"] == "running"
    assert list((tmp_path / "s").glob("*/journal"))
    assert (
        differing(sd.anneal(action, data, **SHORT, store=tmp_path / "s").dataset, whole.dataset)
        == []
    )


def test_a_round_is_not_over_while_its_paths_are_not_written(case, tmp_path, monkeypatch):
    action, data = case
    before = Journal.add

    def refuses(self, kind, words, results=()):
        if kind == "paths":
            raise OSError(28, "No space left on device")
        return before(self, kind, words, results)

    with monkeypatch.context() as patch, pytest.warns(StoreWarning):
        patch.setattr(Journal, "add", refuses)
        patch.setattr(ledger_module.Stage, "whole", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sd.anneal(action, data, seed=1, store=tmp_path / "s")
    entries = Journal(tmp_path / "s" / "0" / "journal").entries
    assert {entry.kind for entry in entries} == {"spent", "begin"}


def test_earlier_sessions_count_for_the_time_limit(case, tmp_path):
    action, data = case
    STATE["stop"] = True

    class Start:
        name = "mine"

        def point(self, draw):
            if STATE["stop"] and draw.number == 3:
                raise KeyboardInterrupt
            return sd.Nudged().point(draw)

    call = {**SLOW, "start": Start(), "store": tmp_path / "s", "time_limit": 1e4}
    assert sd.anneal(action, data, **call).interrupted
    # as if that had taken long
    journal = Journal(tmp_path / "s" / "0" / "journal")
    journal.add("begin", {"first": 999, "now": 2e4})
    journal.close()
    STATE["stop"] = False
    run = sd.anneal(action, data, **call)
    assert any("time limit of 10000 s" in text for text in run.dataset["message"].values)


@pytest.mark.parametrize("kind", ["closure", "default", "object", "partial"])
def test_own_starts_are_told_apart_by_what_they_hold(case, tmp_path, kind):
    action, data = case

    def made(low):
        def start(problem, rng):
            X = rng.uniform(low, 5.0, (problem.M, problem.D))
            return X, np.array([8.0])

        def with_default(problem, rng, low=low):
            return rng.uniform(low, 5.0, (problem.M, problem.D)), np.array([8.0])

        def three(low, problem, rng):
            return rng.uniform(low, 5.0, (problem.M, problem.D)), np.array([8.0])

        class Start:
            name = "mine"

            def __init__(self, low):
                self.low = low

            def point(self, draw):
                p = draw.problem
                return draw.rng.uniform(self.low, 5.0, (p.M, p.D)), np.array([8.0])

        return {
            "closure": start,
            "default": with_default,
            "object": Start(low),
            "partial": functools.partial(three, low),
        }[kind]

    call = {**SHORT, "store": tmp_path / "s"}
    sd.anneal(action, data, **call, start=made(-1.0))
    sd.anneal(action, data, **call, start=made(-1.0))
    with pytest.raises(DataError, match="Different are: start"):
        sd.anneal(action, data, **call, start=made(-2.0))
    assert " at 0x" not in (tmp_path / "s" / "run.json").read_text()


def test_what_cannot_be_told_apart_is_refused(case, tmp_path):
    action, data = case

    class Slots:
        __slots__ = ()

        def __call__(self, problem, rng):
            return np.zeros((problem.M, problem.D)), np.array([8.0])

    with pytest.raises(DataError, match="its repr is an address"):
        sd.anneal(action, data, **SHORT, start=Slots(), store=tmp_path / "s")


def test_a_shard_that_is_gone_is_told(case, tmp_path):
    action, data = case
    sd.anneal(action, data, **SHORT, store=tmp_path / "s")
    (chunk,) = (tmp_path / "s" / "0").glob("run-*.zarr/states/c/0/0/0")
    chunk.unlink()
    with pytest.raises(DataError, match=r"states/c/0/0/0 is missing or cut off"):
        sd.load(tmp_path / "s")


def test_a_run_that_is_over_needs_no_writing(case, tmp_path):
    action, data = case
    whole = sd.anneal(action, data, **SHORT, store=tmp_path / "s")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "s").rglob("*")}
    assert (
        differing(sd.anneal(action, data, **SHORT, store=tmp_path / "s").dataset, whole.dataset)
        == []
    )
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "s").rglob("*")} == before


def test_strangers_folders(symda):  # noqa: F811
    """What is odd is told, or passed over; nothing of it is run or believed."""
    place = symda.folder / "runs" / "odd"
    (place / "abc").mkdir(parents=True)
    (place / "0").mkdir()
    record = {
        "format": 1,
        "identity": {},
        "state": "complete",
        "chosen": "../../..",
        "versions": {},
    }
    (place / "run.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match="it chose"):
        sd.load(place)
    assert "odd" in symda("runs").out
    for command in (["resume", "runs/odd"], ["anneal", "evil.py"]):
        (place / "run.json").write_text(
            json.dumps(record | {"command": command, "folder": ".", "state": "running"})
        )
        refused = symda("resume", "runs/odd")
        assert refused.code == 2 and "was not begun there by you" in refused.err
    # numbers that an entry does not have
    rng = np.random.default_rng(0)
    journal = Journal(place / "0" / "journal")
    journal.add("paths", {"levels": [1.0]}, [result(rng, 0)])
    journal.close()
    text = (place / "0" / "journal").read_bytes().replace(b"[3]", b"[9]")
    (place / "0" / "journal").write_bytes(text)
    assert Journal(place / "0" / "journal").entries == []
