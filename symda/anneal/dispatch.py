"""Gives the paths of a run to workers and collects results, also where a worker dies."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from symda.anneal import remote
from symda.anneal.executors import (
    Workers,
    has_workers,
    kill,
    private_pool,
    shared_pool,
    warn_of_no_workers,
    workers_of,
)
from symda.anneal.group import Halt, Paths
from symda.anneal.task import Job, PathResult

if TYPE_CHECKING:
    from loky import ProcessPoolExecutor

    from symda.anneal.strategies import Strategy

#: Seconds between two looks at whether an executor still has workers, and how often it may have
#: none before its paths are given up.
LOOK, GONE = 5.0, 6


@dataclass(frozen=True)
class DispatchResult:
    """The results of a run."""

    results: Mapping[int, PathResult]  #: The paths that ran, by number.
    lost: Mapping[int, str]  #: Why, for each path that failed without a result of its own.
    reason: str  #: Why the remaining paths were not run; empty if there are none.
    interrupted: bool  #: Ctrl-C ended the run, or that no worker is left.
    #: Whether some of the lost were not computed: their executor failed, and another may do it.
    undone: bool = False


class Dispatcher:
    """Submits paths, a few ahead of the workers, until all are in or there is reason to stop.

    When a worker dies its pool is lost, and it is not known which of the paths under way
    killed it. Each of them is tried once more in a pool of one worker, where a second death has
    one cause, and the others go on in a fresh pool.

    Parameters
    ----------
    job
        What the paths share.
    strategy
        What a task does with its paths.
    tasks
        The numbers of all paths, those together that run in one task.
    workers
        Where they run.
    time_limit
        Seconds after which no path and no rung begins.
    enough
        Called with every result; returns a reason to stop, or an empty string.
    done
        Called for every path that has ended: its number and its result, None if it was lost.
    known
        Paths that ended before; they do not run again.
    keep
        Called with the results of a task, to keep them; returns them.
    """

    def __init__(
        self,
        job: Job,
        strategy: Strategy,
        tasks: Sequence[Paths],
        workers: Workers,
        *,
        time_limit: float | None,
        left: float | None,
        enough: Callable[[Mapping[int, PathResult]], str],
        done: Callable[[int, PathResult | None], None],
        known: Mapping[int, PathResult] | None = None,
        keep: Callable[[Sequence[PathResult]], list[PathResult]] = list,
    ) -> None:
        self._job = job
        self._strategy = strategy
        self._workers = workers
        self._limit = time_limit
        self._deadline = None if left is None else time.time() + left
        self._enough = enough
        self._done = done
        self._results: dict[int, PathResult] = dict(known or {})
        self._queue = deque(self._left(tasks))
        self._store = keep
        self._pool: Executor = workers.executor
        self._halt = Halt()
        self._pending: dict[Future[Any], tuple[Paths, Executor]] = {}
        self._suspects: set[int] = set()
        self._private: dict[Future[Any], ProcessPoolExecutor] = {}
        self._lost: dict[int, str] = {}
        self._parcels: tuple[remote.Parcel, remote.Parcel] | None = None
        # every worker is sent the job once, and one that does not have it then, again
        self._unsent = workers.count
        self._whole: set[int] = set()
        self._empty, self._seen = 0, False
        self._ahead, self._counted = workers.ahead, time.monotonic()
        self._reason = ""
        self._interrupted = self._undone = False

    def _left(self, tasks: Sequence[Paths]) -> list[Paths]:
        """Return what of the tasks is still to do."""
        if self._strategy.pooled:
            # which candidates are left at its end is up to the strategy
            return [task for task in tasks if not any(k in self._results for k in task)]
        left = (tuple(k for k in task if k not in self._results) for task in tasks)
        return [task for task in left if task]

    def run(self) -> DispatchResult:
        """Run all paths, or as many as the limits allow."""
        for k, result in self._results.items():
            self._done(k, result)
        with self._listening():
            try:
                self._loop()
            except KeyboardInterrupt:
                self._interrupted = True
            finally:
                self._wind_up()
        if self._interrupted:
            self._reason = "interrupted"
        cut = self._interrupted or (self._seen and self._empty >= GONE)
        return DispatchResult(self._results, self._lost, self._reason, cut, self._undone)

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """Record Ctrl-C before raising it: a solver running in this thread may suppress it."""
        before = signal.getsignal(signal.SIGINT)
        in_main = threading.current_thread() is threading.main_thread()
        if not in_main or before is not signal.default_int_handler:
            yield
            return

        def interrupt(number: int, frame: FrameType | None) -> None:
            self._interrupted = True
            self._halt.set()
            signal.default_int_handler(number, frame)

        signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _loop(self) -> None:
        self._reason = self._enough(self._results)
        if self._reason:
            return
        while self._queue or self._pending:
            self._submit()
            wait(self._pending, self._patience, return_when=FIRST_COMPLETED)
            # `wait` does not see those that their executor cancelled
            ended = [future for future in self._pending if future.done()]
            for future in ended:
                self._take(future)
            if self._pending and not ended and self._deserted():
                return
            reason = self._enough(self._results)
            if reason or self._interrupted:
                self._reason = reason
                return

    def _submit(self) -> None:
        if not self._workers.owned and time.monotonic() - self._counted > LOOK:
            # workers may have come
            self._counted = time.monotonic()
            self._ahead = max(self._ahead, 2 * (workers_of(self._pool) or 0))
        while self._queue and len(self._pending) < self._ahead:
            if self._deadline is not None and time.time() >= self._deadline:
                # Paths under way see the deadline themselves and hand in the rungs they have.
                self._reason = f"time limit of {self._limit:g} s reached"
                self._queue.clear()
                return
            single = self._queue[0][0] in self._suspects
            if single and len(self._private) >= self._workers.count:
                return
            self._start(self._queue.popleft(), single)

    def _start(self, paths: Paths, single: bool) -> None:
        pool: Executor = private_pool() if single else self._pool
        halt = self._halt if self._workers.local and pool is self._workers.executor else None
        try:
            future = self._sent(pool, paths, halt)
        except BrokenExecutor as error:
            self._broken(paths, pool, error)
            return
        except Exception as error:
            # what cannot be packed cannot travel, and who is shut down takes nothing
            self._fail(paths, error)
            return
        self._pending[future] = paths, pool
        if single:
            self._private[future] = pool

    def _sent(self, pool: Executor, paths: Paths, halt: Halt | None) -> Future[Any]:
        """Submit paths, to another process with the job or with its name only."""
        if halt is not None:
            return pool.submit(self._strategy.run, self._job, paths, self._deadline, halt)
        self._parcels = self._parcels or remote.parcels(self._job)
        whole = self._unsent > 0 or pool is not self._pool or paths[0] in self._whole
        self._unsent -= 1
        parcel = self._parcels[0 if whole else 1]
        return pool.submit(remote.run, parcel, self._strategy, paths, self._deadline)

    @property
    def _patience(self) -> float | None:
        """Seconds to wait for a task; None where workers are this process or its children."""
        return None if self._workers.owned else LOOK

    def _deserted(self) -> bool:
        """Whether an executor of the user's has had no worker for some time; its paths are lost."""
        there = has_workers(self._pool)
        # jobs that make workers may wait in a queue for hours
        self._seen = self._seen or there
        self._empty = 0 if there else self._empty + 1
        if self._empty == 1 and not self._seen:
            warn_of_no_workers()
        if self._empty < GONE or not self._seen:
            return False
        self._reason = "the executor has no workers any more"
        for paths, _ in self._pending.values():
            for k in paths:
                self._lose(k, f"not run: {self._reason}")
        return True

    def _take(self, future: Future[Any]) -> None:
        paths, pool = self._pending.pop(future)
        private = self._private.pop(future, None)
        self._seen = True
        try:
            results = future.result()
        except BrokenExecutor as error:
            self._broken(paths, pool, error)
        except remote.OtherVersionError:
            raise
        except Exception as error:
            own = self._workers.local and not isinstance(error, CancelledError)
            self._fail(paths, error, undone=not own)
        else:
            if isinstance(results, list):
                self._keep(results)
            elif isinstance(results, remote.PathsFailed):
                for k in paths:
                    self._lose(k, results.reason)
            elif isinstance(results, remote.JobMissing):
                self._whole.add(paths[0])
                self._queue.appendleft(paths)
            else:
                name = self._strategy.name
                for k in paths:
                    self._lose(k, f"the strategy {name!r} returned no list of PathResult")
        if private is not None:
            private.shutdown(wait=False)

    def _keep(self, results: list[PathResult]) -> None:
        # what is cut short because the run ends is not what a path leads to
        for result in results if self._halt.is_set() else self._store(results):
            self._results[result.path] = result
            self._interrupted = self._interrupted or result.interrupted
            self._done(result.path, result)

    def _fail(self, paths: Paths, error: Exception, *, undone: bool = True) -> None:
        """Give up paths for an error, which is their executor's if they are `undone`."""
        self._undone = self._undone or undone
        said = str(error) or "its executor gave it up"
        for k in paths:
            self._lose(k, f"{type(error).__name__}: {said}")

    def _lose(self, k: int, reason: str) -> None:
        self._lost[k] = reason
        self._done(k, None)

    def _broken(self, paths: Paths, pool: Executor, error: BrokenExecutor) -> None:
        parts = [paths] if self._strategy.pooled else [(k,) for k in paths]
        for part in reversed(parts):
            if part[0] in self._suspects:
                for k in part:
                    self._lose(k, f"its worker process died twice: {' '.join(str(error).split())}")
            else:
                self._suspects.add(part[0])
                self._queue.appendleft(part)
        if pool is self._pool:
            self._pool = shared_pool(self._workers.count)

    def _wind_up(self) -> None:
        """Stop what still runs and take in what is finished; nothing to do after a complete run."""
        self._halt.set()
        for future in self._pending:
            future.cancel()
        if self._workers.local:
            wait(self._pending)
        for future in self._pending:
            if future.done() and not future.cancelled() and future.exception() is None:
                if isinstance(found := future.result(), list):
                    self._keep(found)
        for private in self._private.values():
            kill(private)
        if self._workers.owned and self._workers.local:
            self._workers.executor.shutdown(wait=True)
        elif self._workers.owned or self._pool is not self._workers.executor:
            if not all(future.done() for future in self._pending):
                kill(self._pool)
