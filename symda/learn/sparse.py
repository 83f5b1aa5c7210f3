"""Sparse regression of rates on candidate terms: by differences, and in the weak form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from symda.checks import integer, number
from symda.declare.library import Library
from symda.derive.terms import term_functions
from symda.errors import DataError
from symda.learn.candidates import check_independent, chosen_library, filled
from symda.learn.field import Evaluated, Field
from symda.learn.learner import ModelLearner
from symda.learn.series import Series
from symda.types import BoolArray, FloatArray


class _Regression(ModelLearner):
    """What `fit` leaves, which is no option."""

    candidates: Library
    coefficients: FloatArray


@dataclass
class SparseRegression(_Regression):
    """Sparse regression of differences on candidate terms: SINDy.

    Rates are central differences of the data, linear in gaps. For each state the coefficients are
    those of least squares; terms that count for little are left out and the others fitted again,
    until all that are left count: sequentially thresholded least squares (Brunton, Proctor and
    Kutz, PNAS 113 (2016) 3932).

    Attributes
    ----------
    library : Library, optional
        The candidate terms; all monomials up to `degree` if not given.
    degree : int
        Of the monomials.
    threshold : float
        A term counts if the RMS of its part of the rate is at least this share of the RMS of the
        rate that all terms make together. So units of states and time do not matter (Messenger and
        Bortz, Multiscale Model. Simul. 19 (2021) 1474, bounds of eq. 4.1).
    smooth : int
        Points of a Hann window that smooths the data before; 0 for none. With 20 the method is the
        paper's SR_Hann.

    Notes
    -----
    After `fit`, `candidates` is the library that was used and `coefficients` (D, T) are its
    coefficients, 0 where a term was left out.
    """

    library: Library | None = None
    degree: int = 2
    threshold: float = 0.05
    smooth: int = 0

    name = "SR"

    def learn(self, series: Sequence[Series], names: Sequence[str], where: str) -> None:
        """See `Learner.fit`."""
        threshold = number(self.threshold, f"{where}: threshold", kind="non-negative")
        smooth = integer(self.smooth, f"{where}: smooth", least=0)
        library, columns = chosen_library(self.library, self.degree, names, where)
        functions = term_functions(library)
        terms = Evaluated(functions["terms_and_slopes"])
        known = Evaluated(functions["known_and_slopes"])
        rows, rates, states = [], [], []
        for one in series:
            times, values = filled(one, names, where)
            if smooth:
                if len(times) < smooth + 2:
                    raise DataError(
                        f"{where}: recording {one.name} has {len(times)} times; {smooth + 2} are "
                        f"needed to smooth by {smooth} points and differentiate."
                    )
                times, values = _smoothed(times, values, smooth)
            left, right = self._equations(times, values[:, columns], terms, known)
            rows.append(left)
            rates.append(right)
            states.append(values[:, columns])
        table = np.concatenate(rows)
        _check(library, table, np.concatenate(states), where)
        allowed = np.array([[c is not None for c in row] for row in library.coefficients])
        self.coefficients = thresholded(table, np.concatenate(rates), allowed, threshold)
        self.candidates = library
        self._field = Field(library.fitted(self.coefficients))

    def _equations(
        self, times: FloatArray, values: FloatArray, terms: Evaluated, known: Evaluated
    ) -> tuple[FloatArray, FloatArray]:
        """Return terms (R, T) and what of the rates is not known (R, D)."""
        x = values[1:-1]
        return terms(x), np.gradient(values, times, axis=0)[1:-1] - known(x)


@dataclass
class WeakSparseRegression(SparseRegression):
    """Sparse regression in the weak form, which takes no differences of noisy data.

    Both sides are multiplied by a function phi(t) = (1 - s^2)^4, s from -1 to 1 over a window, and
    integrated by the trapezoidal rule: -int phi' x dt = sum_j C_j int phi theta_j(x) dt. Windows
    overlap. Options and the choice of terms are those of `SparseRegression` (Messenger and Bortz,
    Multiscale Model. Simul. 19 (2021) 1474).

    Attributes
    ----------
    half_width : int
        Half of a window, in points: shorter than the fastest feature of the data.
    """

    half_width: int = 20

    name = "weak SR"

    def _equations(
        self, times: FloatArray, values: FloatArray, terms: Evaluated, known: Evaluated
    ) -> tuple[FloatArray, FloatArray]:
        where = "WeakSparseRegression.fit"
        m = integer(self.half_width, f"{where}: half_width", least=2)
        if len(times) < 2 * m + 1:
            raise DataError(
                f"{where}: a recording has {len(times)} times; a window has {2 * m + 1}. Pass a "
                "smaller half_width."
            )
        stride = max(1, m // 4)
        window = sliding_window_view(times, 2 * m + 1)[::stride]
        half = (window[:, -1:] - window[:, :1]) / 2.0
        s = (window - window[:, :1]) / half - 1.0
        weight = np.gradient(window, axis=1)  # the trapezoidal rule; phi is 0 at both ends
        phi = weight * (1.0 - s**2) ** 4
        slope = weight * (-8.0 * s * (1.0 - s**2) ** 3) / half

        def integral(kernel: FloatArray, of: FloatArray) -> FloatArray:
            windows = sliding_window_view(of, 2 * m + 1, axis=0)[::stride]
            found: FloatArray = np.einsum("wk,wjk->wj", kernel, windows)
            return found

        return integral(phi, terms(values)), -integral(slope, values) - integral(phi, known(values))


def _check(library: Library, terms: FloatArray, X: FloatArray, where: str) -> None:
    R, T = terms.shape
    if R < T:
        raise DataError(
            f"{where}: the data give {R} equations for {T} candidate terms; measure longer, or "
            "pass a smaller library."
        )
    fine = np.isfinite(terms).all(axis=0)
    if not fine.all():
        strange = library.terms[int(np.flatnonzero(~fine)[0])]
        raise DataError(f"{where}: the term {strange} has no value at some of the data.")
    check_independent(library, terms, X, where)


def thresholded(
    terms: FloatArray, rates: FloatArray, allowed: BoolArray, threshold: float
) -> FloatArray:
    """Return coefficients (D, T) of terms (R, T) that make rates (R, D), 0 for those left out."""
    R, T = terms.shape
    size = np.sqrt(np.mean(terms**2, axis=0))
    size[size == 0.0] = 1.0
    # the triangle has the same normal equations as the table
    triangle = np.linalg.qr(np.column_stack([terms / size, rates]), mode="r") / np.sqrt(R)
    found = np.zeros(allowed.shape)
    for i, mine in enumerate(allowed):
        kept = np.flatnonzero(mine)
        table, goal = triangle[:, :T], triangle[:, T + i]
        whole = None
        while kept.size:
            c = np.linalg.lstsq(table[:, kept], goal, rcond=None)[0]
            if whole is None:
                whole = float(np.linalg.norm(table[:, kept] @ c))
            counts = np.abs(c) >= threshold * whole
            if counts.all():
                found[i, kept] = c / size[kept]
                break
            kept = kept[counts]
    return found


def _smoothed(times: FloatArray, values: FloatArray, width: int) -> tuple[FloatArray, FloatArray]:
    """Return means over a Hann window of that many points, of times as of values."""
    window = np.hanning(width + 2)[1:-1]
    window /= window.sum()
    columns = [np.convolve(one, window, "valid") for one in (times, *values.T)]
    return columns[0], np.column_stack(columns[1:])
