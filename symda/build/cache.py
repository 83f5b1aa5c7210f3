"""The cache of compiled modules: one folder an entry, finished or absent, never half-made.

Layout below the cache folder, with ``<key>`` the digest of everything that decides the binary::

    <key[:2]>/<key>/            <name>.pyx, <name><EXT_SUFFIX>, build.json
    <key[:2]>/<key>.<id>.tmp/   a build under way, or one that was killed
    <key[:2]>/<key>.lock        held while building
    failed/<key>/               source, C code and messages of a build that failed
    answers/<key>               what a compiler said, under the digest of all it depends on
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import sysconfig
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from errno import ENOLCK
from pathlib import Path

from symda.errors import BuildError

RECORD = "build.json"
ANSWERS = "answers"

_KEY = re.compile(r"[0-9a-f]{64}")
_OURS = re.compile(r"[0-9a-f]{64}(\.lock|\.[0-9a-f]{32}\.tmp)?")


class CacheWarning(UserWarning):
    """The cache cannot be used; what is built lasts for this process only."""


@dataclass(frozen=True)
class CacheEntry:
    """One compiled module in the cache."""

    key: str  #: Digest of everything that decides the binary.
    name: str  #: Module name.
    bytes: int  #: Size of the entry on disk.
    created: datetime  #: When it was built, UTC.
    folder: Path  #: Where it lies.


def cache_folder() -> Path:
    """Return the cache folder: ``$SYMDA_CACHE``, else the user's cache folder of the platform.

    Returns
    -------
    Path
        Absolute; it need not exist. A temporary one if the environment leads to none.

    Raises
    ------
    BuildError
        There is no place for a temporary one either.

    Warns
    -----
    CacheWarning
        There is no home to put it in.
    """
    try:
        return chosen_folder()
    except BuildError as reason:
        warnings.warn(
            f"{reason} What is built now is removed when this process ends.",
            CacheWarning,
            stacklevel=2,
        )
        return scratch_folder()


def chosen_folder() -> Path:
    """Return the cache folder that the environment leads to.

    Raises
    ------
    BuildError
        It leads to none: no home of that name, or of the user at all.
    """
    chosen = os.environ.get("SYMDA_CACHE")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        import platformdirs

        folder = Path(platformdirs.user_cache_dir("symda"))
    # RuntimeError: no home; KeyError: no such user; OSError: no working directory
    except (RuntimeError, KeyError, OSError) as error:
        where = f"SYMDA_CACHE={chosen}" if chosen else "the environment"
        raise BuildError(
            f"no cache folder: {where} does not lead to one ({error}). Set the environment "
            "variable SYMDA_CACHE to a folder you may write to."
        ) from error
    if not folder.is_absolute():  # what became of ~ without a home
        raise BuildError(
            "no cache folder: there is no home folder. Set the environment variable SYMDA_CACHE "
            "to a folder you may write to."
        )
    return folder


def cache_entries() -> list[CacheEntry]:
    """List the compiled modules in the cache, oldest first.

    Returns
    -------
    list of CacheEntry
        Killed and failed builds are not among them.
    """
    entries = []
    for folder in _ours(cache_folder()):
        name = _recorded_name(folder) if _KEY.fullmatch(folder.name) else None
        if name is not None and folder.parent.name != "failed":
            with contextlib.suppress(OSError):  # another process clears the cache
                created = datetime.fromtimestamp((folder / RECORD).stat().st_mtime, tz=UTC)
                entries.append(CacheEntry(folder.name, name, _size(folder), created, folder))
    return sorted(entries, key=lambda entry: (entry.created, entry.key))


def cache_clear() -> int:
    """Remove everything symda has put into the cache, and nothing else.

    Returns
    -------
    int
        Bytes freed, those of killed and failed builds included.

    Raises
    ------
    BuildError
        Something could not be removed.
    """
    freed = 0
    root = cache_folder()
    for path in _ours(root):
        size = _size(path)
        try:
            _remove(path)
        except OSError as error:
            raise BuildError(
                f"cache: {path} could not be removed ({error.strerror}). Check who owns it, or "
                "choose another folder with the environment variable SYMDA_CACHE."
            ) from error
        freed += size
        with contextlib.suppress(OSError):  # not empty yet, or not only ours
            path.parent.rmdir()
    with contextlib.suppress(OSError):
        root.rmdir()
    return freed


def library_name(name: str) -> str:
    """Return the file name of module `name` as this Python loads it."""
    return name + str(sysconfig.get_config_var("EXT_SUFFIX"))


def key_of(identity: Mapping[str, object]) -> str:
    """Return the key of an entry: SHA-256 of all that decides the binary."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def find(root: Path, key: str, name: str) -> Path | None:
    """Return the library of a finished and undamaged entry; takes no lock and writes nothing.

    Parameters
    ----------
    root : Path
        Cache folder.
    key, name : str
        Key of the entry and name of its module.

    Returns
    -------
    Path or None
        None: no such entry, or its library is not the one that was built.
    """
    folder = _entry(root, key)
    library = folder / library_name(name)
    try:
        recorded = json.loads((folder / RECORD).read_text())["library"]
        content = library.read_bytes()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # A damaged library must not reach the loader: a truncated one crashes the process.
    return library if hashlib.sha256(content).hexdigest() == recorded else None


