"""What was measured on: processor, cores, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path


def processor() -> str:
    """Model name of the processor, however this system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        found = re.search(
            r"^model name\s*:\s*(.+)$", info.read_text(encoding="utf-8"), re.MULTILINE
        )
        if found:
            return found[1].strip()
    if platform.system() == "Darwin":
        return _first_line("sysctl", "-n", "machdep.cpu.brand_string")
    return platform.processor() or platform.machine()


def describe() -> dict[str, str | int]:
    """Processor, cores this process may use, and versions."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = ("symda", "casadi", "numpy", "cython", "jax")
    versions = {name: _version(name) for name in packages}
    return {
        "processor": processor(),
        "cores": usable or 1,
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version for name, version in versions.items() if version},
        "gcc": _first_line("gcc", "-dumpfullversion"),
    }


def load() -> float | None:
    """Count the processes that wanted to run in the last minute, where the system does."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip().split("\n")[0]
