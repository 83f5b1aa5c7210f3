"""`Source` of what importance draws are made with; it is the same for all models."""

from __future__ import annotations

import re

from symda.emit.emit import environment
from symda.emit.source import Source
from symda.emit.vectors import LANES
from symda.names import module_name

TEMPLATE = "draws.pyx.j2"
#: Without a choice of pivots a determinant is right while they neither vanish in rounding nor grow.
LEAST, MOST = 1e-12, 10.0


def emit_draws() -> Source:
    """Write the Cython module."""
    text = environment().get_template(TEMPLATE).render(least=LEAST, most=MOST, **LANES)
    return Source.of(module_name("draws", "lanes"), re.sub(r"\n{4,}", "\n\n\n", text))
