"""Learn unknown equations from noisy, gappy recordings.

`library` declares candidate terms; `AnnealedTerms` finds states, coefficients and which terms
there are. All methods have ``fit(data)``, ``predict(x0, times)`` and ``get_params()``; `score`
judges them by clean data.
"""

from __future__ import annotations

from symda.declare.fields import bilinear, tanh_field
from symda.declare.library import Library, library
from symda.declare.numbers import with_numbers
from symda.learn.analogs import Analogs
from symda.learn.annealed import AnnealedTerms
from symda.learn.enks import EnKSEM
from symda.learn.field import Field
from symda.learn.learner import Learner
from symda.learn.lyapunov import Spectrum, lyapunov_spectrum
from symda.learn.network import BiNN
from symda.learn.score import Score, score
from symda.learn.sparse import SparseRegression, WeakSparseRegression
from symda.learn.voden import VODEN

__all__ = [
    "VODEN",
    "Analogs",
    "AnnealedTerms",
    "BiNN",
    "EnKSEM",
    "Field",
    "Learner",
    "Library",
    "Score",
    "SparseRegression",
    "Spectrum",
    "WeakSparseRegression",
    "bilinear",
    "library",
    "lyapunov_spectrum",
    "score",
    "tanh_field",
    "with_numbers",
]
