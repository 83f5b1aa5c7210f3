"""A journal: what each task of a run found, written whole as it ends, so that it can go on."""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from symda.anneal.task import PathResult
from symda.status import Status
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.solve import Solution

#: Before each entry: a mark, the checksum of what follows, the lengths of its words and numbers.
HEAD = struct.Struct("<4sIQQ")
MARK = b"sdj1"
#: Arrays that stay on disk and are read when they are asked for.
LARGE = frozenset({"states", "momenta", "fit", "states_by_beta"})
#: More words than an entry has in any case: a length beyond it is damage.
MOST = 1 << 31


@dataclass(frozen=True)
class Entry:
    """What was written at one time: a kind, words, the paths that ended, arrays by name."""

    kind: str
    words: Mapping[str, Any]
    results: tuple[PathResult, ...] = ()
    arrays: Mapping[str, FloatArray] = field(default_factory=dict)


class Source:
    """A file that is read at places, as long as anybody asks, though it may be deleted."""

    def __init__(self, path: Path) -> None:
        self._file, self._lock = path.open("rb"), threading.Lock()

    def __del__(self) -> None:
        """Close the file with the last who asks."""
        self._file.close()

    def array(self, offset: int, kind: str, shape: Sequence[int]) -> np.ndarray[Any, Any]:
        """Read an array."""
        count = math.prod(shape)
        dtype = np.dtype(kind)
        with self._lock:
            self._file.seek(offset)
            text = self._file.read(count * dtype.itemsize)
        return np.frombuffer(text, dtype, count).reshape(shape).copy()


class Arrays(Mapping[str, FloatArray]):
    """Arrays of an entry by name, read each time they are asked for."""

    def __init__(self, source: Source, places: Mapping[str, Any]) -> None:
        self._source, self._places = source, places

    def __getitem__(self, name: str) -> FloatArray:
        """Read an array."""
        return self._source.array(*self._places[name])

    def __iter__(self) -> Iterator[str]:
        """Iterate over names."""
        return iter(self._places)

    def __len__(self) -> int:
        """Count them."""
        return len(self._places)


class Stored(PathResult):
    """A path's record whose large arrays are in a journal, read each time they are asked for."""

    def __getattr__(self, name: str) -> Any:
        """Read an array; called for what is not in memory only."""
        at = self.__dict__.get("_at", {}).get(name)
        if at is None:
            raise AttributeError(name)
        source: Source = self.__dict__["_source"]
        return source.array(*at)


class Journal:
    """A file that grows by whole entries.

    An entry is on the disk when `add` returns. One that was cut off by the end of a process has
    another checksum or length: it and what follows are cut away when the file is opened.

    Parameters
    ----------
    path : Path
        The file; made if it is not there.

    Raises
    ------
    OSError
        If it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = path.open("a+b")
        self._source = Source(path)
        self.entries: list[Entry] = []
        self._end = 0
        for entry, end in _read(path, self._source):
            self.entries.append(entry)
            self._end = end
        self._file.truncate(self._end)

    def add(
        self,
        kind: str,
        words: Mapping[str, Any],
        results: Sequence[PathResult] = (),
        arrays: Mapping[str, FloatArray] = MappingProxyType({}),
    ) -> tuple[PathResult, ...]:
        """Write an entry; return the results as records whose large arrays are on the disk.

        Raises
        ------
        OSError
            If it cannot be written; the file is as it was before.
        """
        parts: list[bytes] = []
        told, at = [], 0
        alone = {name: np.ascontiguousarray(one) for name, one in arrays.items()}
        for one, own in [({}, alone), *map(_taken_apart, results)]:
            places = {}
            for name, array in own.items():
                places[name] = (at, array.dtype.str, list(array.shape))
                parts.append(array.tobytes())
                at += array.nbytes
            told.append({"values": one, "arrays": places})
        record = {"kind": kind, "words": dict(words), "results": told[1:]}
        if alone:
            record["arrays"] = told[0]["arrays"]
        text = json.dumps(record).encode()
        body = b"".join([text, *parts])
        try:
            # what a failed write left behind is cut away
            file = self._file or self._path.open("r+b")
            self._file = None
            file.truncate(self._end)
            file.seek(self._end)
            file.write(HEAD.pack(MARK, zlib.crc32(body), len(text), at))
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            # the buffer still holds something, which must not follow later
            with contextlib.suppress(OSError, NameError):
                file.close()
            raise
        self._file = file
        data = self._end + HEAD.size + len(text)
        self._end = data + at
        return tuple(_result(self._source, one, data) for one in told[1:])

    def close(self) -> None:
        """Close the file for writing; records that are there can be read on."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _read(path: Path, source: Source) -> Iterator[tuple[Entry, int]]:
    """Yield the whole entries of a journal, and where each ends."""
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at + HEAD.size <= size:
            mark, checksum, words, numbers = HEAD.unpack(file.read(HEAD.size))
            data = at + HEAD.size + words
            if mark != MARK or words > MOST or data + numbers > size:
                return
            text = file.read(words)
            total = zlib.crc32(text)
            left = numbers
            while left:
                piece = file.read(min(left, 1 << 20))
                total, left = zlib.crc32(piece, total), left - len(piece)
            if total != checksum:
                return
            try:
                found = json.loads(text)
                results = tuple(_result(source, one, data, numbers) for one in found["results"])
                places = {
                    str(name): _place(place, data, numbers)
                    for name, place in found.get("arrays", {}).items()
                }
                arrays = Arrays(source, places)
                entry = Entry(str(found["kind"]), dict(found["words"]), results, arrays)
            # of somebody else, or of another format
            except (ValueError, TypeError, KeyError, RecursionError, MemoryError):
                return
            at = data + numbers
            yield entry, at


