"""A folder that keeps a run as it goes: who writes it, whose it is, how far it is."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symda.anneal.provenance import versions
from symda.anneal.storage.identity import differences
from symda.anneal.storage.journal import whole_entries, written_paths
from symda.anneal.storage.ledger import Stage, StoreWarning
from symda.anneal.storage.rows import Rows, current, on_disk, opened, replaced
from symda.checks import outside
from symda.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

#: The words of the command that makes a run, for who goes on with it from a shell.
COMMAND: ContextVar[list[str] | None] = ContextVar("command", default=None)
#: The file that makes a folder a store, and that of whoever writes it.
RECORD, LOCK = "run.json", "writer.lock"
#: Where cycles are, in a store of such.
CYCLES = "cycles"
FORMAT = 1
#: Differences that a message lists; the others are counted.
LISTED = 8
#: A full disk is told of before the run if it has less room than this many bytes.
ROOM = 10_000_000


@contextlib.contextmanager
def begun_by(words: Sequence[str]) -> Iterator[None]:
    """Record in stores that are opened inside that a command made them."""
    before = COMMAND.set(list(words))
    try:
        yield
    finally:
        COMMAND.reset(before)


class RunStore:
    """A folder of one run.

    Parameters
    ----------
    path : str or path
        The folder; made with its parents by `open`.
    call : str
        How messages name the call that keeps it.

    Raises
    ------
    DataError
        If that is no path, or there is something else.
    """

    def __init__(self, path: str | os.PathLike[str], call: str = "anneal") -> None:
        if not isinstance(path, str | os.PathLike) or not str(path) or "\0" in str(path):
            raise DataError(
                f"{call}: store must be the name of a folder, such as 'runs/first', got {path!r}."
            )
        self.path, self._call = Path(path), call
        self._lock: Any = None
        self._record: dict[str, Any] = {}
        self._stages: dict[int, tuple[Stage, Rows]] = {}

    @property
    def complete(self) -> bool:
        """Whether the run that is there is over."""
        return bool(self._record.get("state") == "complete")

    def open(self, identity: Mapping[str, Any], model: str, command: list[str] | None) -> None:
        """Become the writer of the folder; what is there has to be a run of the same identity.

        Raises
        ------
        DataError
            If another process writes it, it holds something else or the run of another problem,
            or it cannot be written.
        """
        where = f"{self._call}: the store {str(self.path)!r}"
        # what is compared has been in a file
        identity = json.loads(json.dumps(identity))
        there = _read(self.path)
        if os.path.isfile(self.path):
            raise DataError(
                f"{where} cannot be written: it is a file. Give a folder that is empty or not "
                "there yet."
            )
        if there is not None and there.get("state") == "complete":
            self._record = there
            self._check(identity, where)
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if there is None:
                self._refuse_others(where)
            self._become_writer(where)
            there = _read(self.path)
            if there is None:
                self._record = {"format": FORMAT, "identity": identity, "versions": versions()}
                self._record |= {"model": model, "begun": _now()}
            else:
                self._record = there
                self._check(identity, where)
            if shutil.disk_usage(self.path).free < ROOM:
                raise OSError(None, "there is no room left on the device")
            self._record.pop("chosen", None)
            place = str(self.path.resolve())
            self.say(state="running", host=socket.gethostname(), process=os.getpid(), path=place)
            if command is not None:
                self.say(command=command, folder=os.getcwd())
        except OSError as error:
            self.close()
            raise unwritable(where, error) from error
        except DataError:
            self.close()
            raise

    def stage(self, number: int, source: str) -> Stage:
        """Return the memory of the run on its grid of this number, the first one's being 0.

        Raises
        ------
        DataError
            If what is there was found by other emitted code, or nothing can be written.
        """
        before = self._record.setdefault("sources", {}).setdefault(str(number), source)
        if before != source:
            raise DataError(
                f"{self._call}: the store {str(self.path)!r} was begun with other code for the "
                f"same equations, of symda {self._record['versions']['symda']}. Go on with that "
                "version, or take another folder."
            )
        folder = self.path / str(number)
        rows = Rows(folder)
        try:
            self.say()
            folder.mkdir(exist_ok=True)
            stage = Stage(folder / "journal", rows)
            on_disk(folder)
            on_disk(self.path)
        except OSError as error:
            raise unwritable(f"{self._call}: the store {str(self.path)!r}", error) from error
        self._stages[number] = stage, rows
        return stage

    def finish(self, dataset: xr.Dataset, number: int) -> None:
        """Write what was found out at the end, and that the run is over unless it was interrupted.

        The dataset is that of the grid of this number.
        """
        stage, rows = self._stages[number]
        undone = any(one.undone for one, _ in self._stages.values())
        over = not (dataset.attrs["interrupted"] or undone)
        try:
            if not stage.written:
                raise OSError(None, "not all paths could be written")
            rows.describe(dataset)
            more = {"files": rows.seal()} if over else {}
            self.say(
                state="complete" if over else "interrupted", chosen=number, ended=_now(), **more
            )
        except OSError as error:
            warnings.warn(
                f"{self._call}: the store {str(self.path)!r} cannot be written: "
                f"{error.strerror or error}. The paths it has are kept and the same call goes on "
                "from them; what is returned is whole: save it elsewhere.",
                StoreWarning,
                stacklevel=outside(),
            )
            return
        if undone and not dataset.attrs["interrupted"]:
            warnings.warn(
                f"anneal: paths were lost with their executor. The store {str(self.path)!r} keeps "
                "the others, and the same call, with an executor that works, does these again.",
                StoreWarning,
                stacklevel=outside(),
            )
        for other, _ in self._stages.values():
            other.close()
        if over:
            # paths are in the dataset now, those that count
            with contextlib.suppress(OSError):
                (self.path / str(number) / "journal").unlink()
            for one in self.path.iterdir():
                if one.name.isdigit() and one.name != str(number):
                    shutil.rmtree(one, ignore_errors=True)

    @property
    def earlier(self) -> float:
        """Seconds of earlier sessions on finer grids."""
        return sum(stage.earlier for number, (stage, _) in self._stages.items() if number)

    def dataset(self) -> xr.Dataset:
        """Return the dataset of the run that is there."""
        return dataset_of(self.path, self._call)

    def say(self, **more: object) -> None:
        """Write the record, with some entries added; it appears whole or not at all.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self._record |= more
        replaced(self.path / RECORD, json.dumps(self._record, indent=1))

    def close(self) -> None:
        """Let others write the folder."""
        for stage, _ in self._stages.values():
            stage.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _become_writer(self, where: str) -> None:
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / LOCK)
        try:
            # who looks whether somebody writes holds it for a moment
            lock.acquire(timeout=1)
        except Timeout:
            told = _read(self.path) or {}
            raise DataError(
                f"{where} is being written by process {told.get('process', '?')} on "
                f"{told.get('host', '?')}. Wait for its end, or take another folder."
            ) from None
        self._lock = lock

    def _refuse_others(self, where: str) -> None:
        others = sorted(one.name for one in self.path.iterdir() if not _own(one.name))
        if others:
            raise DataError(
                f"{where} is a folder of other things ({', '.join(others[:LISTED])}) and no store. "
                "Give a folder that is empty or not there yet."
            )

    def _check(self, identity: Mapping[str, Any], where: str) -> None:
        """Refuse another run than the one that is there."""
        there = self._record["identity"]
        kinds = [one["action"].get("what", "a run") for one in (there, identity)]
        if kinds[0] != kinds[1]:
            raise DataError(
                f"{where} holds {kinds[0]}, and this call makes {kinds[1]}. Take another folder."
            )
        found = differences(there, identity)
        if found:
            more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
            raise DataError(
                f"{where} holds another run. Different are: {', '.join(found[:LISTED])}{more}. "
                "Make the same call as before, or take another folder."
            )
        here, then = versions(), self._record["versions"]
        other = [f"{n} {v} (now {here.get(n)})" for n, v in then.items() if here.get(n) != v]
        if other and not self.complete:
            warnings.warn(
                f"{where} was begun with {', '.join(other)}: paths that are still to come may "
                "differ from what they would have been by rounding.",
                StoreWarning,
                stacklevel=outside(),
            )


