"""Section "import": `import symda` against `import sympy, numpy`, each in fresh processes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from common import Row, Size, hand_over, section_size

SECTION = "import"
STATEMENTS = {
    "import sympy, numpy": "import sympy, numpy",
    "import symda": "import symda",
    "import symda and all its public names": "from symda import *",
}


def seconds(statement: str) -> float:
    """Wall time of a fresh process that runs one statement."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - started


def measure(size: Size) -> list[Row]:
    """Median times, and how much longer symda takes."""
    for statement in STATEMENTS.values():  # so that no first run pays for a cold disk
        seconds(statement)
    # taken in turns, so that a change of load meets all of them
    times = {name: [] for name in STATEMENTS}
    for _ in range(size.repeats):
        for name, statement in STATEMENTS.items():
            times[name].append(seconds(statement))
    median = {name: statistics.median(values) for name, values in times.items()}
    base, *ours = STATEMENTS
    return [
        Row(SECTION, name, "s", median[name], base, median[base], at_most_beyond=0.2)
        for name in ours
    ]


if __name__ == "__main__":
    hand_over(measure(section_size()))