@contextlib.contextmanager
def locked(root: Path, key: str) -> Iterator[None]:
    """Hold the lock of one key; the system drops it when the process dies."""
    import filelock

    _entry(root, key).parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(_entry(root, key).with_name(f"{key}.lock"))
    try:
        lock.acquire()
    except NotImplementedError as error:  # filelock 3 on a file system without flock
        raise OSError(ENOLCK, "no file locks there") from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def build_folder(root: Path, key: str) -> Iterator[Path]:
    """Give a new, empty folder beside the entry; whatever is left in it at the end is removed."""
    folder = _entry(root, key).with_name(f"{key}.{uuid.uuid4().hex}.tmp")
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, root: Path, key: str, name: str, identity: Mapping[str, object]) -> Path:
    """Turn a build folder with a finished library into the entry, in one rename.

    Parameters
    ----------
    folder : Path
        Folder with ``<name>.pyx`` and the library.
    root : Path
        Cache folder.
    key, name : str
        Key of the entry and name of its module.
    identity : mapping
        What the key is the digest of; kept for people to read.

    Returns
    -------
    Path
        The library in its final place.
    """
    library = library_name(name)
    kept = {f"{name}.pyx", library}
    for path in folder.iterdir():
        if path.name not in kept:  # the C code is many times the size of both
            _remove(path)
    digest = hashlib.sha256((folder / library).read_bytes()).hexdigest()
    record = {"name": name, "library": digest, "identity": dict(identity)}
    (folder / RECORD).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    entry = _entry(root, key)
    _set_aside(entry)
    os.replace(folder, entry)
    return entry / library


def keep_failed(folder: Path, root: Path, key: str) -> Path:
    """Move a build folder to ``failed/<key>``, replacing an earlier failure; return its place."""
    kept = root / "failed" / key
    kept.parent.mkdir(exist_ok=True)
    _remove(kept)
    os.replace(folder, kept)
    return kept


def recall(key: str) -> str | None:
    """Return an answer that was kept, a digest, or None."""
    try:
        answer = (chosen_folder() / ANSWERS / key).read_text()
    except (OSError, ValueError, BuildError):
        return None
    return answer if _KEY.fullmatch(answer) else None


def remember(key: str, answer: str) -> None:
    """Keep an answer if there is a place; the file appears whole or not at all."""
    with contextlib.suppress(OSError, BuildError):
        file = chosen_folder() / ANSWERS / key
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f"{key}.{uuid.uuid4().hex}.tmp")
        try:
            draft.write_text(answer)
            os.replace(draft, file)
        finally:
            draft.unlink(missing_ok=True)


@functools.cache
def scratch_folder() -> Path:
    """Return the folder that stands in for the cache in this process, removed when it ends.

    Raises
    ------
    BuildError
        There is no place for temporary files.
    """
    try:
        folder = tempfile.mkdtemp(prefix="symda-")
    except OSError as error:
        raise BuildError(
            f"there is no folder for temporary files ({error.strerror or error}). Make room, or "
            "name one with the environment variable TMPDIR."
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _entry(root: Path, key: str) -> Path:
    return root / key[:2] / key


def _ours(root: Path) -> list[Path]:
    # Recognised by name: SYMDA_CACHE may point to a folder that holds other things as well.
    folders = ("[0-9a-f][0-9a-f]", "failed", ANSWERS)
    candidates = [path for folder in folders for path in root.glob(f"{folder}/*")]
    return sorted(path for path in candidates if _OURS.fullmatch(path.name))


def _recorded_name(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / RECORD).read_text())["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _set_aside(entry: Path) -> None:
    # A folder cannot replace a non-empty one, so a damaged entry is renamed first.
    if entry.exists():
        aside = entry.with_name(f"{entry.name}.{uuid.uuid4().hex}.tmp")
        os.replace(entry, aside)
        shutil.rmtree(aside, ignore_errors=True)


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    total = 0
    for file in files:
        with contextlib.suppress(OSError):
            total += file.stat().st_size if file.is_file() else 0
    return total
