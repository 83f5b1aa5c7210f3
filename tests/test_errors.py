"""`nearest`: what it takes for a slip, and what it leaves alone."""

from __future__ import annotations

import pytest

from symda.errors import nearest


@pytest.mark.parametrize(
    ("name", "choices", "hint"),
    [
        ("ipotp", ("ipopt", "lbfgs"), " Did you mean 'ipopt'?"),
        ("RK4", ("euler", "rk4"), " Did you mean 'rk4'?"),
        ("IPOPT", ("newton", "ipopt"), " Did you mean 'ipopt'?"),
        ("voltage", ("Voltage", "current"), " Did you mean 'Voltage'?"),
        ("zzz", ("ipopt", "lbfgs"), ""),
        ("", ("ipopt",), ""),
        ("x", (), ""),
        (None, ("none", "minaone"), ""),
        ("None", ("minaone", "sum"), ""),
        (4, ("rk4",), ""),
        (["ipopt"], ("ipopt",), ""),
        ("ipotp", (None, 4, "ipopt"), " Did you mean 'ipopt'?"),
    ],
)
def test_nearest(name: object, choices: tuple[object, ...], hint: str) -> None:
    assert nearest(name, choices) == hint
