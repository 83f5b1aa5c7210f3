"""The two functions that declare parameters, constant or with a value of their own each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

from symda.declare.declaration import UNBOUNDED, Range
from symda.declare.distributions import Distribution
from symda.declare.symbols import (
    ExperimentParameter,
    Parameter,
    StepParameter,
    several,
    single,
)
from symda.errors import ModelError
from symda.scale import ScaleName


@overload
def parameter(
    name: str,
    *,
    per: Literal["experiment"] | None = None,
    bounds: Range = UNBOUNDED,
    start: Range | None = None,
    value: float | None = None,
    typical: float | None = None,
    prior: Distribution | None = None,
    scale: ScaleName | None = None,
) -> Parameter: ...


@overload
def parameter(
    name: str,
    *,
    per: Literal["step"],
    bounds: Range = UNBOUNDED,
    start: Range | None = None,
    process_variance: float | None = None,
    prior: Distribution | None = None,
    scale: ScaleName | None = None,
) -> StepParameter: ...


def parameter(
    name: str,
    *,
    per: Literal["step", "experiment"] | None = None,
    bounds: Range = UNBOUNDED,
    start: Range | None = None,
    value: float | None = None,
    typical: float | None = None,
    process_variance: float | None = None,
    prior: Distribution | None = None,
    scale: ScaleName | None = None,
) -> Parameter | StepParameter:
    """Declare one parameter; see `Parameter` for the arguments.

    Parameters
    ----------
    name : str
        Its name.
    per : {"step", "experiment"}, optional
        ``"step"``: with a value of its own at every step, see `StepParameter`, also for
        `process_variance` and `prior`. ``"experiment"``: with one in each of several experiments.
    bounds, start, value, typical, prior, process_variance, scale
        As for `Parameter` and `StepParameter`.

    Raises
    ------
    ModelError
        As `Parameter`, or if `name` holds several names, or an argument does not go with `per`.
    """
    one = [single(name, "parameter")]
    given = bounds, start, value, typical, process_variance, prior, scale
    return _parameters(one, "parameter", per, *given)[0]


@overload
def parameters(
    names: str | Sequence[str],
    size: int | None = None,
    *,
    per: Literal["experiment"] | None = None,
    bounds: Range = UNBOUNDED,
    start: Range | None = None,
    value: float | None = None,
    typical: float | None = None,
    prior: Distribution | None = None,
    scale: ScaleName | None = None,
) -> tuple[Parameter, ...]: ...


@overload
def parameters(
    names: str | Sequence[str],
    size: int | None = None,
    *,
    per: Literal["step"],
    bounds: Range = UNBOUNDED,
    start: Range | None = None,
    process_variance: float | None = None,
    prior: Distribution | None = None,
    scale: ScaleName | None = None,
) -> tuple[StepParameter, ...]: ...


def parameters(
    names: str | Sequence[str],
    size: int | None = None,
    *,
    per: Literal["step", "experiment"] | None = None,
    bounds: Range = UNBOUNDED,
    start: Range | None = None,
    value: float | None = None,
    typical: float | None = None,
    process_variance: float | None = None,
    prior: Distribution | None = None,
    scale: ScaleName | None = None,
) -> tuple[Parameter, ...] | tuple[StepParameter, ...]:
    """Declare several parameters with the same declaration.

    Parameters
    ----------
    names : str or sequence of str
        `"sigma rho beta"` or a sequence of names; or one name together with `size`.
    size : int, optional
        With one name: how many parameters, called a0, a1, ...
    per, bounds, start, value, typical, prior, process_variance, scale
        As for `parameter`.

    Returns
    -------
    tuple of Parameter, (P,), or of StepParameter

    Raises
    ------
    ModelError
        As `parameter`, or if a name is missing or repeated, or the size is not at least 1.
    """
    every = several(names, size, "parameters")
    given = bounds, start, value, typical, process_variance, prior, scale
    return _parameters(every, "parameters", per, *given)


def _parameters(
    names: Sequence[str],
    function: str,
    per: str | None,
    bounds: Range,
    start: Range | None,
    value: float | None,
    typical: float | None,
    process_variance: float | None,
    prior: Distribution | None,
    scale: ScaleName | None,
) -> tuple[Parameter, ...] | tuple[StepParameter, ...]:
    constant = {None: Parameter, "experiment": ExperimentParameter}
    if per is None or (isinstance(per, str) and per in constant):
        if process_variance is not None:
            raise ModelError(
                f"{function}({names[0]!r}): process_variance is that of a parameter's change over "
                "a step, and this one is constant; add per='step'."
            )
        return tuple(
            constant[per](
                name,
                bounds=bounds,
                start=start,
                value=value,
                typical=typical,
                prior=prior,
                scale=scale,
            )
            for name in names
        )
    if not isinstance(per, str) or per != "step":
        raise ModelError(
            f"{function}({names[0]!r}): per must be 'step' or 'experiment', or left out for a "
            f"constant, got {per!r}."
        )
    if value is not None:
        raise ModelError(
            f"{function}({names[0]!r}): a parameter per step is estimated; one whose values are "
            "known is a forcing, sd.forcing."
        )
    if typical is not None:
        raise ModelError(
            f"{function}({names[0]!r}): the size of a parameter per step is the larger end of its "
            "start range; leave typical out."
        )
    return tuple(
        StepParameter(
            name,
            bounds=bounds,
            start=start,
            process_variance=process_variance,
            prior=prior,
            scale=scale,
        )
        for name in names
    )
