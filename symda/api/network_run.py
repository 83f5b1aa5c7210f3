"""`NetworkRun`: what annealing a network found, how far to trust it, and what it predicts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from symda.analyse.network_levels import SAME, beside, climbed, ends, levels_of
from symda.analyse.network_verdict import network_verdict
from symda.analyse.networks import (
    LARGEST,
    Error,
    WeightPosterior,
    carried,
    directions,
    predict,
    prediction_error,
    weight_posterior,
)
from symda.analyse.verdict import Verdict
from symda.anneal.file import save
from symda.api.network_export import NumpyNetwork, layers_of, to_numpy, to_onnx, to_torch
from symda.declare.network import Network
from symda.errors import DataError, OptionError
from symda.observe.pairs import Pairs
from symda.solve.network.problem import NetworkProblem
from symda.solve.network.training import Training
from symda.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import nn


@dataclass(frozen=True, eq=False)
class NetworkPath:
    """One path at one rung: weights, and what its action consists of.

    Attributes
    ----------
    vector : (W,)
        All weights; `weights` has them as matrices and vectors of biases.
    action, measurement_term, model_term, prior_term : float
        The level and its parts.
    """

    network: Network
    problem: NetworkProblem
    vector: FloatArray
    action: float
    measurement_term: float
    model_term: float
    prior_term: float

    @property
    def weights(self) -> list[FloatArray]:
        """A matrix (rows, columns) or biases (rows,) for each block of the network."""
        return self.network.split(self.vector)

    def predict(self, inputs: ArrayLike) -> FloatArray:
        """Return what these weights give for new inputs, the equations exact.

        Parameters
        ----------
        inputs : (M', L), or (M', S, L) of sequences
            As in the pairs that were fitted.

        Returns
        -------
        ndarray (M', L') or (M', S, L')
            The outputs that the pairs have.

        Raises
        ------
        DataError
            If the inputs have another shape, or numbers that are not finite.
        """
        return _predict(self.problem, self.vector, inputs)

    def to_numpy(self) -> NumpyNetwork:
        """Return what predicts with nothing but NumPy; ``.save("net.py")`` writes it as a module.

        Raises
        ------
        OptionError
            If an activation has a function that NumPy does not have.
        """
        p = self.problem
        return to_numpy(self.network, p.pairs, p.x0, self.vector)

    def to_torch(self) -> nn.Sequential:
        """Return a PyTorch module, inputs (M, L) to outputs (M, L'), of 64-bit numbers.

        Inputs that were not measured are at their prior's mean.

        Raises
        ------
        OptionError
            If the network is recurrent, an activation has no name, or PyTorch is not installed.
        """
        p = self.problem
        return to_torch(layers_of(self.network, p.pairs, p.x0, self.vector, "to_torch"))

    def to_onnx(self, path: str | Path) -> None:
        """Write an ONNX file: input ``x`` (M, L), output ``y`` (M, L'), 32-bit numbers.

        Raises
        ------
        OptionError
            As `to_torch`, of the package onnx.
        """
        p = self.problem
        layers = layers_of(self.network, p.pairs, p.x0, self.vector, "to_onnx")
        to_onnx(layers, path, self.network.name)


def _predict(problem: NetworkProblem, weights: FloatArray, inputs: ArrayLike) -> FloatArray:
    x = np.asarray(inputs, dtype=np.float64)
    pairs = problem.pairs
    if x.ndim != pairs.inputs.ndim or x.shape[1:] != pairs.inputs.shape[1:] or not len(x):
        expected = ", ".join(map(str, pairs.inputs.shape[1:]))
        raise DataError(f"predict: inputs must have the shape (M, {expected}), got {x.shape}.")
    if not np.isfinite(x).all():
        raise DataError("predict: some inputs are not finite.")
    found = predict(problem.passes, weights, x.reshape(len(x), -1), problem.x0)
    return found.reshape(len(x), *pairs.outputs.shape[1:])


class NetworkRun:
    """What annealing a network found.

    Attributes
    ----------
    dataset : xarray.Dataset
        Levels (path, beta), their parts, how each rung ended, weights (path, beta, weight).
    """

    def __init__(self, dataset: xr.Dataset, network: Network, problem: NetworkProblem) -> None:
        self.dataset, self.network, self.problem = dataset, network, problem

    @property
    def levels(self) -> xr.DataArray:
        """The action levels, dims (path, beta), with Rf as a coordinate."""
        return self.dataset["action"].assign_coords(rf=self.dataset["rf"])

    @property
    def reached(self) -> int:
        """Paths that climbed the whole ladder."""
        return len(self.order)

    @property
    def order(self) -> list[int]:
        """Paths that climbed the whole ladder, the lowest first."""
        return climbed(self.dataset)

    def __getitem__(self, path: int) -> NetworkPath:
        """Return a path at the last rung."""
        return self.at(path)

    def at(self, path: int, beta: int = -1) -> NetworkPath:
        """Return a path at a rung.

        Raises
        ------
        OptionError
            If there is no such path or rung, or the path did not get there.
        """
        try:
            one = self.dataset.isel(path=path, beta=beta)
        except IndexError as error:
            raise OptionError(f"at: the run has no path {path} at rung {beta}.") from error
        parts = [float(one[f"{k}_term"]) for k in ("measurement", "model", "prior")]
        if not np.isfinite(float(one["action"])):
            raise OptionError(f"at: path {path} did not reach rung {beta}.")
        return NetworkPath(
            self.network, self.problem, one["weights"].values, float(one["action"]), *parts
        )

    @property
    def best(self) -> NetworkPath:
        """The path of the lowest level at the last rung."""
        if not self.order:
            raise OptionError("no path reached the last rung: see run.summary().")
        return self.at(self.order[0])

    @property
    def second(self) -> NetworkPath | None:
        """The path of the second lowest distinct level, None where there is one level only."""
        table = self.table()
        return None if len(table) < 2 else self.at(int(table["path"].iloc[1]))

    def table(self) -> pd.DataFrame:
        """Distinct levels at the last rung: level, its parts, how many paths, the lowest of them.

        Levels that differ by less than a thousandth are one; `converged` is how many of its paths
        are in a minimum as far as their solver can tell. ``attrs["verdict"]`` is the verdict in a
        sentence.
        """
        table = levels_of(self.dataset, self.problem)
        table.attrs["verdict"] = str(self.verdict())
        return table

    def prediction_errors(self, pairs: Pairs, seed: int = 0) -> pd.DataFrame:
        """Return mean square errors on new pairs, eq. 15 of Abarbanel et al. 2017.

        Rows: the lowest and second lowest level, the constant (the mean of the outputs that were
        fitted), and back-propagation with the same prior for the same time. Columns: the error, and
        its standard error by resampling pairs.

        Raises
        ------
        DataError
            If the pairs are not of this network.
        """
        pairs.check(self.network)
        if (
            pairs.inputs.shape[1:] != self.problem.pairs.inputs.shape[1:]
            or pairs.outputs.shape[1:] != self.problem.pairs.outputs.shape[1:]
        ):
            raise DataError(
                f"prediction_errors: pairs have {pairs.inputs.shape[1:]} inputs and "
                f"{pairs.outputs.shape[1:]} outputs, those fitted "
                f"{self.problem.pairs.inputs.shape[1:]} and {self.problem.pairs.outputs.shape[1:]}."
            )
        rows: dict[str, Error] = {}
        for name, path in (("lowest level", self.best), ("second level", self.second)):
            if path is not None:
                rows[name] = self._error(path.vector, pairs, seed)
        y = self.problem.pairs.outputs
        mean = np.broadcast_to(y.mean(axis=0), pairs.outputs.shape).reshape(len(pairs), -1)
        rows["constant"] = prediction_error(mean, pairs, seed)
        for name in self.trained:
            weights = self.dataset["trained"].sel(training=name).values
            rows[f"back-propagation, {name}"] = self._error(weights, pairs, seed)
        table = {name: {"error": e.mean, "standard error": e.error} for name, e in rows.items()}
        return pd.DataFrame.from_dict(table, orient="index")

    def _error(self, weights: FloatArray, pairs: Pairs, seed: int) -> Error:
        predicted = _predict(self.problem, weights, pairs.inputs)
        return prediction_error(predicted.reshape(len(pairs), -1), pairs, seed)

    def add_training(self, trained: Mapping[str, Training]) -> None:
        """Keep what back-propagation came to beside the run."""
        d = self.dataset
        d.attrs["baseline"] = json.dumps({name: one.level for name, one in trained.items()})
        if trained:
            d["trained"] = (
                ("training", "weight"),
                np.array([one.weights for one in trained.values()]),
            )
            d.coords["training"] = list(trained)

    def add_directions(self) -> None:
        """Keep what the data determine at the lowest level, unless that takes too long."""
        vector, attrs = self.best.vector, self.dataset.attrs
        shares, noise = directions(self.problem, vector), carried(self.problem, vector)
        if shares is not None:
            attrs["determined"] = float(shares.sum())
            attrs["determined_squares"] = float((shares**2).sum())
            # 1 + s^2 is 1/(1 - h)
            attrs["determined_volume"] = -0.5 * float(np.log1p(-shares).sum())
        if noise is not None:
            attrs["carried_cost"], attrs["carried_volume"] = noise.cost, noise.volume

    @property
    def trained(self) -> dict[str, float]:
        """Levels of back-propagation, by method; empty where it was not run."""
        found: dict[str, float] = json.loads(self.dataset.attrs.get("baseline", "{}"))
        return found

    @property
    def determined(self) -> float:
        """Directions among the weights that data rather than priors determine; nan: too many."""
        return float(self.dataset.attrs.get("determined", np.nan))

    def posterior(self) -> WeightPosterior:
        """Return the Gaussian approximation of the weights at the lowest level.

        Laplace's, with Gauss and Newton's Hessian, the equations exact.

        Raises
        ------
        OptionError
            If a weight has no prior, or there are more than `LARGEST`.
        """
        if self.network.weights > LARGEST:
            raise OptionError(
                f"posterior: {self.network.weights} weights need a matrix of that size; it is "
                f"made for at most {LARGEST}."
            )
        if not (self.problem.wd > 0.0).all():
            raise OptionError(
                "posterior: some weights have no prior, and data do not determine all of them. "
                "Declare priors, sd.Model.layered(..., prior=sd.Normal(0.0, 0.5))."
            )
        return weight_posterior(self.problem, self.best.vector)

    def verdict(self) -> Verdict:
        """Judge the run by its lowest path, by what it stands beside, and by how often it was met.

        Print it, or read its `findings`, one for each question: whether the path converged; whether
        back-propagation ended lower; whether more was learned than a constant; what errors of the
        equations are left; whether data cost what their noise lets expect; what the data determine;
        how often the level was met.
        """
        return network_verdict(self.dataset, self.problem)

    def summary(self, new: Pairs | None = None) -> str:
        """Return in words the verdict, what was found, and what it stands beside.

        Parameters
        ----------
        new : Pairs, optional
            Pairs that were not fitted: prediction errors on them are given too.
        """
        d, p = self.dataset, self.problem
        taken = int(d.attrs.get("taken_up", 0))
        first, *rest = self.verdict().lines()
        lines = [
            f"verdict: {first}",
            *rest,
            f"{d.attrs['network']}, {len(p.pairs)} pairs: {p.pairs.inputs.shape[-1]} inputs, "
            f"{p.pairs.outputs.shape[-1]} outputs",
            f"{d.sizes['path'] - taken} starts, {d.sizes['beta']} rungs, Rf from "
            f"{float(d['rf'][0]):.3g} to {float(d['rf'][-1]):.3g}, solver {d.attrs['solver']} "
            f"({d.attrs['kind']}), {d.attrs['seconds']:.2f} s",
        ]
        if not self.reached:
            return "\n".join([*lines, *ends(d)])
        table, best = self.table(), self.best
        low = table.iloc[0]
        lines.append(
            f"lowest level {best.action:.6g} (data {best.measurement_term:.4g}, equations "
            f"{best.model_term:.4g}, prior {best.prior_term:.4g}), met by {int(low['paths'])} of "
            f"{self.reached} paths; {len(table)} levels that differ by more than {SAME:.1%}"
        )
        if len(table) > 1:
            second = float(table["level"].iloc[1])
            lines.append(f"second level {second:.6g}, {beside(second, best.action)}")
        lines.append(f"the constant network has {d.attrs['constant']:.6g}")
        for name, level in self.trained.items():
            lines.append(
                f"back-propagation ({name}; same prior, starts and time; then inputs moved as the "
                f"action lets them): level {level:.6g}, {beside(level, best.action)}"
            )
        if taken:
            lines.append(
                f"{taken} of the paths began on the last rung, at weights of back-propagation, "
                "which had ended lower than all others"
            )
        if new is not None:
            errors = self.prediction_errors(new).itertuples(name=None)
            said = ", ".join(f"{name} {error:.4g} +- {sd:.2g}" for name, error, sd in errors)
            lines.append(f"mean square error on {len(new)} new pairs: {said}")
        return "\n".join([*lines, *ends(d)])

    def __repr__(self) -> str:
        return f"<NetworkRun\n{self.summary()}\n>"

    def report(self, path: str | Path, *, new: Pairs | None = None) -> Path:
        """Write all there is to read of this run.

        Verdict, levels beside those of the constant network and of back-propagation, how rungs
        ended, the directions that the data determine, the network and its equations, how to repeat
        it, settings, versions, times, and the emitted source.

        Parameters
        ----------
        path : str or Path
            ``.html``: one page that needs nothing else; ``.md`` or ``.tex`` with figures in a
            folder beside it.
        new : Pairs, optional
            Pairs that were not fitted: prediction errors on them are given beside the levels.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        OptionError
            If the suffix is another, or the file cannot be written.
        DataError
            If the new pairs are not of this network, or the run was saved before runs recorded
            their settings.
        """
        from symda.api.report import report_network_run

        errors = None if new is None or not self.reached else self.prediction_errors(new)
        return report_network_run(self.dataset, self.problem, path, errors)

    def plot_levels(self, path: str | Path | None = None, ax: Axes | None = None) -> Figure:
        """Plot the level of every path against Rf; see `symda.show.networks.plot_levels`."""
        from symda.show.networks import plot_levels

        return plot_levels(self.dataset, self.trained, path, ax)

    def save(self, path: str | Path) -> Path:
        """Write the dataset as NetCDF; ``action.load(path, pairs)`` makes a run of it again.

        Raises
        ------
        DataError
            If the file cannot be written; what was there before stays.
        """
        return save(self.dataset, path)
