"""Pairs of inputs and outputs, what a network is fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from symda.errors import DataError
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.declare.network import Network


@dataclass(frozen=True, eq=False)
class Pairs:
    """M inputs and what the network gave for each.

    Parameters
    ----------
    inputs : array_like, (M, L), or (M, S, L) of sequences of S places
        The first L neurons of the input layer were measured.
    outputs : array_like, (M, L'), or (M, S, L')
        The first L' neurons of the output layer.
    variance : float or array_like
        Noise variance of both: a number, or an array that fits both shapes.
    input_variance : float or array_like, optional
        That of the inputs, where it is another.

    Raises
    ------
    DataError
        For shapes that do not belong together, numbers that are not finite, or a variance that is
        not positive.
    """

    inputs: FloatArray
    outputs: FloatArray
    variance: FloatArray
    input_variance: FloatArray

    def __init__(
        self,
        inputs: ArrayLike,
        outputs: ArrayLike,
        *,
        variance: ArrayLike,
        input_variance: ArrayLike | None = None,
    ) -> None:
        x, y = _numbers(inputs, "inputs"), _numbers(outputs, "outputs")
        if x.ndim != y.ndim or x.shape[:-1] != y.shape[:-1]:
            raise DataError(
                f"Pairs: inputs {x.shape} and outputs {y.shape} do not belong together; expected "
                "(M, L) and (M, L'), or (M, S, L) and (M, S, L') of sequences."
            )
        object.__setattr__(self, "inputs", x)
        object.__setattr__(self, "outputs", y)
        own = variance if input_variance is None else input_variance
        object.__setattr__(self, "variance", _variance(variance, y.shape, "variance"))
        word = "variance" if input_variance is None else "input_variance"
        object.__setattr__(self, "input_variance", _variance(own, x.shape, word))

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, which: slice | ArrayLike) -> Self:
        """Return some of the pairs."""
        rows = which if isinstance(which, slice) else np.asarray(which)
        return type(self)(
            self.inputs[rows],
            self.outputs[rows],
            variance=self.variance[rows],
            input_variance=self.input_variance[rows],
        )

    @property
    def places(self) -> int:
        """Places S of a sequence; 1 where a pair is none."""
        return int(self.inputs.shape[1]) if self.inputs.ndim == 3 else 1

    def check_fit(self) -> None:
        """Refuse pairs of which nothing can be learned.

        Raises
        ------
        DataError
            If the outputs of all pairs are the same.
        """
        spread = self.outputs.reshape(len(self), -1)
        if len(self) > 1 and np.ptp(spread, axis=0).max() == 0.0:
            raise DataError(
                f"Pairs: the outputs of all {len(self)} pairs are the same, so nothing can be "
                "learned from the inputs. Was the wrong array passed as outputs?"
            )

    def check(self, network: Network) -> None:
        """Refuse pairs that are not of this network.

        Raises
        ------
        DataError
            If they measure more neurons than a layer has, or sequences are of another length.
        """
        if self.places != network.sequence:
            raise DataError(
                f"Pairs: sequences of {self.places} places, but {network.name!r} has "
                f"{network.sequence}. "
                + ("Pass arrays (M, S, L). " if network.sequence > 1 else "Pass arrays (M, L). ")
            )
        for word, array, node in (
            ("inputs", self.inputs, network.inputs[0]),
            ("outputs", self.outputs, network.outputs[0]),
        ):
            width = network.nodes[node].width
            if array.shape[-1] > width:
                raise DataError(
                    f"Pairs: {word} have {array.shape[-1]} values, but the layer has {width} "
                    "neurons. Make it wider, or leave values out."
                )

    def __repr__(self) -> str:
        each = f", {self.places} places" if self.places > 1 else ""
        return f"<{len(self)} Pairs{each}, {self.inputs.shape[-1]} -> {self.outputs.shape[-1]}>"


def _numbers(given: ArrayLike, word: str) -> FloatArray:
    try:
        if np.iscomplexobj(given):
            raise TypeError("they are complex")
        array = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"Pairs: {word} must be an array of numbers: {error}.") from error
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise DataError(
            f"Pairs: {word} must have the shape (M, L), or (M, S, L) of sequences, none of them 0, "
            f"got {array.shape}."
        )
    missing = np.argwhere(~np.isfinite(array))
    if missing.size:
        raise DataError(
            f"Pairs: {len(missing)} of {array.size} {word} are no finite numbers, the first in "
            f"pair {missing[0][0]}. Leave these pairs out, or the neurons that were not measured: "
            "they may be the last of a layer."
        )
    return array


def _variance(given: ArrayLike, shape: tuple[int, ...], word: str) -> FloatArray:
    try:
        array = np.array(np.broadcast_to(np.asarray(given, dtype=np.float64), shape))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Pairs: {word} must be a number, or an array that fits {shape}: {error}."
        ) from error
    if not (np.isfinite(array).all() and (array > 0.0).all()):
        raise DataError(f"Pairs: {word} must be positive and finite everywhere.")
    return array
