"""The origin of a run, as text that is stored with its results."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

PACKAGES = ("symda", "numpy", "scipy", "sympy", "casadi", "cython", "xarray", "loky")


def provenance(
    *,
    problem: str,
    source: str | None,
    seconds: float,
    climb_seconds: float,
    settings: Mapping[str, object],
) -> str:
    """Return JSON: the digests of problem and source, versions, settings, machine and times.

    Versions come from package metadata, so nothing is imported for them.
    """
    record = {
        "problem": problem,
        "source": source,
        "versions": versions(),
        "settings": settings,
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "seconds": seconds,
        # wall time of the paths only, on the workers of the settings: what hit rates are paid with
        "climb_seconds": climb_seconds,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return json.dumps(record, default=_plain)


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of what numbers come from."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _plain(value: object) -> object:
    """Return what JSON can hold for values it cannot: arrays as lists, the rest as text."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)
