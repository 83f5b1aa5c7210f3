"""What a network and its pairs are warned of before they are fitted."""

from __future__ import annotations

import warnings

from symda.checks import outside
from symda.solve.network.problem import NetworkProblem

#: Outputs that vary by more, or by less than one over it, and activities have no common Rf.
UNLIKE = 1000.0


class NetworkWarning(UserWarning):
    """A network whose levels mean less than they seem to."""


def warn_of(problem: NetworkProblem) -> None:
    """Warn of what keeps levels from meaning what they seem to, at the user's call."""
    network = problem.network
    if problem.unmeasured.size and not problem.xd:
        warnings.warn(
            f"{problem.unmeasured.size} neurons of the input are not measured and have no prior: "
            "they are free to memorise the outputs, so that levels say nothing. Say how they are "
            "spread, sd.Model.layered(..., input_prior=sd.Normal(0.0, 1.0)).",
            NetworkWarning,
            stacklevel=outside(),
        )
    size = float(problem.pairs.outputs.std())
    if not 1.0 / UNLIKE < size < UNLIKE and problem.M > 1:
        warnings.warn(
            f"the outputs vary by {size:.2g}, and Rf weighs the errors of all neurons alike, those "
            "of the last layer in units of the outputs: layers before it would err freely, or not "
            "at all. Pass outputs in units in which they vary by about 1.",
            NetworkWarning,
            stacklevel=outside(),
        )
    data = problem.outputs.size * problem.M
    free = sum(
        block.size
        for block, prior in zip(network.blocks, network.prior, strict=False)
        if prior is None
    )
    if free and network.weights > data:
        warnings.warn(
            f"{network.weights} weights, {free} of them without a prior, against {data} measured "
            "outputs: many weights fit them equally well, and the lowest level fits the noise. "
            "Give weights a prior, sd.Model.layered(..., prior=sd.Normal(0.0, 0.5)).",
            NetworkWarning,
            stacklevel=outside(),
        )
