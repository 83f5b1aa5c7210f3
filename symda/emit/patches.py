"""The `Source` of the factors of a lattice's patches; it depends on no model."""

from __future__ import annotations

import re

from symda.emit.emit import environment
from symda.emit.source import Source
from symda.emit.vectors import LANES
from symda.names import module_name

TEMPLATE = "patches.pyx.j2"
#: Rows and columns of a block that are computed together.
TILE = 4
#: Least pivot, as a share of the diagonal before anything was eliminated.
LEAST = 1e-14


def emit_patches() -> Source:
    """Write the Cython module; it depends on the templates only."""
    text = environment().get_template(TEMPLATE).render(tile=TILE, least=LEAST, **LANES)
    return Source.of(module_name("lattice", "patches"), re.sub(r"\n{4,}", "\n\n\n", text))
