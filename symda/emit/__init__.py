"""Emit: `KernelIR` -> `Source`, the text of one Cython module. Nothing here touches the disk."""

from symda.emit.emit import emit
from symda.emit.lanes import emit_newton
from symda.emit.lattice import emit_lattice
from symda.emit.source import Source

__all__ = ["Source", "emit", "emit_lattice", "emit_newton"]