def whole_entries(path: Path) -> list[Entry]:
    """Return the whole entries of a journal, which may be written.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    return [entry for entry, _ in _read(path, Source(path))]


def written_paths(path: Path) -> list[float]:
    """Return the levels of the paths in a journal, which may be written; numbers are not read."""
    size, levels, at = path.stat().st_size, [], 0
    with path.open("rb") as file:
        while at + HEAD.size <= size:
            file.seek(at)
            mark, _, words, numbers = HEAD.unpack(file.read(HEAD.size))
            at += HEAD.size + words + numbers
            if mark != MARK or words > MOST or at > size:
                break
            try:
                levels += [float(one) for one in json.loads(file.read(words))["words"]["levels"]]
            except KeyError:
                continue
            except (ValueError, TypeError, RecursionError):
                break
    return levels


def _taken_apart(result: PathResult) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Return what JSON holds of a path's record, and its arrays, those of its solution too."""
    plain, arrays = _of(result, "")
    solution = plain.pop("solution")
    if solution is not None:
        own, more = _of(solution, "solution.")
        plain["solution"] = own
        arrays |= more
    return plain, arrays


def _of(
    record: PathResult | Solution, prefix: str
) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    plain: dict[str, Any] = {}
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for one in fields(record):
        value = getattr(record, one.name)
        if isinstance(value, np.ndarray):
            arrays[prefix + one.name] = np.ascontiguousarray(value)
        else:
            # numbers of NumPy's are no JSON; Python writes floats so that they read back the same
            plain[one.name] = value.item() if isinstance(value, np.generic) else value
    return plain, arrays


def _result(
    source: Source, told: Mapping[str, Any], data: int, most: int | None = None
) -> PathResult:
    """Return a path's record from what an entry says, its numbers beginning at `data`."""
    here: dict[str, Any] = {}
    on_disk: dict[str, tuple[int, str, tuple[int, ...]]] = {}
    own: dict[str, Any] = {}
    for name, one in told["arrays"].items():
        place = _place(one, data, most)
        if name in LARGE:
            on_disk[name] = place
        elif name.startswith("solution."):
            own[name.removeprefix("solution.")] = source.array(*place)
        else:
            here[name] = source.array(*place)
    values = {"solution": None, **told["values"]}
    if values["solution"] is not None:
        from symda.solve import Solution

        status = Status(values["solution"]["status"])
        values["solution"] = Solution(**{**values["solution"], **own, "status": status})
    found: Stored = object.__new__(Stored)
    found.__dict__.update({**values, **here, "_at": on_disk, "_source": source})
    return found


def _place(told: Sequence[Any], data: int, most: int | None) -> tuple[int, str, tuple[int, ...]]:
    """Return where an array stands, of an entry whose numbers begin at `data`."""
    at, kind, shape = told
    ends = at + math.prod(shape) * np.dtype(kind).itemsize
    if np.dtype(kind).hasobject or min(at, *shape, 0) < 0 or (most is not None and ends > most):
        raise ValueError("there is no such array in this entry")
    return data + at, kind, tuple(shape)
