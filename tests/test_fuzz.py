"""A few seconds of `fuzz.py`, and how far the solvers agree on what is a minimum."""

from __future__ import annotations

import re

import pytest
from fuzz import KINDS, attempt, fuzz, main

#: Kinds that take no compiler's time.
QUICK = ("derivatives", "simulate", "options", "files")


@pytest.mark.usefixtures("uncompiled")
def test_a_few_seconds_find_nothing() -> None:
    counts, found = fuzz(4.0, 0, list(QUICK))
    assert found == []
    assert all(counts[kind] for kind in QUICK)
    assert counts["derivatives right"] and counts["simulate right"]


@pytest.mark.usefixtures("uncompiled")
def test_a_wrong_answer_is_found(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """A wrong derivative, and an exception that is none of symda's, with how to repeat them."""
    from symda.build.kernels import BlockEvaluator

    right = BlockEvaluator.hessian
    monkeypatch.setattr(BlockEvaluator, "hessian", lambda *a: 1.001 * right(*a))
    outcomes = [attempt("derivatives", seed) for seed in range(6)]
    assert any(what == "wrong" and "curvature" in text for what, text in outcomes)
    assert not any("slope" in text.split("\n")[0] for _, text in outcomes)

    def broken(rng: object) -> None:
        raise KeyError("x")

    monkeypatch.setitem(KINDS, "options", (broken, 1.0))
    monkeypatch.setattr("sys.argv", ["fuzz.py", "--seconds", "0.001", "--kind", "options"])
    monkeypatch.setenv("SYMDA_CC", "none")
    assert main() == 1
    said = capsys.readouterr().out
    assert "repeat with --kind options --only 0" in said and "KeyError" in said
    assert re.match(r"(\d+) inputs, \1 findings: options \1 \(\1 wrong", said.splitlines()[-1])


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("seed", range(20))
def test_the_solvers_agree_on_what_is_a_minimum(seed: int) -> None:
    """End points of newton, ipopt and lbfgs on random problems, each handed to the other two."""
    what, text = attempt("solvers", seed)
    assert what != "wrong", text
