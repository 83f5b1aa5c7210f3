"""Measure what symda costs: `make bench`, or `python benchmarks/run.py --help`.

Each section is a program of its own, run in a fresh process with one thread for every library; all
ratios are of numbers from the same run. A section that fails is named, and the others go on.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from common import SIZES, Row
from machine import describe, load
from report import comparison, into_readme, table

HERE = Path(__file__).resolve().parent
PROGRAMS = {
    "import": "imports.py",
    "build": "builds.py",
    "evaluate": "evaluations.py",
    "path": "paths.py",
    "lowest": "lowest.py",
    "growth": "growth.py",
    "lattice": "lattices.py",
    "neuron": "neuron.py",
    "integrate": "integrators.py",
    "simulate": "simulations.py",
    "network": "networks.py",
    "learn": "learning.py",
    "trust": "trust.py",
    "sample": "samples.py",
    "store": "storing.py",
    "cycle": "cycling.py",
    "complete": "complete.py",
}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
#: Seconds after which a section is given up: several times what it takes.
TIME_LIMIT = 900.0


class SectionError(Exception):
    """A section did not come to its end."""


def run_section(section: str, size: str, cache: str) -> list[Row]:
    """Run a section's program and read its rows."""
    command = [sys.executable, str(HERE / PROGRAMS[section]), "--size", size]
    environment = os.environ | ONE_THREAD
    if size != "quick":  # which measures nothing, so it may find things built
        environment["SYMDA_CACHE"] = cache
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=TIME_LIMIT,
        )
        # what else a program writes, such as a solver's banner, comes before its last line
        return [Row(**row) for row in json.loads(done.stdout.strip().split("\n")[-1])]
    except (subprocess.SubprocessError, json.JSONDecodeError) as error:
        raise SectionError(f"{section}: {error}") from error


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure what symda costs.")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument(
        "--full", action="store_true", help="also what takes minutes: 400 paths with IPOPT, N = 1e6"
    )
    parser.add_argument("--only", nargs="+", choices=list(PROGRAMS), help="only these sections")
    parser.add_argument(
        "--readme", action="store_true", help="write the tables into README.md and beside run.py"
    )
    parser.add_argument(
        "--compare", type=Path, metavar="JSON", help="print ratios to a record kept before"
    )
    parser.add_argument(
        "--into", type=Path, default=HERE / "results", help="folder of the JSON (%(default)s)"
    )
    given = parser.parse_args(arguments)
    if given.readme and (given.only or given.quick):
        parser.error("--readme writes the whole table; leave out --only and --quick")
    if given.quick and given.full:
        parser.error("--quick and --full are two sizes")
    if given.compare is not None and not given.compare.is_file():
        parser.error(f"--compare: there is no file {given.compare}")
    return given


def measure(sections: Sequence[str], size: str) -> tuple[list[Row], dict[str, object], list[str]]:
    """Run the sections; their rows, what is to be known of each, and those that failed."""
    rows: list[Row] = []
    notes: dict[str, object] = {}
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as cache:
        for section in sections:
            before, began = load(), time.perf_counter()
            print(f"{section} ...", file=sys.stderr, flush=True)
            try:
                rows += run_section(section, size, cache)
            except SectionError as error:
                failures.append(str(error))
                print(f"failed: {error}", file=sys.stderr, flush=True)
            seconds = round(time.perf_counter() - began, 1)
            notes[section] = {"load": [before, load()], "seconds": seconds}
    return rows, notes, failures


def main() -> None:
    """Measure, keep, print."""
    given = parse()
    size = "quick" if given.quick else "full" if given.full else "standard"
    rows, notes, failures = measure(given.only or list(PROGRAMS), size)
    machine = describe()
    record = {
        "date": datetime.date.today().isoformat(),
        "size": {"name": size, **asdict(SIZES[size])},
        "machine": machine,
        "sections": notes,
        "failures": failures,
        "rows": [{**asdict(row), "times": row.ratio, "met": row.met} for row in rows],
    }
    given.into.mkdir(parents=True, exist_ok=True)
    # a partial record does not replace a complete one of the same day
    parts = [record["date"], *(["quick"] if given.quick else []), *(given.only or [])]
    kept = given.into / f"{'-'.join(parts)}.json"
    kept.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table(rows, machine))
    if given.compare is not None:
        before = json.loads(given.compare.read_text(encoding="utf-8"))
        print(f"\nagainst {given.compare.name} of {before['date']}:\n")
        print(comparison(rows, before["rows"]))
    if given.readme and not failures:
        into_readme(HERE.parent / "README.md", table([row for row in rows if row.main], machine))
        into_readme(HERE / "README.md", table(rows, machine))
    print(f"\nkept in {os.path.relpath(kept)}")
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
