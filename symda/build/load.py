"""Library on disk -> module in this process."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
from pathlib import Path
from types import ModuleType

from symda.build.compile import Artefact
from symda.errors import BuildError


def load(library: Artefact | str | Path) -> ModuleType:
    """Load a compiled module; the same path gives the same module.

    Parameters
    ----------
    library : Artefact or path-like
        The extension module; the file name up to the first dot is the module name.

    Returns
    -------
    ModuleType
        The module.

    Raises
    ------
    BuildError
        The file is missing, is not an extension module of this Python, or fails to initialise.
    """
    path = library.library if isinstance(library, Artefact) else Path(library)
    return _load(path.absolute())


@functools.cache
def _load(path: Path) -> ModuleType:
    name = path.name.partition(".")[0]
    if not path.is_file():
        raise BuildError(
            f"the compiled module {name} is gone: no file {path}. "
            "Was the cache cleared? Build it again."
        )
    loader = importlib.machinery.ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None:
        raise BuildError(f"the compiled module {name} cannot be loaded: {path} is no module file.")
    try:
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    except Exception as error:  # a module's own initialisation may raise anything
        raise BuildError(
            f"the compiled module {name} cannot be loaded: {error}. The file is {path}; if it was "
            "built for another machine or Python, run `symda cache clear` and build it again."
        ) from error
    return module
