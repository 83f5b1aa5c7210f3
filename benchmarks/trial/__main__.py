"""The trial set: `python benchmarks/trial --tier easy --names A-M --call auto --seconds 300`.

Each row is a case in a process of its own, several at once; rows are written to a file as they
finish, and those that are there already are not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import calls
import cases
import systems
import table

HERE = Path(__file__).resolve().parent
#: Beside twice the limit: seconds for building and judging, after which a row is ended.
PATIENCE = 180.0


def main() -> None:
    """Run what is asked for and is not there yet; print the tables."""
    options = _options()
    into = options.into or HERE.parent / "results" / f"trial-{options.call}.jsonl"
    into.parent.mkdir(parents=True, exist_ok=True)
    if options.again:
        into.unlink(missing_ok=True)
    rows = table.read(into)
    there = {
        (row["tier"], row["kind"], row["name"])
        for row in rows
        if (row["call"], row["steps"]) == (options.call, options.steps)
    }
    left = [] if options.table else [one for one in _wanted(options) if one not in there]
    _run(left, options, into)
    rows = [row for row in table.read(into) if _within(row["name"], options.names)]
    text = table.summary(rows) + "\n" + table.missed(rows)
    print(text)
    if options.page:
        table.write(options.page, table.page(table.read(into)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="trial", description="The trial set of public systems.")
    every = (*cases.TIERS, "all")
    parser.add_argument("--tier", choices=every, default="all", help="all: every tier")
    parser.add_argument("--names", default="A-Z", help="range of first letters, as A-M; or names")
    parser.add_argument("--call", choices=sorted(calls.CALLS), default="auto", help="what to judge")
    parser.add_argument("--seconds", type=float, default=300.0, help="limit of a call")
    parser.add_argument("--steps", type=int, default=1, help="a datum, of calls set by hand")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="rows at once")
    parser.add_argument(
        "--into", type=Path, help="file of rows, JSON lines; resumed if it is there"
    )
    parser.add_argument("--again", action="store_true", help="forget the rows of that file")
    parser.add_argument("--table", action="store_true", help="run nothing, only print")
    parser.add_argument("--page", type=Path, help="page to write the tables into")
    parser.add_argument("--list", action="store_true", help="print the systems, and those left out")
    options = parser.parse_args()
    if options.list:
        _print_systems()
        raise SystemExit
    return options


def _print_systems() -> None:
    for kind in systems.FILES:
        for name in systems.names(kind):
            reason = systems.left_out(kind, name)
            print(f"{kind}  {name}" + (f"  left out: {reason}" if reason else ""))


def _within(name: str, names: str) -> bool:
    """Whether a name is in a range of letters, or in a list of names."""
    first, dash, last = names.partition("-")
    if dash and len(first) == len(last) == 1:
        return first.upper() <= name[0].upper() <= last.upper()
    return name in names.split(",")


def _wanted(options: argparse.Namespace) -> list[tuple[str, str, str]]:
    tiers = cases.TIERS if options.tier == "all" else (options.tier,)
    return [
        (tier, kind, name)
        for tier in tiers
        for kind, name in cases.listed(tier)
        if _within(name, options.names)
    ]


def _run(left: list[tuple[str, str, str]], options: argparse.Namespace, into: Path) -> None:
    """Keep `workers` processes busy until nothing is left."""
    running: dict[subprocess.Popen[str], tuple[tuple[str, str, str], float]] = {}
    left = left[::-1]
    limit = 2.0 * options.seconds + PATIENCE
    try:
        while left or running:
            while left and len(running) < options.workers:
                one = left.pop()
                running[_begin(one, options)] = (one, time.monotonic())
            time.sleep(0.05)
            for process, (one, begun) in list(running.items()):
                late = time.monotonic() - begun > limit
                if process.poll() is None and not late:
                    continue
                if late:
                    process.kill()
                del running[process]
                row = _finished(process, one, options, late)
                with into.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(table.line(row), file=sys.stderr, flush=True)
    finally:
        for process in running:
            process.kill()


def _begin(one: tuple[str, str, str], options: argparse.Namespace) -> subprocess.Popen[str]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return subprocess.Popen(
        [
            sys.executable,
            str(HERE / "row.py"),
            *one,
            options.call,
            str(options.seconds),
            str(options.steps),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **threads},
    )


def _finished(
    process: subprocess.Popen[str],
    one: tuple[str, str, str],
    options: argparse.Namespace,
    late: bool,
) -> dict[str, object]:
    out, err = process.communicate()
    try:
        row: dict[str, object] = json.loads(out.strip().splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        tier, kind, name = one
        told = "".join(err.strip().splitlines()[-1:])[:200]
        wrong = "ended: over twice its time" if late else f"died ({process.returncode}): {told}"
        row = {
            "tier": tier,
            "kind": kind,
            "name": name,
            "call": options.call,
            "limit": options.seconds,
            "steps": options.steps,
            "wrong": wrong,
        }
    return row


if __name__ == "__main__":
    main()
