"""Measure build and solve times: `make bench`, or `python benchmarks/run.py --help`.

Each section is a program of its own, run in a fresh process with one thread for every library; all
ratios are of numbers from the same run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from common import SIZES, Row
from machine import describe, load
from report import into_readme, table

HERE = Path(__file__).resolve().parent
SECTIONS = ("import", "build", "evaluate", "path")
PROGRAMS = {
    "import": "imports.py",
    "build": "builds.py",
    "evaluate": "evaluations.py",
    "path": "paths.py",
    "complete": "complete.py",
}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def run_section(section: str, size: str, cache: str) -> list[Row]:
    """Run a section's program and read its rows."""
    command = [sys.executable, str(HERE / PROGRAMS[section])]
    if section != "complete":
        command += ["--size", size]
    environment = os.environ | ONE_THREAD | {"SYMDA_CACHE": cache}
    # what else a program writes, such as a solver's banner, comes before its last line
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [Row(**row) for row in json.loads(done.stdout.strip().split("\n")[-1])]


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure build and solve times.")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--full", action="store_true", help="also 400 paths on 2 cores, minutes")
    parser.add_argument("--only", nargs="+", choices=list(PROGRAMS), help="these sections alone")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    parser.add_argument(
        "--into", type=Path, default=HERE / "results", help="folder of the JSON (%(default)s)"
    )
    return parser.parse_args()


def main() -> None:
    """Measure, keep, print."""
    given = parse()
    size = "quick" if given.quick else "standard"
    sections = given.only or [*SECTIONS, *(["complete"] if given.full else [])]
    rows: list[Row] = []
    loads = {}
    with tempfile.TemporaryDirectory() as cache:
        for section in sections:
            before = load()
            print(f"{section} ...", file=sys.stderr, flush=True)
            rows += run_section(section, size, cache)
            loads[section] = [before, load()]
    machine = describe()
    record = {
        "date": datetime.date.today().isoformat(),
        "size": {"name": size, **asdict(SIZES[size])},
        "machine": machine,
        "load_before_and_after": loads,
        "rows": [{**asdict(row), "times": row.ratio, "met": row.met} for row in rows],
    }
    given.into.mkdir(parents=True, exist_ok=True)
    # a partial record does not replace a complete one of the same day
    parts = [record["date"], *(["quick"] if given.quick else []), *(given.only or [])]
    kept = given.into / f"{'-'.join(parts)}.json"
    kept.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    text = table(rows, machine)
    print(text)
    if given.readme:
        into_readme(HERE.parent / "README.md", text)
    print(f"\nkept in {os.path.relpath(kept)}")


if __name__ == "__main__":
    main()
