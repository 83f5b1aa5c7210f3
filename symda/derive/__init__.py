"""Derive: the field and the one-step residual as CasADi SX, with their derivatives."""
