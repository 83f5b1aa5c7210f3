"""A folder that keeps cycles as they come."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symda.anneal.cycled import Piece, dataset
from symda.anneal.cycling import Cycle, State
from symda.anneal.storage.folder import CYCLES, RunStore, record_of, unwritable
from symda.anneal.storage.journal import Entry, Journal, whole_entries
from symda.anneal.storage.ledger import StoreWarning
from symda.anneal.storage.rows import on_disk
from symda.checks import outside
from symda.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

#: They are written at most so often, in seconds.
OFTEN = 1.0


class CycleStore:
    """A folder of cycles; what `RunStore` says of writers, identity and disks holds.

    Parameters
    ----------
    path : str or path
        The folder.
    identity : mapping
        What must be equal for cycles to follow each other, as JSON has it.
    about : mapping
        What a reader needs: see `symda.anneal.cycled.dataset`.

    Raises
    ------
    DataError
        If it cannot be written, is written by another process, or holds something else.
    """

    def __init__(
        self, path: str | os.PathLike[str], identity: Mapping[str, Any], about: Mapping[str, Any]
    ) -> None:
        self._folder = RunStore(path, "cycle")
        self._folder.open(identity, str(about["model"]), None)
        file = self._folder.path / CYCLES
        try:
            self._folder.say(about=dict(about), ended={})
            self._journal = Journal(file)
            on_disk(self._folder.path)
        except OSError as error:
            self._folder.close()
            raise unwritable(f"cycle: the store {str(path)!r}", error) from error
        self._waiting: list[tuple[Cycle, State]] = []
        self._written, self._failed = time.monotonic(), False

    @property
    def pieces(self) -> list[Piece]:
        """The cycles that are there."""
        return [_piece(entry) for entry in self._journal.entries]

    @property
    def last(self) -> tuple[State, Mapping[str, Any]] | None:
        """What the next cycle needs, and what was said of the data up to there; None: none yet."""
        if not self._journal.entries:
            return None
        entry = self._journal.entries[-1]
        arrays = {
            name.removeprefix("state."): entry.arrays[name]
            for name in entry.arrays
            if name.startswith("state.")
        }
        return State.of(arrays), entry.words["data"]

    def add(self, cycle: Cycle, state: State, data: Callable[[State], dict[str, Any]]) -> None:
        """Keep a cycle and what the next one needs, written with others after a second.

        `data` says what the data up to a state are.

        Warns
        -----
        StoreWarning
            If it cannot be written; it is tried again with the next one.
        """
        self._waiting.append((cycle, state))
        if time.monotonic() - self._written >= OFTEN:
            self.flush(data)

    def flush(self, data: Callable[[State], dict[str, Any]]) -> None:
        """Write the cycles that wait; see `add`."""
        if not self._waiting:
            return
        waiting = list(self._waiting)
        piece, state = Piece.of([one for one, _ in waiting]), waiting[-1][1]
        arrays = dict(piece.arrays) | {f"state.{n}": one for n, one in state.arrays().items()}
        words = {"messages": piece.messages, "data": data(state)}
        try:
            self._journal.add("cycles", words, (), arrays)
        except OSError as error:
            if not self._failed:
                warnings.warn(
                    f"cycle: the store {str(self._folder.path)!r} cannot be written: "
                    f"{error.strerror or error}. Cycles go on in memory.",
                    StoreWarning,
                    stacklevel=outside(),
                )
            self._failed = True
            return
        self._waiting, self._written, self._failed = [], time.monotonic(), False

    def close(self, **told: object) -> None:
        """Say how it ended, unless something broke it off, and let others write the folder."""
        whole = told and not self._waiting
        state = "interrupted" if not whole else "stopped" if told["stopped"] else "waiting"
        with contextlib.suppress(OSError):
            self._folder.say(state=state, ended=told)
        self._journal.close()
        self._folder.close()


def cycles_in(path: str | os.PathLike[str], call: str) -> xr.Dataset:
    """Return the dataset of a folder, as far as it is.

    Raises
    ------
    DataError
        If there is none, or it cannot be read.
    """
    record = record_of(path, call)
    where = f"{call}: the store {str(path)!r}"
    if "about" not in record:
        raise DataError(f"{where} holds a run, no cycles. Read it with sd.load.")
    try:
        pieces = [_piece(entry) for entry in whole_entries(Path(path) / CYCLES)]
        if not pieces:
            raise DataError(f"{where} has no cycle that can be read yet.")
        ended = {"stopped": "", "waiting": 0, **record.get("ended", {})}
        return dataset(pieces, {**record["about"], **ended})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{where} cannot be read: {type(error).__name__}: {error}.") from error


def _piece(entry: Entry) -> Piece:
    arrays = {n: entry.arrays[n] for n in entry.arrays if not n.startswith("state.")}
    return Piece(arrays, tuple(str(one) for one in entry.words["messages"]))
