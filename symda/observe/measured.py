"""Data as a forcing: the samples of what `sd.measured` declares."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from symda.checks import outside
from symda.declare import Forcing, MeasuredForcing, State
from symda.errors import DataError, DataWarning, nearest
from symda.observe.forcing import ForcingSource
from symda.observe.observations import Observations
from symda.observe.samples import Samples


def with_measured(
    observations: Observations,
    forcing: Sequence[Forcing],
    channels: tuple[str, ...],
    direct: Sequence[int],
    states: Sequence[State],
    *,
    quiet: bool = False,
) -> Mapping[str, ForcingSource]:
    """Return the forcing of observations with the data of channels as far as the model asks.

    What was passed for such a forcing is taken instead.

    Parameters
    ----------
    observations
        With their L columns in the order of `channels`.
    forcing : (U,)
        The model's.
    channels, direct : (L,)
        Names of the channels, and the state each measures as it is, else -1.
    states : (D,)
    quiet : bool
        Whether gaps were told before.

    Raises
    ------
    DataError
        If no channel measures that, too little of it was measured, or a gap is too long.

    Warns
    -----
    DataWarning
        If a gap is bridged that nothing was said about.
    """
    sources: dict[str, ForcingSource] = dict(observations.forcing)
    for one in forcing:
        if not isinstance(one, MeasuredForcing) or one.name in sources:
            continue
        l = _channel(one, channels, direct, states)
        seen = observations.measured[:, l]
        times, values = observations.times[seen], observations.values[seen, l]
        if np.unique(times).size < times.size:
            raise DataError(
                f"sd.measured({one.channel!r}): the channel {channels[l]} was measured more than "
                "once at one time, which of the values the forcing is is not said. Pass "
                f"forcing={{{one.name!r}: sd.Samples(times, values)}}, of their means for instance."
            )
        if times.size < 2:
            raise DataError(
                f"sd.measured({one.channel!r}) needs two data of the channel {channels[l]} at "
                f"least, there is {times.size or 'none'}. Measure more, or pass "
                f"forcing={{{one.name!r}: ...}}."
            )
        gaps = np.diff(times)
        k = int(gaps.argmax())
        span = f"from {times[k]:.6g} to {times[k + 1]:.6g}"
        if gaps[k] > one.longest:
            raise DataError(
                f"sd.measured({one.channel!r}): nothing was measured {span}, which is longer than "
                f"longest = {one.longest:g}. Allow more, or pass forcing={{{one.name!r}: ...}}."
            )
        missing = int(np.count_nonzero(~seen[seen.argmax() : seen.size - seen[::-1].argmax()]))
        if missing and not quiet and not np.isfinite(one.longest):
            warnings.warn(
                f"sd.measured({one.channel!r}): its data have gaps, {missing} values in all, which "
                f"are bridged ({one.rule}), the longest {span}. Say how long one may be, "
                f"sd.measured({one.channel!r}, longest=...).",
                DataWarning,
                stacklevel=outside(),
            )
        sources[one.name] = Samples(times, values, one.rule)
    return sources


def _channel(
    one: MeasuredForcing, channels: tuple[str, ...], direct: Sequence[int], states: Sequence[State]
) -> int:
    names = [state.name for state in states]
    if one.channel in names:
        index = names.index(one.channel)
        for l, state in enumerate(direct):
            if state == index:
                return l
    if one.channel in channels:
        return channels.index(one.channel)
    raise DataError(
        f"sd.measured({one.channel!r}): no channel of the action measures that; there are "
        f"{', '.join(channels)}.{nearest(one.channel, channels)} Measure it, or pass "
        f"forcing={{{one.name!r}: ...}}."
    )
