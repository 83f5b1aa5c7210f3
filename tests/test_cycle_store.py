"""Stored cycles: killed, gone on with, added to, refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import swings

import symda as sd
from symda.errors import DataError, OptionError


@pytest.fixture(scope="module")
def swing():
    return swings.swing()


def same(a, b):
    for name in a.data_vars:
        if name != "seconds":
            np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)


def test_a_store_goes_on_with_the_same_numbers(swing, tmp_path, monkeypatch):
    from symda.anneal.cycling import Cycler
    from symda.anneal.storage import cycles as kept

    action, _, data, prior = swing
    whole = action.cycle(data, window=4, prior=prior).dataset
    monkeypatch.setattr(kept, "OFTEN", 0.0)
    step = Cycler.step

    def killed(self, state):
        if state.cycle == 9:
            raise KeyboardInterrupt
        return step(self, state)

    store = tmp_path / "cycles"
    monkeypatch.setattr(Cycler, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        action.cycle(data, window=4, prior=prior, store=store)
    monkeypatch.setattr(Cycler, "step", step)
    part = sd.Cycles.load(store)
    assert part.dataset.sizes["cycle"] == 9
    same(part.dataset, whole.isel(cycle=slice(9)))
    found = action.cycle(data, window=4, prior=prior, store=store)
    same(found.dataset, whole)
    same(sd.Cycles.load(store).dataset, whole)
    assert sd.Cycles.load(store).dataset.attrs == found.dataset.attrs
    # nothing is done again
    monkeypatch.setattr(Cycler, "step", killed)
    same(action.cycle(data, window=4, prior=prior, store=store).dataset, whole)
    path = found.save(tmp_path / "c.nc")
    same(sd.Cycles.load(path).dataset, whole)
    with pytest.raises(OptionError, match="from a file"):
        action.cycle(data, prior=sd.Cycles.load(path))


def test_data_that_arrive_are_added_to_a_store(swing, tmp_path):
    action, _, data, prior = swing
    whole = action.cycle(data, window=4, prior=prior).dataset
    store = tmp_path / "cycles"
    for count in (7, 8, 30, 41):
        some = sd.Observations(data.times[:count], data.values[:count], variance=0.01)
        found = action.cycle(some, window=4, prior=prior, store=store).dataset
        assert found.sizes["cycle"] == count - 1
        same(found, whole.isel(cycle=slice(count - 1)))
    changed = data.values.copy()
    changed[3] += 1.0
    with pytest.raises(DataError, match=r"other data.*the data"):
        action.cycle(
            sd.Observations(data.times, changed, variance=0.01), window=4, prior=prior, store=store
        )
    with pytest.raises(DataError, match="all data so far"):
        action.cycle(
            sd.Observations(data.times[:9], data.values[:9], variance=0.01),
            window=4, prior=prior, store=store,
        )  # fmt: skip
    for other in ({"window": 5}, {"inflation": 1.2}, {"prior": prior | {"k": (1.0, 0.1)}}):
        with pytest.raises((DataError, OptionError), match=r"Different are|names"):
            action.cycle(data, **{"window": 4, "prior": prior, "store": store, **other})
    with pytest.raises(DataError, match="holds cycles, and this call makes a run"):
        sd.anneal(action, data, store=store, progress=False)
    with pytest.raises(DataError, match="Cycles"):
        sd.load(store)


def test_a_key_pressed_while_a_cycle_is_kept_loses_none(swing, tmp_path, monkeypatch):
    from symda.anneal.storage.cycles import CycleStore

    action, _, data, prior = swing
    whole = action.cycle(data, window=4, prior=prior).dataset
    add, calls = CycleStore.add, []

    def pressed(self, *given):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        add(self, *given)

    monkeypatch.setattr(CycleStore, "add", pressed)
    with pytest.raises(KeyboardInterrupt):
        action.cycle(data, window=4, prior=prior, store=tmp_path / "s")
    record = json.loads((tmp_path / "s" / "run.json").read_text())
    assert record["state"] == "interrupted"
    assert sd.Cycles.load(tmp_path / "s").dataset.sizes["cycle"] == 5
    same(action.cycle(data, window=4, prior=prior, store=tmp_path / "s").dataset, whole)


def test_what_a_store_is_of_is_told_apart(swing, tmp_path):
    action, _, data, prior = swing
    store = tmp_path / "s"
    action.cycle(data, window=4, prior=prior, rf=1234567.0, store=store)
    for other in ({"rf": 1234568.0}, {"widen": 1e-5}, {"prior": None}, {"fixed": {"k": 2.0}}):
        given = {"window": 4, "prior": prior, "rf": 1234567.0, "store": store, **other}
        with pytest.raises((DataError, OptionError), match=r"Different are|none of"):
            action.cycle(data, **given)
    sd.anneal(action, data, paths=1, seed=0, strategy="ladder", progress=False,
              ladder=sd.Ladder(rf0=1.0, alpha=10.0, rungs=2), store=tmp_path / "r")  # fmt: skip
    with pytest.raises(DataError, match="holds a run, and this call makes cycles"):
        action.cycle(data, prior=prior, store=tmp_path / "r")


def test_a_store_whose_end_is_cut_off_goes_on(swing, tmp_path, monkeypatch):
    from symda.anneal.storage import cycles as kept

    monkeypatch.setattr(kept, "OFTEN", 0.0)
    action, _, data, prior = swing
    store = tmp_path / "cycles"
    whole = action.cycle(data, window=4, prior=prior, store=store).dataset
    file = store / kept.CYCLES
    text = file.read_bytes()
    for keep in (len(text) - 1, len(text) // 2, 5):
        file.write_bytes(text[:keep])
        same(action.cycle(data, window=4, prior=prior, store=store).dataset, whole)


def test_a_full_disk_is_a_warning_and_nothing_is_lost(swing, tmp_path, monkeypatch):
    from symda.anneal.storage import cycles as kept
    from symda.anneal.storage.journal import Journal

    monkeypatch.setattr(kept, "OFTEN", 0.0)
    action, _, data, prior = swing
    whole = action.cycle(data, window=4, prior=prior).dataset
    add = Journal.add

    def full(self, *given):
        if len(self.entries) == 0 and given[3]["time"][0] > 2.0:
            raise OSError(28, "No space left on device")
        return add(self, *given)

    monkeypatch.setattr(Journal, "add", full)
    with pytest.warns(UserWarning, match="No space left"):
        found = action.cycle(data, window=4, prior=prior, store=tmp_path / "s")
    same(found.dataset, whole)
    assert json.loads((tmp_path / "s" / "run.json").read_text())["state"] == "interrupted"
    monkeypatch.setattr(Journal, "add", add)
    same(action.cycle(data, window=4, prior=prior, store=tmp_path / "s").dataset, whole)


def test_runs_lists_cycles(swing, tmp_path):
    from symda.anneal.storage import stored_run

    action, _, data, prior = swing
    action.cycle(data, window=4, prior=prior, store=tmp_path / "c")
    told = stored_run(tmp_path / "c")
    assert told.state == "waiting" and told.paths == 40 and told.model == "pendulum"
