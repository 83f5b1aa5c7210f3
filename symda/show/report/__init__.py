"""One self-contained page about a model or a run: parts -> `Document` -> HTML, Markdown or LaTeX.

declared, mathematics, structure, source, found, repeat     parts, each of plain blocks
network                                                     those of networks
document                                                    what they are put together to
write                                                       the file, by its suffix
"""

from symda.show.report.declared import declared
from symda.show.report.document import Block, Document, Part, count
from symda.show.report.found import found, history, known_part
from symda.show.report.jupyter import action_html, run_html
from symda.show.report.mathematics import mathematics
from symda.show.report.network import network_declared, network_found, network_history
from symda.show.report.repeat import repeat
from symda.show.report.source import emitted
from symda.show.report.structure import (
    Picture,
    bordered_hessian,
    field_jacobian,
    step_jacobian,
    structure,
)
from symda.show.report.writers import check_target, write

__all__ = [
    "Block",
    "Document",
    "Part",
    "Picture",
    "action_html",
    "bordered_hessian",
    "check_target",
    "count",
    "declared",
    "emitted",
    "field_jacobian",
    "found",
    "history",
    "known_part",
    "mathematics",
    "network_declared",
    "network_found",
    "network_history",
    "repeat",
    "run_html",
    "step_jacobian",
    "structure",
    "write",
]
