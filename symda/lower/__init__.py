"""Lower: CasADi SX graphs to instructions, sparsity and tables that templates can write."""

from symda.lower.ir import Gather, KernelIR, Pair, Pattern, Routine, Stage, Value
from symda.lower.lattice import LatticeIR, lower_lattice
from symda.lower.lower import lower

__all__ = [
    "Gather",
    "KernelIR",
    "LatticeIR",
    "Pair",
    "Pattern",
    "Routine",
    "Stage",
    "Value",
    "lower",
    "lower_lattice",
]
