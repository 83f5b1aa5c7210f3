"""Derive: equations to read (SymPy), and the field and one-step residual for the machine (CasADi)."""
