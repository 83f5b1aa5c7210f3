"""`Source` -> `Artefact`: Cython, then the C compiler, and the result kept in the cache."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING

from symda.build import cache
from symda.build.toolchain import (
    COMPILER_VARIABLES,
    NoCompiler,
    Options,
    Toolchain,
    predefined_macros,
    tool_environment,
    toolchain,
)
from symda.errors import BuildError, OptionError

if TYPE_CHECKING:
    from symda.emit import Source

# Counted up when entries of the cache come to mean something else than before.
RECIPE = 1
SHOWN_LINES = 15

_ERROR = re.compile(r"\berror\b|undefined reference|undefined symbol", re.IGNORECASE)
_DISK_FULL = {"No space left on device": ENOSPC, "Disk quota exceeded": EDQUOT}


@dataclass(frozen=True)
class Artefact:
    """A compiled module on disk."""

    source: Source  #: What it was built from.
    library: Path  #: The extension module.
    seconds: float  #: Wall time the request took.
    cached: bool  #: Whether it was there already.


def build(source: Source, options: Options | None = None) -> Artefact:
    """Compile a source, or find the result of having done so.

    The key of the cache covers the text, both command lines, compiler, processor features,
    Cython and Python: all that decides the binary. Any number of processes may build the same
    source at once.

    Parameters
    ----------
    options : Options, optional
        Compiler, flags.

    Returns
    -------
    Artefact
        Pass it to `load`.

    Raises
    ------
    NoCompiler
        This machine has no usable toolchain.
    BuildError
        Cython or the C compiler failed; the message has the beginning of theirs.
    OptionError
        A refused flag or a malformed environment variable.

    Warns
    -----
    CacheWarning
        The cache folder cannot be written; a temporary one is used.
    """
    started = time.perf_counter()
    options = Options() if options is None else options
    chain = toolchain(options.cc)
    if not chain.usable:
        raise NoCompiler(
            f"{source.name} cannot be compiled: {chain.why}. "
            "Without a compiler the CasADi virtual machine evaluates the model, more slowly."
        )
    flags = options.resolve(chain)
    try:
        library, cached = build_in(cache.cache_folder(), source, chain, flags)
    except OSError as error:
        warnings.warn(
            f"the cache folder {cache.cache_folder()} cannot be used ({error.strerror or error}); "
            "building in a temporary folder that is removed when this process ends. Make room "
            "or choose another folder with the environment variable SYMDA_CACHE.",
            cache.CacheWarning,
            stacklevel=2,
        )
        library, cached = _build_in_scratch(source, chain, flags)
    return Artefact(source, library, time.perf_counter() - started, cached)


def build_in(
    root: Path, source: Source, chain: Toolchain, flags: tuple[str, ...]
) -> tuple[Path, bool]:
    """Compile a source into the cache below `root` unless it is there.

    Parameters
    ----------
    root : Path
        Cache folder.
    flags : tuple of str
        All flags that matter, ``-march=native`` included.

    Returns
    -------
    library : Path
        The extension module.
    cached : bool
        Whether it was there already.

    Raises
    ------
    BuildError
        Cython or the C compiler failed.
    OSError
        `root` cannot be written.
    """
    what = identity(source, chain, flags)
    key = cache.key_of(what)
    library = cache.find(root, key, source.name)
    if library is not None:
        return library, True
    with cache.locked(root, key):
        # Another process may have built it while this one waited.
        library = cache.find(root, key, source.name)
        if library is not None:
            return library, True
        with cache.build_folder(root, key) as folder:
            _write(source.text, folder / f"{source.name}.pyx")
            for tool, command in commands(source.name, chain, flags).items():
                _run(tool, command, folder, root, key, source.name)
            return cache.publish(folder, root, key, source.name, what), False


def commands(name: str, chain: Toolchain, flags: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the two command lines of a build, run in the folder of the source.

    File names are relative, so the C code and the binary do not depend on where they are made.

    Parameters
    ----------
    flags : tuple of str
        Flags of the C compiler.

    Returns
    -------
    dict
        Name of the tool -> arguments, in the order of the run.
    """
    cython = ("-m", "cython", "-3", "--module-name", name, "-o", f"{name}.c", f"{name}.pyx")
    # -fwrapv: Python's own C interface assumes that signed integers wrap.
    fixed = ("-fPIC", "-fwrapv", "-DNDEBUG", *(f"-I{folder}" for folder in chain.include))
    output = (*chain.link, "-o", cache.library_name(name), f"{name}.c", "-lm")
    return {
        "Cython": (sys.executable, *cython),
        "the C compiler": (*chain.command, *flags, *fixed, *output),
    }


