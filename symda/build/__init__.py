"""Build: `Source` -> `Artefact` (a library in the cache) -> loaded module.

`toolchain` finds the compiler, `build` runs it once for each distinct source and keeps the result,
`load` opens the library. No SymPy, and nothing that knows what the module computes.
"""

from symda.build.cache import CacheEntry, CacheWarning, cache_clear, cache_entries, cache_folder
from symda.build.compile import Artefact, build, write_source
from symda.build.doctor import Diagnosis, doctor
from symda.build.load import load
from symda.build.toolchain import NoCompiler, Options, Toolchain, toolchain

__all__ = [
    "Artefact",
    "CacheEntry",
    "CacheWarning",
    "Diagnosis",
    "NoCompiler",
    "Options",
    "Toolchain",
    "build",
    "cache_clear",
    "cache_entries",
    "cache_folder",
    "doctor",
    "load",
    "toolchain",
    "write_source",
]
