"""A run kept on the disk as it goes: killed, resumed, read half-way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from store_kills import differing
from stored import SHORT, SLOW, STARTED, STATE, result, small

import symda as sd
from symda.anneal.storage import ledger as ledger_module
from symda.anneal.storage import record_of, stored_run
from symda.anneal.storage.journal import Journal
from symda.anneal.task import PathResult
from symda.solve import Solution

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def case():
    return small()


def equal(one, other):
    for name in PathResult.__dataclass_fields__:
        a, b = getattr(one, name), getattr(other, name)
        if isinstance(a, Solution):
            assert a.status is b.status and a.action == b.action and a.crept is b.crept
            np.testing.assert_array_equal(a.path, b.path)
        elif isinstance(a, np.ndarray):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_array_equal(a, b, err_msg=name)
        else:
            assert a == b or (a != a and b != b), name


@pytest.mark.parametrize("P", [0, 2])
def test_a_journal_returns_what_was_written(tmp_path, P):
    rng = np.random.default_rng(0)
    given = [
        result(rng, k, P=P, every=k % 2 == 0, solved=k > 2, M=1 + k, D=1 + k % 3) for k in range(5)
    ]
    journal = Journal(tmp_path / "journal")
    stored = [*journal.add("paths", {"now": 1.5}, given[:2]), *journal.add("paths", {}, given[2:])]
    journal.close()
    for one, other in zip(given, stored, strict=True):
        equal(one, other)
    again = Journal(tmp_path / "journal").entries
    assert [entry.words for entry in again] == [{"now": 1.5}, {}]
    for one, other in zip(given, (r for e in again for r in e.results), strict=True):
        equal(one, other)


def test_an_entry_that_was_cut_off_is_none(tmp_path):
    rng, path = np.random.default_rng(1), tmp_path / "journal"
    journal = Journal(path)
    journal.add("paths", {}, [result(rng, 0)])
    whole = path.stat().st_size
    journal.add("paths", {}, [result(rng, 1)])
    journal.close()
    text = path.read_bytes()
    for end in (*range(whole, whole + 60, 7), len(text) - 1):
        path.write_bytes(text[:end])
        opened = Journal(path)
        assert [len(entry.results) for entry in opened.entries] == [1]
        # and what follows is written behind what is whole
        opened.add("paths", {}, [result(rng, 2)])
        opened.close()
        found = [r.path for entry in Journal(path).entries for r in entry.results]
        assert found == [0, 2]


def test_a_damaged_entry_ends_what_is_believed(tmp_path):
    rng, path = np.random.default_rng(1), tmp_path / "journal"
    journal = Journal(path)
    for k in range(3):
        journal.add("paths", {}, [result(rng, k)])
    journal.close()
    text = bytearray(path.read_bytes())
    text[len(text) // 2] ^= 1
    path.write_bytes(text)
    assert [r.path for entry in Journal(path).entries for r in entry.results] == [0]


@pytest.mark.parametrize(
    "call",
    [
        {"paths": 3, "ladder": sd.Ladder(alpha=16.0, rungs=4), "keep": "all"},
        {"paths": 70, "ladder": sd.Ladder(alpha=1e4, rungs=2), "start": "constant"},
        {"strategy": "population", "paths": 4, "attempts": 2},
        {},
    ],
)
def test_with_a_store_a_run_is_the_same(case, tmp_path, call):
    action, data = case
    plain = sd.anneal(action, data, seed=1, **call)
    stored = sd.anneal(action, data, seed=1, **call, store=tmp_path / "runs" / "one")
    again = sd.anneal(action, data, seed=1, **call, store=tmp_path / "runs" / "one")
    for run in (stored, again, sd.load(tmp_path / "runs" / "one")):
        assert differing(run.dataset, plain.dataset) == []
        left = {"provenance", "told", "grid"}
        for name in set(plain.dataset.attrs) - left:
            assert run.dataset.attrs[name] == plain.dataset.attrs[name], name
        assert run.best.states.dtype == float
    assert str(again.verdict()) == str(plain.verdict())
    # what is over needs no journal; the run can be judged and sampled as any other
    assert not list((tmp_path / "runs" / "one").glob("*/journal"))
    assert again.posterior().mean.shape == plain.posterior().mean.shape


def test_scales_and_experiments_come_back_to_the_last_bit(uncompiled, tmp_path):
    x = sd.state("x", bounds=(1e-9, 1e3), scale="log")
    k = sd.parameter("k", bounds=(1e-3, 1e3), scale="log")
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x])
    t = np.linspace(0.0, 1.0, 6)
    data = {
        name: sd.Observations(t, a * np.exp(-t) * (1.0 + 0.01 * np.sin(9.0 * t)), variance=1e-4)
        for name, a in (("first", 1.0), ("other", 3.0))
    }
    plain = sd.anneal(action, data, **SHORT)
    stored = sd.anneal(action, data, **SHORT, store=tmp_path / "s")
    assert differing(stored.dataset, plain.dataset) == []
    assert differing(sd.load(tmp_path / "s").dataset, plain.dataset) == []


def kills(call: str, count: int, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, HERE / "store_kills.py", call, str(count), folder],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("call", ["ladder", "auto"])
def test_killed_at_any_moment_a_run_ends_with_the_same_numbers(tmp_path, call):
    assert "5 kills" in kills(call, 5, tmp_path)


@pytest.mark.smoke
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("call", ["ladder", "auto", "population", "shooting", "ipopt"])
def test_a_hundred_kills(tmp_path, call):
    assert "20 kills" in kills(call, 20, tmp_path)


def test_after_ctrl_c_the_same_call_goes_on(case, tmp_path):
    action, data = case
    STARTED.clear()

    class Start:
        name = "mine"

        def point(self, draw):
            STARTED.append(draw.number)
            if STATE["stop"] and len(STARTED) > 4:
                raise KeyboardInterrupt
            return sd.Nudged().point(draw)

    # one after the other, so that the first are over when it comes
    call = {**SLOW, "start": Start(), "store": tmp_path / "s"}
    STATE["stop"] = True
    first = sd.anneal(action, data, **call)
    assert first.interrupted and record_of(tmp_path / "s", "test")["state"] == "interrupted"
    done = int((first.dataset["last_beta"].values == 1).sum())
    assert 0 < done < 5
    STATE["stop"], before = False, len(STARTED)
    whole = sd.anneal(action, data, **call)
    # two to see whether starts differ, and those that were left
    assert len(STARTED) - before == 2 + 5 - done
    plain = sd.anneal(action, data, **{**call, "store": None})
    assert not whole.interrupted and differing(whole.dataset, plain.dataset) == []


def test_what_has_ended_is_there_for_readers(case, tmp_path, monkeypatch):
    action, data = case
    monkeypatch.setattr(ledger_module, "OFTEN", 0.0)
    monkeypatch.setattr(ledger_module, "SELDOM", 0.0)
    seen = []
    store = tmp_path / "s"

    class Start:
        name = "mine"

        def point(self, draw):
            if draw.number > 1 and (store / "0" / "rows.json").exists():
                half = sd.load(store)
                seen.append((half.dataset.sizes["path"], half.interrupted, stored_run(store)))
                assert np.isfinite(half.best.states.values).all()
            return sd.Nudged().point(draw)

    sd.anneal(action, data, **SLOW, start=Start(), store=store)
    assert [n for n, *_ in seen] == [2, 3, 4] and all(stopped for _, stopped, _ in seen)
    assert {one.state for *_, one in seen} == {"running"}
    assert [one.paths for *_, one in seen] == [2, 3, 4]
    over = stored_run(store)
    assert over.state == "complete" and over.paths == 5 and over.model == "ring"
    assert over.lowest == float(sd.load(store).levels.values[:, -1].min())


def test_the_grids_that_were_not_chosen_leave_with_the_end(tmp_path):
    action, data = small()

    class Start:
        name = "mine"

        def point(self, draw):
            # as an earlier session left it, whose answer asked for finer steps
            (tmp_path / "s" / "1" / "run-1.zarr").mkdir(parents=True, exist_ok=True)
            return sd.Nudged().point(draw)

    run = sd.anneal(action, data, **SHORT, start=Start(), store=tmp_path / "s")
    left = sorted(one.name for one in (tmp_path / "s").iterdir() if one.is_dir())
    assert left == ["0"] and not list((tmp_path / "s").rglob("journal"))
    assert np.array_equal(sd.load(tmp_path / "s").dataset["states"], run.dataset["states"])


def test_a_stored_run_as_start_is_read_as_far_as_it_is_used(tmp_path, monkeypatch):
    from xarray.backends.zarr import ZarrArrayWrapper

    from symda.anneal.storage import rows
    from symda.api.starts import as_start

    action, data = small()
    whole = sd.anneal(action, data, **SHORT, store=tmp_path / "s")
    monkeypatch.setattr(rows, "SMALL", 0)
    stored, read = sd.load(tmp_path / "s"), []
    before = ZarrArrayWrapper.__getitem__

    def watched(self, key):
        found = before(self, key)
        read.append((self._array.path, np.shape(found)))
        return found

    monkeypatch.setattr(ZarrArrayWrapper, "__getitem__", watched)
    problem = action.bind(data)
    start = as_start(stored, problem, 2)
    assert [shape[0] for name, shape in read if name in ("states", "parameters")] == [2, 2]
    every = as_start(whole, problem)
    assert np.array_equal(start.paths, every.paths[:2]) and len(every.paths) == 5
    assert np.array_equal(start.thetas, every.thetas[:2])
    # two paths need no more
    call = {**SHORT, "paths": 2}
    del read[:]
    some = sd.anneal(action, data, **call, start=stored)
    assert max(shape[0] for name, shape in read if name == "states") == 2
    again = sd.anneal(action, data, **call, start=whole)
    assert np.array_equal(some.dataset["states"], again.dataset["states"])
