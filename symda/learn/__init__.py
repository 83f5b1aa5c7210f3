"""Learn unknown equations from noisy, gappy recordings.

`library` declares candidate terms; `AnnealedTerms` finds states, coefficients and which terms
there are. All methods have ``fit(data)``, ``predict(x0, times)`` and ``get_params()``.
"""

from __future__ import annotations

from symda.declare.library import Library, library
from symda.learn.annealed import AnnealedTerms

__all__ = ["AnnealedTerms", "Library", "library"]
