"""The plot of estimated parameters against beta."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse import best_path, free_parameters, reached
from symda.errors import OptionError
from symda.show.figures import (
    BLUE,
    GREY,
    MAX_PANELS,
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


def plot_parameters(
    dataset: xr.Dataset,
    path: str | Path | None = None,
    parameters: Sequence[str] | None = None,
    truth: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """Plot each free parameter against beta: every path, the best one highlighted.

    Parameters
    ----------
    path : str or Path, optional
        Where to save the figure; the suffix chooses the format.
    parameters : sequence of str, optional
        Which free parameters to show; by default the first 12.
    truth : mapping of str to float, optional
        True values, drawn as dashed lines.
    bounds : mapping of str to (float, float), optional
        Bounds, drawn as dotted lines where finite; a run does not record them.

    Raises
    ------
    OptionError
        If `path` cannot be written, the run has no free parameter, or a name is not one of them.
    SolveError
        If no path reached any rung.
    """
    check_file(path)
    known = free_parameters(dataset)
    if not known:
        raise OptionError(
            "this run has no free parameter, so there is nothing to plot; "
            "a parameter is free when it is declared without value="
        )
    names = choose(parameters, known, "parameters")
    best = best_path(dataset)
    figure, axes = panel_grid(len(names), r"$\beta$")
    for ax, name in zip(axes, names, strict=True):
        _draw_panel(dataset, ax, name, best)
        for bound in (bounds or {}).get(name, ()):
            if np.isfinite(bound):
                ax.axhline(bound, color="black", lw=0.9, ls=":", label="bound")
        if truth is not None and name in truth:
            ax.axhline(truth[name], color=VERMILLION, lw=1.2, ls="--", label="truth")
    left_out = shown(names, known, "parameters") if parameters is None else ""
    title = f"{plain(str(dataset.attrs['model']))}: estimated parameters{left_out}"
    label_grid(figure, axes, title)
    save(figure, path)
    return figure


def parameter_panels(dataset: xr.Dataset) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure of the first 12 free parameters, each a panel of `plot_parameters`."""
    best = best_path(dataset)
    for name in free_parameters(dataset)[:MAX_PANELS]:
        figure, ax = panel(r"$\beta$")
        _draw_panel(dataset, ax, name, best)
        yield name, figure


def _draw_panel(dataset: xr.Dataset, ax: Axes, name: str, best: int) -> None:
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, ScalarFormatter

    beta = dataset["beta"].values
    values = np.where(reached(dataset), dataset["parameters"].sel(parameter=name).values, np.nan)
    # A line through a single point is invisible.
    marker = "." if beta.size == 1 else "None"
    alpha = float(np.clip(10 / len(values), 0.2, 0.8))
    others = np.delete(values, best, axis=0)
    for k, line in enumerate(others):
        label = f"other paths ({len(others)})" if k == 0 else "_path"
        ax.plot(beta, line, color=GREY, lw=0.7, alpha=alpha, marker=marker, label=label)
    ax.plot(beta, values[best], color=BLUE, lw=1.8, marker=marker, label=f"best path ({best})")
    ax.xaxis.set_major_locator(
        FixedLocator(beta.tolist()) if beta.size == 1 else MaxNLocator(integer=True)
    )
    if "parameter_scale" in dataset.variables:
        scale = str(dataset["parameter_scale"].sel(parameter=name).values)
        ax.set_yscale("log" if scale == "log" else "linear")
        low, high = ax.get_ylim()
        if scale == "log" and high < 10.0 * low:
            # there is hardly a power of ten to write at the axis
            ax.yaxis.set_major_locator(MaxNLocator(5))
            ax.yaxis.set_major_formatter(ScalarFormatter())
            ax.yaxis.set_minor_locator(NullLocator())
    ax.set_title(plain(name), fontsize=9, loc="left", pad=3)