@dataclass(frozen=True)
class StoredRun:
    """What `symda runs` tells of a folder."""

    path: Path
    model: str
    #: running, killed, interrupted or complete, of cycles stopped, or waiting for data; running?:
    #: not known.
    state: str
    paths: int  #: Those that ended, or cycles.
    lowest: float  #: The lowest level they ended at; nan where none did.
    begun: str


def is_store(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is a store."""
    return os.path.isfile(Path(path) / RECORD)


def record_of(path: str | os.PathLike[str], call: str) -> dict[str, Any]:
    """Return what a store says of itself.

    Raises
    ------
    DataError
        If that cannot be read.
    """
    found = _read(Path(path))
    if found is None:
        raise DataError(
            f"{call}: {str(path)!r} is no store: there is no {RECORD} in it. Pass the folder that "
            "a run was given as store; `symda runs FOLDER` lists those in a folder."
        )
    return found


def stored_run(path: Path) -> StoredRun:
    """Look at a store without waiting for its writer."""
    record = record_of(path, "runs")
    state = str(record.get("state", "running"))
    if state == "running":
        state = {True: "running", False: "killed", None: "running?"}[_held(path)]
    levels: list[float] = []
    if "about" in record:
        levels = [float("nan")] * _cycles(path / CYCLES)
    elif state == "complete":
        levels = dataset_of(path, "runs")["action"].values[:, -1].tolist()
    else:
        journals = sorted(path.glob("*/journal"), key=lambda one: one.parent.name)
        levels = written_paths(journals[-1]) if journals else []
    lowest = min((level for level in levels if level == level), default=float("nan"))
    begun = str(record.get("begun", ""))
    return StoredRun(path, str(record.get("model", "")), state, len(levels), lowest, begun)


def _cycles(file: Path) -> int:
    """Return how many cycles there are in a file."""
    entries = whole_entries(file) if file.is_file() else []
    return sum(len(entry.words["messages"]) for entry in entries)


def dataset_of(path: str | os.PathLike[str], call: str) -> xr.Dataset:
    """Open the dataset of a store, whole or as far as it is; its arrays are read when asked for.

    Raises
    ------
    DataError
        If there is none yet, or it cannot be read.
    """
    record, folder = record_of(path, call), Path(path)
    if "about" in record:
        raise DataError(
            f"{call}: the store {str(path)!r} holds cycles, no run. Read it with "
            f"sd.Cycles.load({str(path)!r})."
        )
    number, over = record.get("chosen"), record.get("state") == "complete"
    if number is None:
        grids = [one.parent for one in folder.glob("*/rows.json") if one.parent.name.isdigit()]
        number = max((int(one.name) for one in grids), default=0)
    if not isinstance(number, int) or number < 0:
        raise DataError(f"{call}: the store {str(path)!r} cannot be read: it chose {number!r}.")
    group = current(folder / str(number))
    if group is None:
        raise DataError(
            f"{call}: the store {str(path)!r} has no path that can be read yet: they are written "
            "for readers after a round, and some twenty seconds. To go on, make the call again "
            "that began it."
        )
    try:
        if over:
            _check_files(group, record.get("files"))
        found = opened(group)
        if not over:
            # a session that goes on will remove it
            found = found.load()
    # for damaged files the libraries raise exceptions of many kinds, and document none of them
    except Exception as error:
        raise DataError(
            f"{call}: the store {str(path)!r} cannot be read: {type(error).__name__}: {error}."
        ) from error
    if not over:
        found.attrs["interrupted"] = 1
    return found


def _check_files(group: Path, files: object) -> None:
    """Refuse a group that lacks one of its files, or in which one has another size."""
    if not isinstance(files, Mapping):
        raise TypeError("its record names no files")
    for name, size in files.items():
        file = group / name
        if not file.is_file() or file.stat().st_size != size:
            raise OSError(f"{name} is missing or cut off")


def unwritable(where: str, error: OSError) -> DataError:
    """Return the error of a store that cannot be written."""
    return DataError(
        f"{where} cannot be written: {error.strerror or error}. Make room, or give a folder that "
        "can."
    )


def _own(name: str) -> bool:
    """Whether a file is of a store that nothing was written of yet."""
    return name == LOCK or (name.startswith(f".{RECORD}.") and name.endswith(".part"))


def _held(path: Path) -> bool | None:
    """Whether somebody writes a store; None if that cannot be told."""
    from filelock import FileLock, Timeout

    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return None
    lock.release()
    return False


def _read(path: Path) -> dict[str, Any] | None:
    """Return the record of a folder; None if there is none."""
    file = path / RECORD
    # not Path's own method, which raises what the system says of a name that is too long
    if not os.path.isfile(file):
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found["identity"], dict):
            raise TypeError("it is no record of a run")
        if found["format"] != FORMAT:
            raise ValueError(
                f"it has the format {found['format']!r}, and this symda reads {FORMAT}"
            )
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"the store {str(path)!r} cannot be read: {RECORD}: {error}. Take the symda that wrote "
            "it, or another folder."
        ) from error
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
