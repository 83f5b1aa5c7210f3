"""Lattices site by site: what a site's action is, damping where it is needed, paths joined."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from lattices import BOUNDARIES, lattice_case, random_lattice, random_problem, virtual
from test_lattice_model import lorenz96
from test_patches import lorenz

import symda as sd
from symda.anneal.strategies.regions import regions_of
from symda.build.lattice import LatticeKernels
from symda.observe import Problem
from symda.solve.options import NewtonOptions
from symda.solve.sites import AGAIN, GROWS, MOST, Sites, adapted
from symda.solve.truncated import TruncatedNewton


def sites_of(seed: int, shape: tuple[int, ...], boundary: str) -> tuple[Sites, Problem]:
    model = random_lattice(seed, shape, [boundary] * 3, fields=1 + seed % 2, reach=2)
    case = lattice_case(model, ["rk4", "euler", "hermite-simpson"][seed % 3])
    p = random_problem(case, np.random.default_rng(seed))
    return Sites(virtual(case).at(p)), p


def neighbours(sites: Sites, reach: tuple[int, ...], site: int) -> list[int]:
    """Count by hand, site by site."""
    at = np.unravel_index(site, sites.shape)
    found = set()
    for offsets in product(*(range(-r, r + 1) for r in reach)):
        there = [a + o for a, o in zip(at, offsets, strict=True)]
        for d, boundary in enumerate(sites.boundaries):
            if boundary == "periodic":
                there[d] %= sites.shape[d]
        if all(0 <= t < n for t, n in zip(there, sites.shape, strict=True)):
            found.add(int(np.ravel_multi_index(there, sites.shape)))
    return sorted(found)


#: Of two kinds of schemes, and many others of the one that is made soonest.
ACTIONS = [(0, (20,)), (5, (3, 4)), (1, (1,)), (4, (2, 9, 3))]
SHAPES = [(1,), (30,), (3, 4), (15, 2), (2, 9, 3)]


@pytest.mark.parametrize(("seed", "shape"), ACTIONS)
def test_sites_share_the_whole_action(seed: int, shape: tuple[int, ...]) -> None:
    sites, p = sites_of(seed, shape, BOUNDARIES[seed % 3])
    rng = np.random.default_rng(seed)
    X, theta = rng.normal(size=(p.M, p.D)), rng.normal(size=p.P)
    for size in (1e-12, 1.0, 1e12):
        rf = size * rng.uniform(0.5, 2.0, p.D)
        each, rest = sites.action(sites.parts(X, theta), rf)
        whole = sites._evaluator.action(X, theta, rf)
        assert each.sum() + rest == pytest.approx(whole, rel=1e-12)
        assert each.shape == (sites.count,) and rest > 0.0


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_neighbourhoods_are_those_counted_by_hand(shape: tuple[int, ...], boundary: str) -> None:
    sites, _ = sites_of(1, shape, boundary)
    values = np.random.default_rng(1).uniform(1.0, 2.0, sites.count)
    near = [neighbours(sites, sites.reach, s) for s in range(sites.count)]
    most = sites.most_around(values)
    np.testing.assert_allclose(most, [values[one].max() for one in near])
    wide = [2 * r + 1 >= n for r, n in zip(sites.reach, sites.shape, strict=True)]
    if not any(wide):
        np.testing.assert_allclose(sites.around(values), [values[one].sum() for one in near])
    elif all(wide):
        np.testing.assert_allclose(sites.around(values), values.sum())
    huge = np.where(np.arange(sites.count) == 0, np.inf, values)
    assert (
        np.isfinite(sites.around(huge)).all() and np.isfinite(sites.around(np.nan * values)).all()
    )


def test_damping_grows_where_a_step_was_poor_and_falls_off_around() -> None:
    sites, _ = sites_of(4, (40,), "zero")
    none = np.zeros(40, dtype=bool)
    poor = none.copy()
    poor[20] = True
    damping = adapted(sites, np.zeros(40), poor, ~poor)
    assert damping[20] == AGAIN and damping[20 + sites.reach[0]] == AGAIN / GROWS
    assert damping[20 + sites.reach[0] + 1] == 0.0
    for _ in range(50):
        damping = adapted(sites, damping, poor, ~poor)
    assert damping.max() == MOST and damping.min() > AGAIN  # in the end also far away
    for _ in range(50):
        damping = adapted(sites, damping, none, ~none)
    assert damping.max() == 0.0


def test_regions_are_numbered_by_what_they_act_on() -> None:
    case, p, _ = lorenz(24, 2)
    sites = Sites(virtual(case).at(p))  # equations reach two sites down and one up
    apart = np.zeros(24, dtype=bool)
    apart[[0, 10, 14, 20]] = True
    region = regions_of(apart, sites)
    # 20 acts on what 0 acts on, around the end; so do 10 and 14 with each other
    assert set(np.flatnonzero(region == region[0])) == {18, 19, 20, 21, 22, 23, 0, 1, 2}
    assert set(np.flatnonzero(region == region[10])) == set(range(8, 17))
    assert region.max() == 2 and (region[3:8] == 0).all() and region[17] == 0
    assert not regions_of(~apart & apart, sites).any()
    assert (regions_of(apart | ~apart, sites) == 1).all()
    one, _ = sites_of(1, (1,), "zero")
    assert regions_of(np.array([True]), one).tolist() == [1]


def test_regions_of_a_plane_that_ends_do_not_go_around() -> None:
    sites, _ = sites_of(1, (12, 12), "zero")
    apart = np.zeros((12, 12), dtype=bool)
    apart[0, 5] = apart[11, 5] = True
    region = regions_of(apart.reshape(-1), sites).reshape(12, 12)
    assert region[0, 5] != region[11, 5] and region.max() == 2


def twin(D: int, steps: int) -> tuple[sd.Action, sd.Trajectory, sd.Observations]:
    model = lorenz96(D)
    action = sd.Action(model, model.states[::3], scheme="rk4", matrix_free=True)
    truth, data = sd.twin(
        action, parameters={"nu": 8.0}, dt=0.05, steps=steps, variance=0.2, seed=1, discard=5.0
    )
    return action, truth, data


def test_a_bad_spot_does_not_shorten_the_steps_everywhere() -> None:
    """From random numbers; one trust region for all 480 sites took 263 steps."""
    action, _, data = twin(480, 20)
    p, kernels = action.bind(data), action.compile().machine
    assert isinstance(kernels, LatticeKernels)
    X = np.random.default_rng(0).uniform(-10.0, 10.0, (p.M, p.D))
    X[:, ::3] = p.y
    rf = np.where(np.arange(p.D) % 3 == 0, 5.0, 500.0)
    found = TruncatedNewton(kernels, p, NewtonOptions()).minimise(X, np.array([7.0]), rf)
    assert found.status == "converged"
    assert found.iterations < 120


def test_the_best_of_each_region_is_the_path_from_the_truth_and_no_single_one_is() -> None:
    action, truth, data = twin(60, 40)
    given = {"ladder": sd.Ladder(alpha=8.0, rungs=5), "solver": "newton", "workers": 1, "seed": 2}
    run = sd.anneal(action, data, strategy="regions", paths=10, **given)
    single = sd.anneal(action, data, strategy="ladder", paths=4, **given)
    known = truth.states.values, {"nu": 8.0}
    best = sd.anneal(action, data, strategy="ladder", start=known, paths=1, **given)
    assert run.levels.sizes["path"] == 1
    assert run.best.action == pytest.approx(best.best.action, rel=1e-6)
    assert np.nanmin(single.levels.values[:, -1]) > 1.1 * best.best.action
    status, first = run.dataset["status"].values[0], int(np.argmax(run.levels.notnull().values))
    assert 0 < first < 4 and (status[first:] == 1).all() and not status[:first].any()
    # what the candidates took is counted
    effort = run.dataset["iterations"].values[0]
    assert effort[first] > 10 * 10 and np.isfinite(run.dataset["momenta"]).all()


def test_what_has_no_sites_is_refused_by_the_call(uncompiled) -> None:
    model = lorenz96(5)
    action = sd.Action(model, model.states[:2], scheme="euler")
    data = sd.Observations([0.0, 0.1], np.ones((2, 2)), variance=1.0)
    with pytest.raises(sd.OptionError, match=r"strategy='regions'.*not matrix-free.*matrix_free=T"):
        sd.anneal(action, data, strategy="regions", paths=2, solver="newton")
    with pytest.raises(sd.OptionError, match="Regions: rf"):
        sd.Regions(rf=-1.0)
    with pytest.raises(sd.OptionError, match="Regions: loose"):
        sd.Regions(loose=0)


@pytest.mark.parametrize("measured", [1, 5])
def test_a_short_lattice_and_one_rung_will_do(uncompiled, measured: int) -> None:
    model = lorenz96(5)
    action = sd.Action(model, model.states[:measured], scheme="euler", matrix_free=True)
    values = np.random.default_rng(0).normal(2.0, 1.0, size=(2, measured))
    data = sd.Observations([0.0, 0.1], values, variance=1.0)
    for ladder in (sd.Ladder(rf0=5.0, rungs=1), sd.Ladder(rf0=100.0, rungs=2)):
        run = sd.anneal(
            action, data, strategy="regions", paths=2, ladder=ladder, solver="newton", workers=1
        )
        assert run.dataset["last_beta"].values.tolist() == [ladder.rungs - 1]
        assert run.dataset["status"].values[0, -1] == 1
