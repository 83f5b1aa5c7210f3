"""The model grid hits every observation time bit for bit, with the steps asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symda.errors import DataError, OptionError
from symda.observe import Grid

gaps = st.lists(st.floats(1e-3, 10.0), min_size=1, max_size=12)
origins = st.floats(-1e3, 1e3)


def irregular(origin: float, lengths: list[float]) -> np.ndarray:
    return origin + np.concatenate(([0.0], np.cumsum(lengths)))


def check(grid: Grid, times: np.ndarray, interior: tuple[float, ...] = ()) -> None:
    I = len(interior)
    assert grid.M == grid.N * (1 + I) + 1 == grid.times.size
    nodes = grid.times[grid.nodes]
    np.testing.assert_array_equal(grid.nodes, np.arange(grid.N + 1) * (1 + I))
    np.testing.assert_array_equal(grid.times[grid.observed], times)
    assert np.all(np.diff(grid.times) > 0.0)
    assert np.all(grid.steps > 0.0)
    np.testing.assert_array_equal(grid.steps, np.diff(nodes))
    assert abs(grid.steps.sum() - (nodes[-1] - nodes[0])) <= 1e-12 * max(1.0, np.abs(nodes).max())
    for i, c in enumerate(interior):
        inside = grid.times[grid.nodes[:-1] + 1 + i]
        np.testing.assert_allclose(
            inside, nodes[:-1] + c * grid.steps, rtol=0, atol=4 * np.spacing(np.abs(nodes).max())
        )


@settings(max_examples=100, deadline=None)
@given(origins, gaps, st.data())
def test_steps_in_each_interval(origin: float, lengths: list[float], data: st.DataObject) -> None:
    times = irregular(origin, lengths)
    size = len(lengths)
    steps = data.draw(
        st.one_of(st.integers(1, 7), st.lists(st.integers(1, 7), min_size=size, max_size=size))
    )
    interior = data.draw(st.sampled_from([(), (0.5,), (0.25, 0.5, 0.75)]))
    grid = Grid.make(times, steps=steps, interior=interior)
    check(grid, times, interior)
    counts = np.broadcast_to(steps, size)
    assert grid.N == counts.sum()
    np.testing.assert_allclose(
        grid.steps, np.repeat(np.diff(times) / counts, counts), rtol=1e-9, atol=1e-12
    )


@settings(max_examples=100, deadline=None)
@given(origins, gaps, st.floats(1e-2, 20.0))
def test_max_step_is_kept_with_the_fewest_steps(
    origin: float, lengths: list[float], max_step: float
) -> None:
    times = irregular(origin, lengths)
    grid = Grid.make(times, max_step=max_step)
    check(grid, times)
    rounding = 1e-9 * max_step + 4 * np.spacing(np.abs(times).max())
    assert grid.steps.max() <= max_step + rounding
    counts = np.diff(grid.observed)
    few = counts > 1  # one step less would be too long
    assert np.all((np.diff(times) / np.maximum(counts - 1, 1))[few] > max_step - rounding)


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-3, 10.0), st.integers(1, 400), st.integers(1, 50), st.integers(0, 10**4))
def test_max_step_is_robust_to_rounding(dt: float, T: int, steps: int, first: int) -> None:
    times = np.arange(first, first + T + 1) * (dt * steps)
    grid = Grid.make(times, max_step=dt)
    assert grid.N == T * steps


@pytest.mark.parametrize(
    ("length", "max_step", "count"),
    [(0.15, 0.05, 3), (0.3, 0.1, 3), (0.7, 0.1, 7), (0.1501, 0.05, 4), (0.04, 0.05, 1)],
)
def test_max_step_counts(length: float, max_step: float, count: int) -> None:
    assert Grid.make([0.0, length], max_step=max_step).N == count


def test_one_step() -> None:
    grid = Grid.make([1.0, 3.0])
    assert (grid.N, grid.M) == (1, 2)
    assert grid.times.tolist() == [1.0, 3.0]
    assert grid.steps.tolist() == [2.0]
    assert grid.observed.tolist() == [0, 1]


def test_interior_points_are_interleaved() -> None:
    grid = Grid.make([0.0, 1.0, 3.0], steps=[1, 2], interior=(0.5,))
    assert grid.times.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert grid.nodes.tolist() == [0, 2, 4, 6]
    assert grid.observed.tolist() == [0, 2, 6]


def test_start_and_stop_extend_the_grid_and_count_as_intervals() -> None:
    grid = Grid.make([1.0, 2.0], steps=[2, 1, 4], start=0.0, stop=4.0)
    assert grid.times.tolist() == [0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 3.5, 4.0]
    assert grid.observed.tolist() == [2, 3]
    assert Grid.make([1.0, 2.0], start=1.0, stop=2.0).times.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("start", "stop", "observed", "N"),
    [(0.0, None, 2, 2), (None, 1.5, 0, 2), (0.0, 1.5, 2, 4)],
)
def test_one_observation(start: float, stop: float, observed: int, N: int) -> None:
    grid = Grid.make([1.0], steps=2, start=start, stop=stop)
    assert grid.N == N
    assert grid.observed.tolist() == [observed]
    assert grid.times[observed] == 1.0


@settings(max_examples=50, deadline=None)
@given(origins, st.lists(st.floats(1e-3, 10.0), min_size=1, max_size=8))
def test_midpoint_data_lie_on_midpoints(origin: float, halves: list[float]) -> None:
    times = irregular(origin, [half for half in halves for _ in range(2)])
    grid = Grid.make(times, interior=(0.5,), midpoint_data=True)
    check(grid, times, (0.5,))
    assert grid.N == len(halves)
    np.testing.assert_array_equal(grid.times, times)
    np.testing.assert_array_equal(grid.observed, np.arange(times.size))


def test_arrays_are_read_only_and_the_users_are_left_alone() -> None:
    times = np.array([0.0, 1.0, 2.0])
    Grid(times, np.arange(3), np.ones(2), np.arange(3))
    for grid in (Grid.make(times), Grid.make(times, interior=(0.5,), midpoint_data=True)):
        for array in (grid.times, grid.nodes, grid.steps, grid.observed):
            assert not array.flags.writeable
    times[0] = -1.0


@pytest.mark.parametrize(
    ("times", "options", "kind", "message"),
    [
        (
            [1.0],
            {},
            DataError,
            "a grid needs two times, got one observation at 1.0. "
            "Let the model's time begin before it or end after it: action.bind(data, stop=...), or "
            "start=.",
        ),
        (
            [0, 1, 2],
            {"steps": 0},
            OptionError,
            "steps must be a whole number of at least 1, got 0.",
        ),
        (
            [0, 1, 2],
            {"steps": 1.5},
            OptionError,
            "steps must be a whole number of at least 1, got 1.5.",
        ),
        (
            [0, 1, 2],
            {"steps": [1, True]},
            OptionError,
            "steps must be a whole number of at least 1, got True.",
        ),
        (
            [0, 1, 2],
            {"steps": [1, 2, 3]},
            OptionError,
            "steps: expected one number, or 2 numbers, one for each interval (start and stop "
            "included), got 3.",
        ),
        (
            [0, 1],
            {"steps": 2, "max_step": 0.1},
            OptionError,
            "steps=2 and max_step=0.1 contradict each other. Pass one of them.",
        ),
        (
            [0, 1],
            {"max_step": 0.0},
            OptionError,
            "max_step must be a positive number, got 0.0; it is a length of time.",
        ),
        (
            [0, 1000],
            {"max_step": 1e-9},
            OptionError,
            "max_step=1e-09 makes 1e+12 steps from 0.0 to 1000.0. "
            "Is it in the units of the observation times?",
        ),
        (
            [0, 1],
            {"steps": 10**9},
            OptionError,
            "steps: 1000000000 steps in all are more than memory holds. Use fewer.",
        ),
        (
            [0, 1],
            {"interior": (0.5, 1.0)},
            OptionError,
            "interior: expected increasing abscissae between 0 and 1, both excluded, "
            "got (0.5, 1.0).",
        ),
        (
            [0, 1],
            {"start": 0.5},
            DataError,
            "start: expected a time at or before the first observation (0.0), got 0.5. "
            "To use fewer observations, cut them before making Observations.",
        ),
        (
            [0, 1],
            {"stop": 0.5},
            DataError,
            "stop: expected a time at or after the last observation (1.0), got 0.5. "
            "To use fewer observations, cut them before making Observations.",
        ),
        (
            [0, 1],
            {"stop": np.inf},
            DataError,
            "stop must be a finite number, got inf; give it in the units of the times.",
        ),
        (
            [0, 1],
            {"start": "now"},
            DataError,
            "start must be a finite number, got 'now'; give it in the units of the times.",
        ),
        (
            [1e16, 1e16 + 2],
            {"steps": 8},
            DataError,
            "the grid has steps too short for double precision near time 1e+16. "
            "Use fewer steps, or measure time from a nearer origin.",
        ),
        (
            [0, 1, 3],
            {"interior": (0.5,), "midpoint_data": True},
            DataError,
            "midpoint_data=True needs data intervals of equal length in each pair, but times "
            "0.0, 1.0, 3.0 are not evenly spaced. Leave midpoint_data out.",
        ),
        (
            [0, 1],
            {"interior": (0.5,), "midpoint_data": True},
            DataError,
            "midpoint_data=True needs an odd number of observation times, at least three, got 2. "
            "Drop one, or leave midpoint_data out.",
        ),
        (
            [0, 1, 2],
            {"midpoint_data": True},
            OptionError,
            "midpoint_data=True needs a scheme with one interior point at 0.5, such as "
            "'hermite-simpson'; this one has ().",
        ),
        (
            [0, 1, 2],
            {"interior": (0.5,), "midpoint_data": True, "steps": 2},
            OptionError,
            "midpoint_data=True takes steps=1 and no max_step: each step spans two data "
            "intervals. For more steps leave midpoint_data out.",
        ),
        (
            [0, 1, 2],
            {"interior": (0.5,), "midpoint_data": True, "stop": 3},
            OptionError,
            "midpoint_data=True does not go with start= or stop=. Leave them out.",
        ),
    ],
)
def test_bad_grids(
    times: list[float], options: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        Grid.make(times, **options)
    assert str(caught.value) == message
