"""A run that calls itself consistent has the estimates and error bars of least squares.

`python tests/test_trial.py 200` tries so many problems and says what came out; the test tries some
of each kind.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter

import pytest
from trial import Outcome, judge, make

#: Quick problems of every kind, of most families and of every scheme.
SEEDS = (1, 4, 8, 11, 24, 35, 38, 45, 47, 55, 59, 135, 141)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.smoke
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_called_consistent_is_right(seed: int) -> None:
    """And what is right, with a right model, fine steps and room in its bounds, is called so."""
    found = judge(make(seed))
    assert found.right or not found.said, found.text
    assert found.said or not found.should, found.text


def tell(outcomes: list[Outcome]) -> str:
    """Count what came out, and list what should not have."""
    said = [o for o in outcomes if o.said]
    should = [o for o in outcomes if o.should]
    missed = [o for o in should if not o.said]
    wrong = [o for o in said if not o.right]
    reasons = Counter(o.finding for o in outcomes if not o.said)
    lines = [
        f"{len(outcomes)} problems: {len(said) - len(wrong)} consistent and right, "
        f"{len(outcomes) - len(said)} not consistent, {len(wrong)} consistent but wrong",
        f"not consistent because of: {dict(reasons.most_common())}",
        f"{len(missed)} of {len(should)} that should be consistent are not",
        f"largest deviation of those called consistent: {max(o.deviation for o in said):.2g} sd, "
        f"of an error bar {max(o.spread for o in said):.2g}",
        *(f"WRONG {o.text}" for o in wrong),
        *(f"missed {o.text}" for o in missed),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    os.environ.setdefault("SYMDA_CC", "none")
    warnings.simplefilter("ignore")
    first, count = [*map(int, sys.argv[2:3]), 0][0], int(sys.argv[1])
    every = [judge(make(seed)) for seed in range(first, first + count)]
    sys.stdout.write(tell(every) + "\n")
    sys.exit(any(o.said and not o.right for o in every))
