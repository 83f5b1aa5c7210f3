"""One row of the trial set, in a process of its own: prints it as a line of JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from dataclasses import asdict

import calls
import cases
import numpy as np

import symda as sd


def row(
    tier: str, kind: str, name: str, call: str, seconds: float, steps: int
) -> dict[str, object]:
    """Run a case and judge it; what goes wrong is part of the row."""
    told: dict[str, object] = {
        "tier": tier,
        "kind": kind,
        "name": name,
        "call": call,
        "limit": seconds,
        "steps": steps,
    }
    warnings.simplefilter("ignore")
    stage = "making the data"
    try:
        made = cases.case(tier, kind, name)
        stage = "annealing"
        wall, cpu = time.perf_counter(), _cpu()
        run = calls.CALLS[call](made.action, made.data, seconds, steps)
        told |= {"wall": time.perf_counter() - wall, "cpu": _cpu() - cpu}
        told["search"] = float(np.nansum(run.dataset["seconds"].values))
        if (run.dataset["last_beta"].values < 0).all():
            return told | {"wrong": "no path reached a rung: " + _reasons(run)}
        verdict = run.verdict()
        stage = "judging"
        outcome = made.judge(run)
        told |= asdict(outcome)
        told |= {
            "verdict": str(verdict).split(":")[0],
            "consistent": verdict.consistent,
            "lie": verdict.consistent and not outcome.found,
        }
    except sd.SymdaError as error:
        told["wrong"] = f"{stage}: {str(error).splitlines()[0][:200]}"
    except Exception as error:  # whatever it is belongs in the table
        told["wrong"] = f"{stage}: {type(error).__name__}: {str(error)[:200]}"
    return told


def _reasons(run: sd.Run) -> str:
    return "; ".join(sorted({str(one) for one in run.dataset["message"].values}))[:200]


def _cpu() -> float:
    own, others = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


if __name__ == "__main__":
    made = row(*sys.argv[1:5], float(sys.argv[5]), int(sys.argv[6]))
    print(json.dumps(made))
