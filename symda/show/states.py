"""The plot of states in time: estimate, data with error bars, unmeasured states marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symda.analyse import best_path
from symda.anneal.apart import apart
from symda.errors import DataError, OptionError
from symda.show.figures import (
    BLUE,
    GREY,
    MAX_PANELS,
    PALE,
    VERMILLION,
    check_file,
    choose,
    label_grid,
    panel,
    panel_grid,
    plain,
    save,
    shown,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: The true states; of several experiments by their names.
Truth: TypeAlias = "xr.DataArray | Mapping[str, xr.DataArray]"


@dataclass(frozen=True)
class _Panel:
    """A state with the channels that measure it, or (`state` None) one measured expression."""

    name: str
    state: int | None
    channels: NDArray[np.intp]
    #: Which of several experiments it is of, and its part of the run's dataset.
    experiment: str
    dataset: xr.Dataset

    @property
    def title(self) -> str:
        """Its name, and the experiment's where there are several."""
        return f"{self.name}, {self.experiment}" if self.experiment else self.name

    def line_of(self, truth: Truth | None) -> xr.DataArray | None:
        """Return what a truth says of it, if anything."""
        own = truth.get(self.experiment) if isinstance(truth, Mapping) else truth
        if own is None or self.name not in own["state"].values:
            return None
        return own.sel(state=self.name)


def plot_states(
    dataset: xr.Dataset,
    path: str | Path | None = None,
    states: Sequence[str] | None = None,
    which: int | str = "best",
    truth: Truth | None = None,
) -> Figure:
    """Plot one path's states against the data, one panel a state of each experiment.

    Measured states are blue with their data and error bars of one standard deviation; states that
    carry no data are red, and their titles say so. A measured expression has a panel of its
    own after the states.

    Parameters
    ----------
    path : str or Path, optional
        Where to save the figure; the suffix chooses the format.
    states : sequence of str, optional
        Names of the states (and measured expressions) to show; by default the first 12.
    which : int or "best"
        Index of the path.
    truth : xarray.DataArray, dims (time, state), optional
        Drawn as a broad pale line behind the estimate where it has the state; of several
        experiments a mapping of their names to such.

    Raises
    ------
    OptionError
        If `path` cannot be written, or `states` or `which` name nothing in the run.
    DataError
        If `truth` has other dimensions, or the path `which` reached no rung.
    SolveError
        If `which` is "best" and no path reached any rung.
    """
    check_file(path)
    index = _chosen_path(dataset, which)
    panels = list(_panels(dataset))
    known = list(dict.fromkeys(each.name for each in panels))
    names = known if states is None else choose(states, known, "states")
    _check_truth(dataset, truth)
    chosen = [each for name in names for each in panels if each.name == name]
    if states is None:
        chosen = panels[:MAX_PANELS]
    # experiments may lie at quite other times
    together = len({each.experiment for each in chosen}) == 1
    whose = [each.experiment for each in chosen]
    # an experiment's panels stand together unless states were chosen
    group = whose.count(whose[0]) if states is None and not together else 1
    figure, axes = panel_grid(len(chosen), "time", together=together, each=group)
    for ax, each in zip(axes, chosen, strict=True):
        _draw_panel(ax, each, index)
        line = each.line_of(truth)
        if line is not None:
            ax.plot(line["time"], line, color=PALE, lw=3.5, label="truth", zorder=1.2)
    drawn, every = ([each.title for each in some] for some in (chosen, panels))
    left_out = shown(drawn, every, "states") if states is None else ""
    label_grid(figure, axes, _title(dataset, index) + left_out)
    save(figure, path)
    return figure


def state_panels(
    dataset: xr.Dataset, truth: Truth | None = None
) -> Iterator[tuple[str, Figure, str]]:
    """Yield name, figure and description of the best path's first 12 states.

    Each is a panel of `plot_states`; measured expressions follow after the states, the next
    experiment after those.

    Raises
    ------
    DataError
        If `truth` has other dimensions.
    """
    _check_truth(dataset, truth)
    index = best_path(dataset)
    for each in list(_panels(dataset))[:MAX_PANELS]:
        figure, ax = panel("time")
        _draw_panel(ax, each, index)
        line = each.line_of(truth)
        if line is not None:
            ax.plot(line["time"], line, color=PALE, lw=3.5, zorder=1.2)
        measured = np.isfinite(each.dataset["observed"].values[:, each.channels]).any()
        with_data = "with its data" if measured else "without data"
        yield each.title, figure, f"Estimate of {each.title} against time, {with_data}."


