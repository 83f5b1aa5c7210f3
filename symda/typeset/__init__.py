"""Typeset: the mathematics of an action, derived with SymPy, to be read."""
