"""`Run`: the result of an annealing run: levels, estimates, plots, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from symda.analyse import (
    ChiSquared,
    TimeToLowest,
    Verdict,
    best_path,
    chi_squared,
    hits,
    last_rung,
    levels_table,
    path_counts,
    time_to_lowest,
    verdict,
    wilson,
)
from symda.anneal.levels import GAP, HIT
from symda.api.best import Best, path_at
from symda.api.mathematics import Mathematics
from symda.api.questions import Questions
from symda.api.trajectory import Trajectory

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

    from symda.observe import Problem


#: The truth behind a run, as far as it is known; of several experiments by their names.
Known: TypeAlias = "Trajectory | xr.DataArray | Mapping[str, Trajectory | xr.DataArray]"


class Run(Questions):
    """The result of an annealing run.

    Everything is in `dataset`, whose variables and dimensions docs/architecture.md lists; a saved
    run is that dataset in NetCDF, and plots work on a loaded one.

    Parameters
    ----------
    dataset : xarray.Dataset
        The dataset of a run.
    action : Action, optional
        What was annealed, for reports and error bars; it is not saved.
    problem : Problem, optional
        The data on their grid, for error bars; it is not saved.
    """

    def __init__(
        self,
        dataset: xr.Dataset,
        action: Mathematics | None = None,
        problem: Problem | None = None,
    ) -> None:
        self.dataset = dataset
        self.action = action
        self.problem = problem

    def __repr__(self) -> str:
        a = self.dataset.attrs
        sizes = self.dataset.sizes
        counts = f"{sizes['path']} paths, {sizes['beta']} rungs"
        return f"<Run of {a['model']!r}: {counts}, solver {a['solver']!r}>"

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        from symda.show.report import run_html

        return run_html(self.dataset)

    def _repr_latex_(self) -> str:
        from symda.api.report import run_latex

        reached = path_counts(self.dataset).reached
        return run_latex(self.dataset, self.best.parameters if reached else None)

    @property
    def levels(self) -> xr.DataArray:
        """Action of each path at each rung, dims (path, beta); nan where it was not reached."""
        return self.dataset["action"]

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the run early."""
        return bool(self.dataset.attrs["interrupted"])

    @property
    def best(self) -> Best:
        """The path of lowest action.

        Raises
        ------
        SolveError
            If no path reached a rung.
        """
        return self.path(best_path(self.dataset))

    def path(self, index: int) -> Best:
        """Return one path by its index, at the last rung it reached."""
        return path_at(self.dataset, index)

    def table(self, beta: int | None = None, *, tolerance: float = GAP) -> pd.DataFrame:
        """Distinct action levels with their multiplicities, lowest first.

        Parameters
        ----------
        beta : int, optional
            Rung; the last one reached when left out.
        tolerance : float
            Neighbouring actions this close are one level.

        Returns
        -------
        pandas.DataFrame
            See `symda.analyse.levels_table`; its ``attrs["verdict"]`` is the verdict in a sentence.
        """
        table = levels_table(self.dataset, beta, tolerance)
        table.attrs["verdict"] = str(self.verdict())
        return table

    def verdict(self) -> Verdict:
        """Judge the run: whether the lowest path is a solution that the data agree with.

        Print it, or read its `findings`, one for each question: whether the path is a minimum, and
        a solution; what the scheme's error and the model error that is left do to the estimate;
        chi-squared; how long the equations alone follow it; bounds; what is not determined; how
        often the level was met.

        Raises
        ------
        SolveError
            If no path reached a rung.
        """
        return verdict(self.dataset)

    def chi_squared(self) -> ChiSquared:
        """Compare the lowest level with what the declared noise predicts; a part of `verdict`."""
        return chi_squared(self.dataset)

    def hit_rate(
        self, within: float = HIT, level: float | None = None
    ) -> tuple[float, tuple[float, float]]:
        """Share of attempts that end on the lowest level, with its 95 % Wilson interval.

        An attempt is a path; with ``strategy="population"`` it is all candidates together.
        Without one (nothing ran to an end) the rate is nan, with the interval (0, 1). After
        `stop_after` it is biased upwards, since such a run ends on a hit.

        Parameters
        ----------
        within : float
            How far above the level still is a hit.
        level : float, optional
            The lowest level, where it is known from elsewhere; the lowest found when left out.
        """
        found, attempts = hits(self.dataset, within, level)
        return (found / attempts if attempts else np.nan), wilson(found, attempts)

    def time_to_lowest(self, level: float | None = None, within: float = HIT) -> TimeToLowest:
        """Time after which the lowest level is found with 99 % probability.

        The wall time of an attempt, on the workers of this run and without builds, times
        max(1, ln 0.01 / ln(1 - hit rate)), with the interval that follows from the hit rate's.

        Parameters
        ----------
        level : float, optional
            The lowest level, where it is known from elsewhere; the lowest found when left out.
        within : float
            How far above the level still is a hit.

        Raises
        ------
        OptionError
            If no attempt ran to an end.
        """
        return time_to_lowest(self.dataset, level, within)

    def summary(self, *, error_bars: bool = False) -> str:
        """Say what was found, in a few lines.

        Parameters
        ----------
        error_bars : bool
            Whether to add what `posterior` tells: weights of levels, what data leave open, how much
            each channel told. A run from a file does not know what it was made of, and adds none.
        """
        from symda.show import summary

        lines = [summary(self.dataset)]
        if error_bars and path_counts(self.dataset).reached:
            lines += self._knowledge()
        return "\n".join(lines)

    def plot_levels(self, path: str | Path | None = None) -> Figure:
        """Plot action levels against Rf, with the band expected of the measurement term."""
        from symda.show import plot_levels

        return plot_levels(self.dataset, path)

    def plot_states(
        self,
        path: str | Path | None = None,
        *,
        states: Sequence[str] | None = None,
        which: int | str = "best",
        truth: Known | None = None,
    ) -> Figure:
        """Plot states against data, unmeasured ones marked; of several experiments, each."""
        from symda.show import plot_states

        return plot_states(self.dataset, path, states, which, _states_of(truth))

    def plot_parameters(
        self, path: str | Path | None = None, *, truth: Mapping[str, float] | None = None
    ) -> Figure:
        """Plot free parameters against beta, every path."""
        from symda.show import plot_parameters

        return plot_parameters(self.dataset, path, truth=truth)

    def report(
        self,
        path: str | Path,
        *,
        action: Mathematics | None = None,
        truth: Known | None = None,
        error_bars: bool = False,
    ) -> Path:
        """Write all there is to read of this run.

        Verdict, levels, estimates, states, the commands that repeat it, settings, versions and
        times; with the action also its equations, structure and emitted source.

        Parameters
        ----------
        path : str or Path
            ``.html``: one page that needs nothing else; ``.md`` or ``.tex`` with figures in a
            folder beside it.
        action : Action, optional
            What was annealed; a run that `anneal` returned knows, one from a file does not.
        truth : Trajectory or xarray.DataArray, optional
            Drawn behind the estimated states; of several experiments a mapping of names to such.
        error_bars : bool
            Whether to add what `posterior` tells, as `summary` has it.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        OptionError
            If the suffix is another, the file cannot be written, or the action is another one.
        DataError
            If `truth` has other dimensions than (time, state).
        """
        from symda.api.report import report_run

        asked = error_bars and path_counts(self.dataset).reached
        known = self._knowledge() if asked else []
        given = self.action if action is None else action
        return report_run(self.dataset, path, given, _states_of(truth), known)

    def save(self, path: str | Path) -> Path:
        """Write the run to a NetCDF file; it appears whole or not at all.

        A checksum of all it holds is written with it, which `load` compares.

        Raises
        ------
        DataError
            If there is no such folder, or the file cannot be written.
        """
        from symda.anneal.file import save

        return save(self.dataset, path)

    def export(self, path: str | Path) -> tuple[Path, ...]:
        """Write the run for other programs.

        Parameters
        ----------
        path : str or Path
            ``NAME.nc``: as `save` does. ``NAME.csv``: states of the lowest path and data by time,
            and beside it ``NAME-paths.csv``, a row for each path with its level, parameters and
            status.

        Returns
        -------
        tuple of Path
            The files.

        Raises
        ------
        OptionError
            If the suffix is another.
        DataError
            If a file cannot be written.
        """
        from symda.api.exporting import export

        return export(self.dataset, best_path(self.dataset), path)

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Read a saved run; see `load`."""
        from symda.anneal.file import load

        return cls(load(path))

    @property
    def last_beta(self) -> int:
        """The last rung that any path reached."""
        return last_rung(self.dataset)


def _states_of(truth: Known | None) -> xr.DataArray | Mapping[str, xr.DataArray] | None:
    if isinstance(truth, Mapping):
        return {
            name: one.states if isinstance(one, Trajectory) else one for name, one in truth.items()
        }
    return truth.states if isinstance(truth, Trajectory) else truth


def load(path: str | Path) -> Run:
    """Read a run written by `Run.save`, or open the folder of one that is kept by ``store=``.

    The file may come from anybody: it is checked before any of its data is read, and nothing
    of it is ever run. Of a folder, arrays are read when they are asked for; one that is not whole
    yet, or was killed, has the paths so far and counts as interrupted.

    Raises
    ------
    DataError
        If the file is missing, is not a saved run, was changed or damaged after it was written, or
        needs anything outside itself (links, external storage, filters of other libraries).
    """
    return Run.load(path)