def panel_count(dataset: xr.Dataset) -> int:
    """Return how many panels there are to show."""
    return sum(1 for _ in _panels(dataset))


def _check_truth(dataset: xr.Dataset, truth: Truth | None) -> None:
    if truth is None:
        return
    names = [name for name, _ in apart(dataset)]
    several = len(names) > 1
    if isinstance(truth, Mapping) != several or (several and not set(truth) <= set(names)):
        got = ", ".join(map(str, truth)) if isinstance(truth, Mapping) else "one"
        expected = f"a mapping of {', '.join(names)} to one each" if several else "one"
        raise DataError(f"truth: expected {expected}, got {got}.")
    for one in truth.values() if isinstance(truth, Mapping) else [truth]:
        dims = getattr(one, "dims", None)
        if dims is None or set(dims) != {"time", "state"}:
            raise DataError(
                "truth: expected an xarray.DataArray with dims (time, state), "
                f"got {dims or type(one).__name__}"
            )


def _draw_panel(ax: Axes, shown_panel: _Panel, index: int) -> None:
    channels, dataset = shown_panel.channels, shown_panel.dataset
    if shown_panel.state is None:
        line = dataset["fit"][index].values[:, channels[0]]
    else:
        line = dataset["states"][index].values[:, shown_panel.state]
    time = dataset["time"].values
    observed = dataset["observed"].values[:, channels]
    measured = bool(np.isfinite(observed).any())
    kind = " (expression)" if shown_panel.state is None else ""
    ax.set_title(
        f"{plain(shown_panel.title)}{kind}{'' if measured else ' (unmeasured)'}",
        fontsize=9,
        loc="left",
        pad=3,
        color="black" if measured else VERMILLION,
    )
    for column, channel in enumerate(channels):
        there = np.isfinite(observed[:, column])
        error = np.sqrt(np.nan_to_num(dataset["variance"].values[there, channel]))
        if "repeated" in dataset:
            again = dataset["repeated"].values[:, channel]
            when = time[dataset["repeat_point"].values]
            ax.plot(when, again, "o", ms=2.5, mew=0, color=GREY, alpha=0.75)
        ax.errorbar(
            time[there],
            observed[there, column],
            yerr=error,
            fmt="o",
            ms=2.5,
            mew=0,
            lw=0.7,
            color=GREY,
            alpha=0.75,
            label="data, 1 sd",
            zorder=1.5,
        )
    colour = BLUE if measured else VERMILLION
    if shown_panel.state is not None and "state_low" in dataset and index == best_path(dataset):
        low, high = (
            dataset[name].values[:, shown_panel.state] for name in ("state_low", "state_high")
        )
        if np.isfinite(low).any() and np.isfinite(high).any():
            ax.fill_between(time, low, high, color=colour, alpha=0.2, lw=0.0, label="95 %")
    label = "estimate" if measured else "estimate, unmeasured"
    ax.plot(time, line, color=colour, lw=1.5, label=label)


def _panels(dataset: xr.Dataset) -> Iterator[_Panel]:
    names = [str(name) for name in dataset["state"].values]
    measured_state = dataset["measured_state"].values
    several = "experiment" in dataset.coords
    for experiment, one in apart(dataset):
        whose = experiment if several else ""
        for state, name in enumerate(names):
            yield _Panel(name, state, np.flatnonzero(measured_state == state), whose, one)
        for channel in np.flatnonzero(measured_state < 0):
            name = str(dataset["channel"].values[channel])
            # An expression may be called like a state, whose panel has the name already.
            called = f"h: {name}" if name in names else name
            yield _Panel(called, None, np.array([channel]), whose, one)


def _chosen_path(dataset: xr.Dataset, which: int | str) -> int:
    if which == "best":
        return best_path(dataset)
    count = dataset.sizes["path"]
    if isinstance(which, str) or not 0 <= which < count:
        raise OptionError(
            f"which: expected 'best' or the index of a path, 0 .. {count - 1}, got {which!r}"
        )
    if int(dataset["last_beta"].values[which]) < 0:
        raise DataError(
            f"which: path {which} reached no rung, so there is nothing to plot; take 'best'"
        )
    return which


def _title(dataset: xr.Dataset, index: int) -> str:
    beta = int(dataset["last_beta"].values[index])
    action = float(dataset["action"].sel(beta=beta).values[index])
    return (
        f"{plain(str(dataset.attrs['model']))}: path {index}, action {action:.6g} at beta = {beta}"
    )
