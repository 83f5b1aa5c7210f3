"""Derive: equations to read (SymPy); the field and the one-step residual as CasADi SX."""
