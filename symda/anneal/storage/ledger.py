"""What a run remembers of itself: its clock, the paths that ended, the rounds that are over."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from symda.anneal.dispatch import DispatchResult
from symda.anneal.storage.journal import Journal
from symda.anneal.storage.rows import Rows
from symda.anneal.task import PathResult
from symda.checks import outside

if TYPE_CHECKING:
    from xarray import Dataset

#: Rows are written for readers at most so often, in seconds, while a run goes on.
OFTEN = 20.0
#: And after so many times the seconds that it took.
SELDOM = 50.0


class StoreWarning(UserWarning):
    """A run could not be written, and goes on in memory."""


@dataclass(frozen=True)
class RoundEnd:
    """A round that is over: how long it took, why paths have no result."""

    took: float
    outcome: DispatchResult


class Ledger:
    """The memory of a run that is not stored.

    Seconds are those since the run began, over all sessions of one that was resumed.
    """

    def __init__(self) -> None:
        self._since = time.monotonic()

    def now(self) -> float:
        """Return the seconds of the run so far."""
        return time.monotonic() - self._since

    def spent(self, seconds: float) -> float:
        """Return the seconds of the time limit that were over when the run began."""
        return seconds

    def begin(self, first: int) -> float:
        """Return when the round whose paths count from `first` began: now, or what is recorded."""
        del first
        return self.now()

    def known(self, paths: Iterable[int]) -> dict[int, PathResult]:
        """Return those of some paths that ended before this session."""
        del paths
        return {}

    def ended(self, first: int) -> RoundEnd | None:
        """Return how a round ended, if it did before this session."""
        del first
        return None

    def keep(self, results: Sequence[PathResult]) -> list[PathResult]:
        """Keep paths that ended, all or none; return their records."""
        return list(results)

    def end(self, first: int, took: float, outcome: DispatchResult) -> None:
        """Record that a round is over."""

    def over(self, outcome: DispatchResult) -> None:
        """Hear how a run without rounds ended."""

    @property
    def showing(self) -> bool:
        """Whether it is time to let readers see the paths so far."""
        return False

    def show(self, part: Callable[[int, int], Dataset], results: Sequence[PathResult]) -> None:
        """Let readers see the paths so far; `part` makes the dataset of some of them."""

    def whole(
        self, part: Callable[[int, int], Dataset], results: Sequence[PathResult], *, over: bool
    ) -> Dataset:
        """Return the dataset of all paths; `over`: no other session goes on with them."""
        del over
        return part(0, len(results))


class Stage(Ledger):
    """A run, or one of its grids, in a folder.

    What cannot be written is warned of once, kept in memory, and tried again with what comes next.

    Parameters
    ----------
    folder : Path
        Of the journal.
    rows : Rows
        Where readers see the paths.
    """

    def __init__(self, folder: Path, rows: Rows) -> None:
        super().__init__()
        self._journal, self._rows = Journal(folder), rows
        self._spent: float | None = None
        self._known: dict[int, PathResult] = {}
        self._begun: dict[int, float] = {}
        self._ends: dict[int, tuple[float, str]] = {}
        self._before = 0.0
        self._waiting: list[PathResult] = []
        self._warned = False
        #: Whether all paths are in the dataset on the disk.
        self.written = False
        #: Whether paths were not computed, which another session can do.
        self.undone = False
        self._often = OFTEN
        self._shown = time.monotonic()
        for entry in self._journal.entries:
            words = entry.words
            self._before = max(self._before, float(words["now"]))
            self._known |= {one.path: one for one in entry.results}
            if entry.kind == "spent":
                self._spent = float(words["seconds"])
            if entry.kind == "begin":
                self._begun[words["first"]] = words["now"]
            if entry.kind == "end":
                self._ends[words["first"]] = words["took"], words["reason"]

    @property
    def earlier(self) -> float:
        """Seconds of earlier sessions."""
        return self._before

    def now(self) -> float:
        """Return the seconds of the run so far."""
        return self._before + super().now()

    def spent(self, seconds: float) -> float:
        """Return the seconds of the time limit that were over when the run began."""
        if self._spent is None:
            self._spent = seconds
            self._add("spent", {"seconds": seconds})
        return self._spent

    def begin(self, first: int) -> float:
        """Return when a round began."""
        if first not in self._begun:
            self._begun[first] = self.now()
            self._add("begin", {"first": first})
        return self._begun[first]

    def known(self, paths: Iterable[int]) -> dict[int, PathResult]:
        """Return those of some paths that ended before this session."""
        return {k: self._known[k] for k in paths if k in self._known}

    def ended(self, first: int) -> RoundEnd | None:
        """Return how a round ended, if it did before this session."""
        if first not in self._ends:
            return None
        took, reason = self._ends[first]
        return RoundEnd(took, DispatchResult({}, {}, reason, interrupted=False))

    def keep(self, results: Sequence[PathResult]) -> list[PathResult]:
        """Keep paths that ended, all or none; return their records."""
        own = [one for one in results if not one.interrupted]
        before = len(self._waiting)
        self._waiting += own
        written = self._flush()
        if not written:
            return list(results)
        stored = dict(zip(map(id, own), written[before:], strict=True))
        return [stored.get(id(one), one) for one in results]

    def _flush(self) -> tuple[PathResult, ...]:
        """Write the paths that wait for it, all or none."""
        if not self._waiting:
            return ()
        words: dict[str, object] = {"levels": [one.level for one in self._waiting]}
        written = self._add("paths", words, self._waiting) or ()
        if written:
            self._waiting = []
        return written

    def end(self, first: int, took: float, outcome: DispatchResult) -> None:
        """Record that a round is over, unless paths of it are to be done again."""
        self._flush()
        self.over(outcome)
        if not (outcome.interrupted or outcome.lost or self._waiting):
            self._add("end", {"first": first, "took": took, "reason": outcome.reason})

    def over(self, outcome: DispatchResult) -> None:
        """Hear how a run without rounds ended."""
        self.undone = self.undone or outcome.undone

    @property
    def showing(self) -> bool:
        """Whether it is time to let readers see the paths so far."""
        return time.monotonic() - self._shown > self._often

    def show(self, part: Callable[[int, int], Dataset], results: Sequence[PathResult]) -> None:
        """Let readers see the paths so far."""
        began = time.monotonic()
        self._write(part, results)
        self._shown = time.monotonic()
        # all are written each time, which must not take a share of the run that counts
        self._often = max(OFTEN, SELDOM * (self._shown - began))

    def whole(
        self, part: Callable[[int, int], Dataset], results: Sequence[PathResult], *, over: bool
    ) -> Dataset:
        """Write the dataset of all paths and open it.

        In memory if it cannot be written, or another session will write another.
        """
        self._flush()
        self.written = self._write(part, results)
        return self._rows.open() if over and self.written else part(0, len(results))

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _write(self, part: Callable[[int, int], Dataset], results: Sequence[PathResult]) -> bool:
        try:
            self._rows.write(part, results)
        except OSError as error:
            self._warn(error)
            return False
        return True

    def _add(
        self, kind: str, words: dict[str, object], results: Sequence[PathResult] = ()
    ) -> tuple[PathResult, ...] | None:
        try:
            return self._journal.add(kind, {**words, "now": self.now()}, results)
        except OSError as error:
            self._warn(error)
            return None

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"anneal: the store cannot be written: {error.strerror or error}. The run goes on "
                "in memory and tries again; what was stored before is kept. Make room, or save the "
                "run that is returned elsewhere.",
                StoreWarning,
                stacklevel=outside(),
            )
