"""Where paths run: this process, threads, loky's processes, or the user's own executor."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from symda.checks import outside
from symda.errors import OptionError, nearest

if TYPE_CHECKING:
    from loky import ProcessPoolExecutor

Q = ParamSpec("Q")
R = TypeVar("R")

EXECUTORS = ("processes", "threads", "serial")

#: One thread for each worker: the workers already fill the cores.
PINNED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class ExecutorWarning(UserWarning):
    """An executor has no workers, and a run waits for them."""


class SerialExecutor(Executor):
    """Runs a task in the calling thread while it is being submitted."""

    def submit(self, fn: Callable[Q, R], /, *args: Q.args, **kwargs: Q.kwargs) -> Future[R]:
        """Run the task and return its finished future."""
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass(frozen=True)
class Workers:
    """An executor and what may be done with it."""

    name: str  #: For the record of the run.
    executor: Executor  #: Runs the tasks, `count` at a time.
    count: int  #: Number of tasks that run at once.
    #: Number of tasks to have submitted at any time: enough that no worker waits for the next, few
    #: enough that stopping is prompt.
    ahead: int
    local: bool  #: Tasks run in this process, so that an event set here is seen there.
    owned: bool  #: Made here, so it is shut down here.


def start_workers(executor: str | Executor | None, workers: int | None, paths: int) -> Workers:
    """Return what runs the tasks as the user asked for it.

    Parameters
    ----------
    executor
        None: processes, or this thread if one worker or one path is all there is. A name in
        `EXECUTORS`, or any `concurrent.futures.Executor`, which is never shut down here.
    workers
        Tasks at once; the default is the number of usable cores.
    paths
        Number of tasks in all, K.
    """
    many = min(workers or cores(), paths)
    if executor is not None and not isinstance(executor, str):
        many = min(workers or workers_of(executor) or cores(), paths)
        local = isinstance(executor, (ThreadPoolExecutor, SerialExecutor))
        return Workers(type(executor).__name__, executor, many, 2 * many, local, owned=False)
    if executor == "serial" or (executor is None and many == 1):
        return Workers("serial", SerialExecutor(), 1, 1, local=True, owned=True)
    if executor == "threads":
        return Workers("threads", ThreadPoolExecutor(many), many, 2 * many, local=True, owned=True)
    return Workers("processes", shared_pool(many), many, 2 * many, local=False, owned=True)


def workers_of(executor: Executor) -> int | None:
    """Return how many tasks an executor runs at once, as far as it says."""
    client = getattr(executor, "_client", None)
    if client is not None and callable(getattr(client, "nthreads", None)):
        return sum(client.nthreads().values()) or None
    for name in ("num_workers", "_max_workers"):
        found = getattr(executor, name, None)
        if isinstance(found, int) and found > 0:
            return found
    return None


def has_workers(executor: Executor) -> bool:
    """Whether an executor has workers now; True where it cannot be asked."""
    client = getattr(executor, "_client", None)
    if client is None or not callable(getattr(client, "scheduler_info", None)):
        return True
    try:
        return bool(client.scheduler_info(n_workers=-1).get("workers"))
    except TypeError:
        return bool(client.scheduler_info().get("workers"))
    except (OSError, RuntimeError):
        return False


def check_executor(executor: object) -> None:
    """Refuse what `start_workers` cannot use.

    Raises
    ------
    OptionError
        An unknown name, or something that is no executor.
    """
    if isinstance(executor, str):
        if executor not in EXECUTORS:
            raise OptionError(
                f"anneal: there is no executor {executor!r}; there are {', '.join(EXECUTORS)}, or "
                f"pass a concurrent.futures.Executor.{nearest(executor, EXECUTORS)}"
            )
    elif isinstance(executor, type) or not (
        executor is None or callable(getattr(executor, "submit", None))
    ):
        got = repr(executor) if isinstance(executor, type) else type(executor).__name__
        raise OptionError(
            f"anneal: executor must be None, one of {', '.join(EXECUTORS)}, or an object with "
            f"the `submit` of concurrent.futures.Executor, got {got}."
        )


def warn_of_no_workers() -> None:
    """Say that a run waits for workers."""
    warnings.warn(
        "anneal: the executor has no workers, and the run waits until some come. Start them, or "
        "end it by Ctrl-C and pass another executor.",
        ExecutorWarning,
        stacklevel=outside(),
    )


def cores() -> int:
    """Return the number of cores this process may use."""
    from loky import cpu_count

    return int(cpu_count())


def shared_pool(workers: int) -> ProcessPoolExecutor:
    """Return loky's reusable pool: a second run finds its workers warm. A broken one is replaced.

    loky, because its workers do not import the user's script again, so that an unguarded script
    does not start itself over and over.
    """
    from loky import get_reusable_executor

    return get_reusable_executor(
        max_workers=workers, env=dict.fromkeys(PINNED, "1"), initializer=ignore_interrupts
    )


def private_pool() -> ProcessPoolExecutor:
    """Return a pool of a single worker: if it dies, its only task is the cause."""
    from loky import ProcessPoolExecutor

    return ProcessPoolExecutor(
        max_workers=1, env=dict.fromkeys(PINNED, "1"), initializer=ignore_interrupts
    )


def ignore_interrupts() -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the parent process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def kill(pool: ProcessPoolExecutor) -> None:
    """End a loky pool now, whatever its workers are doing."""
    pool.shutdown(wait=True, kill_workers=True)