def identity(source: Source, chain: Toolchain, flags: tuple[str, ...]) -> dict[str, object]:
    """Return everything that decides the binary, as plain data.

    Parameters
    ----------
    flags : tuple of str
        Flags of the C compiler.

    Returns
    -------
    dict
        Made of strings, so it has one JSON form.
    """
    both = commands(source.name, chain, flags)
    return {
        "recipe": RECIPE,
        "name": source.name,
        "text": hashlib.sha256(source.text.encode()).hexdigest(),
        "cython": [importlib.metadata.version("cython"), *both["Cython"][1:]],
        "compiler": [chain.version, *both["the C compiler"]],
        "target": predefined_macros(chain.command, flags) or "",
        "environment": {name: os.environ.get(name) for name in COMPILER_VARIABLES},
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "abi": cache.library_name(""),
        "machine": [platform.system(), platform.machine(), *platform.libc_ver()],
    }


def write_source(source: Source, folder: str | Path) -> Path:
    """Write a source as ``<stem>.pyx`` for people to read.

    The file name carries no digest, so writing a changed model again shows as a change of one file.

    Parameters
    ----------
    folder : path-like
        Made if it does not exist.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OptionError
        The folder cannot be written.
    """
    path = Path(folder) / f"{source.stem}.pyx"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(source.text, path)
    except OSError as error:
        raise OptionError(
            f"the source {source.name} cannot be written to {path} ({error.strerror}). "
            "Choose a folder you may write to."
        ) from error
    return path


def _write(text: str, path: Path) -> None:
    # Bytes, so that line ends are the same everywhere.
    path.write_bytes(text.encode())


def _build_in_scratch(
    source: Source, chain: Toolchain, flags: tuple[str, ...]
) -> tuple[Path, bool]:
    try:
        return build_in(cache.scratch_folder(), source, chain, flags)
    except OSError as error:
        raise BuildError(
            f"{source.name} cannot be compiled: neither the cache folder "
            f"{cache.cache_folder()} nor a temporary folder can be written "
            f"({error.strerror or error}). Make room, or choose other folders with the "
            "environment variables SYMDA_CACHE and TMPDIR."
        ) from error


def _run(
    tool: str, command: tuple[str, ...], folder: Path, root: Path, key: str, name: str
) -> None:
    log = folder / "output.txt"
    with log.open("wb") as output:
        try:
            code = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                env=tool_environment(),
            ).returncode
        except OSError as error:
            if not folder.is_dir():
                raise
            raise BuildError(
                f"{tool} could not be started for {name}: {command[0]}: {error.strerror}. "
                "Run `symda doctor`."
            ) from error
    if code == 0:
        return
    text = log.read_text(errors="replace")
    for sign, number in _DISK_FULL.items():
        if sign in text:
            raise OSError(number, os.strerror(number), str(folder))
    kept = cache.keep_failed(folder, root, key)
    outcome = f"was killed by signal {-code}" if code < 0 else f"failed with exit status {code}"
    raise BuildError(
        f"{tool} {outcome} on {name}:\n{_excerpt(text)}\n"
        f"The source and the whole output are kept in {kept}. If the message is not about the "
        "machine (`symda doctor` checks it), the emitted code is at fault: please report it."
    )


def _excerpt(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    first = next((i for i, line in enumerate(lines) if _ERROR.search(line)), 0)
    shown = lines[first : first + SHOWN_LINES]
    rest = len(lines) - first - len(shown)
    if rest:
        shown.append(f"... ({rest} more lines)")
    return "\n".join(f"  {line}" for line in shown) or "  (no output)"
