"""NetCDF files -> datasets; a file is checked before any of its data is read.

An HDF5 file may point to any other file of the machine, ask for code to be loaded, or declare far
more data than it holds. Files come from other people, so all of that is refused.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symda.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

#: What a file may declare: so many bytes, and so many times its own size. Compressed measurements
#: shrink by a factor of 2 to 20, what is made to fill the memory by 1,000.
ROOM, INFLATION = 64_000_000, 100
#: Filters that HDF5 and h5py bring themselves: deflate, shuffle, fletcher32, szip, nbit,
#: scale-offset, lzf. For any other HDF5 loads a library from a folder of plugins.
FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
#: How NetCDF stores dimensions: attributes that refer to other variables of the file.
DIMENSIONS = frozenset({b"DIMENSION_LIST", b"REFERENCE_LIST"})
#: How a global heap of HDF5 begins: its signature and version.
HEAP = b"GCOL\x01\0\0\0"
#: How a file of NetCDF 3 begins.
CLASSIC = (b"CDF\x01", b"CDF\x02")


def read(path: Path, where: str, expected: str = "a NetCDF file") -> xr.Dataset:
    """Read a NetCDF file, all of it, into memory; times stay the plain numbers of the file.

    Parameters
    ----------
    path : Path
        A file, NetCDF 4 (HDF5) or NetCDF 3.
    where : str
        How messages call it.
    expected : str, optional
        What they say it should be.

    Raises
    ------
    DataError
        If it cannot be read, is damaged, points to something outside itself, or declares more than
        it can hold.
    """
    import h5py
    import xarray as xr

    try:
        with path.open("rb") as file:
            classic = file.read(4) in CLASSIC
        if not classic and not h5py.is_hdf5(path):
            raise DataError(
                f"{where} cannot be read as NetCDF: it begins like neither HDF5 nor NetCDF 3. "
                f"Expected {expected}."
            )
        if not classic:
            check_contained(path, where)
        engine = "scipy" if classic else "h5netcdf"
        return xr.load_dataset(path, engine=engine, decode_times=False).drop_encoding()
    except DataError:
        raise
    # For a damaged file the libraries raise exceptions of many kinds, and document none of them.
    except Exception as error:
        what = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise DataError(
            f"{where} cannot be read as NetCDF: {what.rstrip('.')}. It is damaged, or is something "
            f"else; expected {expected}."
        ) from error


def check_contained(path: Path, where: str) -> None:
    """Refuse an HDF5 file that needs anything but itself; none of its data is read.

    Raises
    ------
    DataError
        For external links, external storage, virtual datasets, links that lead nowhere, links and
        filters of other libraries, types that measurements and runs do not have, and more data than
        64 MB and a hundred times the size of the file.
    """
    import h5py

    if not _heaps_end(path):
        raise DataError(f"{where} is damaged: the texts in it lead nowhere. Take another copy.")
    look = _Look(path, where)
    with h5py.File(path, "r") as file:
        look.through(file)


def _heaps_end(path: Path) -> bool:
    """Whether all texts of variable length can be read; HDF5 itself may never return.

    A global heap (HDF5 File Format Specification, III.E) is a row of objects: number, references,
    size, data. Number 0 is what is left, its size that of all of it; HDF5 2.0 does not see that a
    size of 0 leads it to where it was.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        most = 2 * len(content)  # heaps do not overlap, and what only looks like one is rare
        start = content.find(HEAP)
        while 0 <= start <= len(content) - 16:
            (size,) = struct.unpack_from("<Q", content, start + 8)
            at, end = start + 16, min(start + size, len(content))
            most -= end - start
            while at + 16 <= end:
                number, length = struct.unpack_from("<H6xQ", content, at)
                if most < 0 or (number == 0 and length == 0):
                    return False
                at += 16 + -(-length // 8) * 8 if number else length
            start = content.find(HEAP, start + 1)
    return True


@dataclass
class _Look:
    """A check of one file: what is declared so far, and which objects were seen.

    What is looked at are identifiers of h5py, which have no types.
    """

    path: Path
    where: str
    declared: int = 0
    seen: set[int] = field(default_factory=set)

    def through(self, file: Any) -> None:
        from h5py import h5d, h5g, h5l, h5o

        soft: list[bytes] = []
        groups = [(b"", h5g.open(file.id, b"/"))]
        while groups:
            above, group = groups.pop()
            if self._known(group):
                continue
            self._attributes(group, above or b"/")
            for name in list(group):
                place = above + b"/" + name
                kind = group.links.get_info(name).type
                if kind == h5l.TYPE_SOFT:
                    soft.append(place)
                elif kind == h5l.TYPE_EXTERNAL:
                    self._refuse(place, "is a link to another file")
                elif kind != h5l.TYPE_HARD:
                    self._refuse(place, "is a link that only another library can follow")
                else:
                    # a hard link stays inside the file
                    found = h5o.open(group, name)
                    if isinstance(found, h5g.GroupID):
                        groups.append((place, found))
                    elif not isinstance(found, h5d.DatasetID):
                        self._refuse(place, "is a data type of its own")
                    elif not self._known(found):
                        self._attributes(found, place)
                        self._dataset(found, place)
        # no link leaves the file, so these can only lead to what was seen, or nowhere
        for place in soft:
            try:
                there = h5o.exists_by_name(file.id, place)
            except (KeyError, RuntimeError):  # a part of the way is missing, or it goes in a ring
                there = False
            if not there:
                self._refuse(place, "is a link that leads nowhere")

    def _known(self, found: Any) -> bool:
        from h5py import h5o

        address = h5o.get_info(found).addr
        known = address in self.seen
        self.seen.add(address)
        return known

    def _dataset(self, found: Any, place: bytes) -> None:
        from h5py import h5d

        made = found.get_create_plist()
        if made.get_layout() == h5d.VIRTUAL:
            self._refuse(place, "is put together from other files (a virtual dataset)")
        if made.get_external_count():
            self._refuse(place, f"is stored in another file, {made.get_external(0)[0]!r}")
        for number in range(made.get_nfilters()):
            code, _, _, name = made.get_filter(number)
            if code not in FILTERS:
                self._refuse(place, f"is packed by the filter {code} ({_text(name)}), a plugin")
        self._type(found.get_type(), place)
        chunk = made.get_chunk() if made.get_layout() == h5d.CHUNKED else ()
        self._count(max(math.prod(found.shape or (0,)), math.prod(chunk)), found, place)

    def _attributes(self, found: Any, place: bytes) -> None:
        from h5py import h5a

        for number in range(h5a.get_num_attrs(found)):
            attribute = h5a.open(found, index=number)
            if attribute.name not in DIMENSIONS:
                self._type(attribute.get_type(), place + b"@" + attribute.name)
            self._count(math.prod(attribute.shape or (0,)), attribute, place)

    def _count(self, size: int, found: Any, place: bytes) -> None:
        self.declared += size * found.get_type().get_size()
        length = self.path.stat().st_size
        if self.declared > ROOM + INFLATION * length:
            self._refuse(
                place,
                f"would take {self.declared:,} bytes of memory with what stands before it, in a "
                f"file of {length:,} bytes",
            )

    def _type(self, kind: Any, place: bytes) -> None:
        from h5py import h5t

        ordinary = (h5t.INTEGER, h5t.FLOAT, h5t.STRING, h5t.ENUM)
        if kind.committed() or kind.get_class() not in ordinary:
            self._refuse(place, "holds something else than numbers or text")

    def _refuse(self, place: bytes, what: str) -> None:
        raise DataError(
            f"{self.where} is refused, and none of its data was read: {_text(place)} in it {what}. "
            "Expected a file that holds all of its data itself, plainly; ask who made it for one."
        )


def _text(name: bytes) -> str:
    # repr without its quotes: nothing in a name may act on a terminal
    return repr(name.decode("utf-8", "replace"))[1:-1]
