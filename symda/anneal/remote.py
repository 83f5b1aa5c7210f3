"""What a worker in another process does: it gets a run's job once, and refuses other versions."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from symda.anneal.executors import has_workers, warn_of_no_workers
from symda.anneal.provenance import versions
from symda.errors import OptionError

if TYPE_CHECKING:
    from symda.anneal.strategies import Strategy
    from symda.anneal.task import Job, PathResult

#: Jobs that a worker keeps.
KEPT = 2
#: What numbers come from, and what is packed is read by: another one on a worker ends a run.
ALIKE = ("symda", "numpy", "casadi", "python")
#: Seconds to wait for the first answer of an executor.
ANSWER = 5.0

_jobs: OrderedDict[str, Job] = OrderedDict()
_lock = threading.Lock()


class JobMissing(NamedTuple):
    """What a worker answers that was sent paths of a job which it does not have."""

    token: str


class PathsFailed(NamedTuple):
    """What a worker answers where its paths raised an error; others are those of the way there."""

    reason: str


class OtherVersionError(OptionError):
    """A worker computes with other versions than the process that collects."""


@dataclass(frozen=True)
class Parcel:
    """A job on its way to a worker: its token, and itself where the worker may not have it.

    Parameters
    ----------
    token
        Tells jobs apart.
    versions
        Of the packages in `ALIKE`, where the job was made.
    packed
        The job; None for a worker that should have it.
    """

    token: str
    versions: tuple[str, ...]
    packed: bytes | None


def parcels(job: Job) -> tuple[Parcel, Parcel]:
    """Return the parcel with the job, and that without."""
    # as loky does, since choices of the user's own may be defined in the script that runs
    import cloudpickle

    # jobs that share a workspace, and so their token, need not be equal
    known, token = alike(), uuid.uuid4().hex
    packed: bytes = cloudpickle.dumps(job)
    return Parcel(token, known, packed), Parcel(token, known, None)


def run(
    parcel: Parcel, strategy: Strategy, paths: Sequence[int], deadline: float | None
) -> list[PathResult] | JobMissing | PathsFailed:
    """Run some paths of a job, which is unpacked once in each worker.

    Raises
    ------
    OtherVersionError
        If the worker computes with other versions.
    """
    compare(parcel.versions)
    job = _job(parcel)
    if job is None:
        return JobMissing(parcel.token)
    try:
        return strategy.run(job, paths, deadline, None)
    except Exception as error:
        return PathsFailed(f"{type(error).__name__}: {error}")


def compare(wanted: tuple[str, ...]) -> None:
    """Refuse to compute with other versions than those of the process that collects.

    Raises
    ------
    OtherVersionError
        If they differ.
    """
    here = alike()
    if here != wanted:
        pairs = zip(ALIKE, here, wanted, strict=True)
        other = [f"{name} {mine} (here {yours})" for name, mine, yours in pairs if mine != yours]
        raise OtherVersionError(
            f"anneal: a worker of the executor has {', '.join(other)}. Numbers would depend on who "
            "computes them: install the same versions for all workers."
        )


def try_executor(executor: str | Executor | None) -> None:
    """Give an executor of the user's a task, before anything is compiled for it.

    An answer is waited for a few seconds: workers may be busy, or still to come.

    Raises
    ------
    OptionError
        If it takes no task, or a worker cannot run symda or has other versions.

    Warns
    -----
    ExecutorWarning
        If it has no workers.
    """
    if executor is None or isinstance(executor, str):
        return
    name = type(executor).__name__
    try:
        future = executor.submit(compare, alike())
    except Exception as error:
        raise OptionError(
            f"anneal: the executor, a {name}, takes no task ({type(error).__name__}: {error}). "
            "Make a new one if it was shut down, or its client closed."
        ) from error
    if not isinstance(future, Future):
        other = hasattr(executor, "get_executor")
        raise OptionError(
            f"anneal: the executor, a {name}, returns no concurrent.futures.Future but "
            f"{type(future)}. Pass "
            f"{'its get_executor()' if other else 'a concurrent.futures.Executor'}."
        )
    if not has_workers(executor):
        future.cancel()
        warn_of_no_workers()
        return
    try:
        future.result(ANSWER)
    except TimeoutError:
        future.cancel()
    except OtherVersionError:
        raise
    except Exception as error:
        raise OptionError(
            f"anneal: a worker of the executor, a {name}, cannot do a task of symda "
            f"({type(error).__name__}: {error}). Install the same symda for all workers, and look "
            "at their own messages."
        ) from error


def _job(parcel: Parcel) -> Job | None:
    import cloudpickle

    with _lock:
        if parcel.token not in _jobs:
            if parcel.packed is None:
                return None
            _jobs[parcel.token] = cloudpickle.loads(parcel.packed)
            while len(_jobs) > KEPT:
                _jobs.popitem(last=False)
        _jobs.move_to_end(parcel.token)
        return _jobs[parcel.token]


def alike() -> tuple[str, ...]:
    """Return the versions of `ALIKE` here; of Python's the first two numbers."""
    known = versions()
    known = {**known, "python": ".".join(known["python"].split(".")[:2])}
    return tuple(known[name] for name in ALIKE)
