"""`NetworkIR` -> `Source` of a network's passes."""

from __future__ import annotations

import re

from symda.emit.emit import environment
from symda.emit.format import Dialect, format_body
from symda.emit.source import Source
from symda.emit.vectors import LANES
from symda.lower.network import NetworkIR
from symda.names import module_name

TEMPLATE = "network.pyx.j2"
#: A pair in each lane.
PAIRS = Dialect("real", frozenset(), "source_t", "row_t")
#: Rows or columns of a matrix that are computed together, and of a sum of products of both.
TILE, PATCH = 5, 4


def emit_network(ir: NetworkIR) -> Source:
    """Write the Cython module; it depends on the activations and the template only."""
    bodies = {one.name: format_body(one, frozenset(), PAIRS) for one in ir.routines}
    text = (
        environment()
        .get_template(TEMPLATE)
        .render(
            ir=ir,
            bodies=bodies,
            meanings={name: "g(z) and its slope" for name in bodies},
            tile=TILE,
            patch=PATCH,
            **LANES,
        )
    )
    return Source.of(module_name("network", "passes"), re.sub(r"\n{4,}", "\n\n\n", text))
