"""`TermsIR` -> `Source` of a library of terms."""

from __future__ import annotations

import re

from symda.emit.emit import environment
from symda.emit.format import format_body
from symda.emit.source import Source
from symda.lower.terms import TermsIR
from symda.names import module_name

TEMPLATE = "terms.pyx.j2"
MEANINGS = {
    "terms": "theta(x), (T,)",
    "terms_and_slopes": "theta(x), and dtheta/dx (T, D), column after column",
    "known": "What is known of the rates, (D,)",
    "known_and_slopes": "The same, and its derivative by x (D, D), column after column",
}


def emit_terms(ir: TermsIR, name: str) -> Source:
    """Write the Cython module; it depends on the terms and the template only."""
    bodies = {one.name: format_body(one, frozenset()) for one in ir.routines}
    chunked = any(one.split for one in bodies.values())
    text = (
        environment()
        .get_template(TEMPLATE)
        .render(ir=ir, bodies=bodies, meanings=MEANINGS, chunked=chunked)
    )
    return Source.of(module_name(name, "terms"), re.sub(r"\n{4,}", "\n\n\n", text))
