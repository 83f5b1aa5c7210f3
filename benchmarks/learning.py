"""Section "learn": equations learned from noisy samples of Lorenz-63, 30 candidate terms."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from common import Row, Size, hand_over, milliseconds, pin, section_size
from scipy.integrate import odeint

import symda as sd
from symda.build.serial import serial
from symda.build.terms import NumpyTerms, TermKernels, term_kernels
from symda.derive.terms import term_functions
from symda.learn.joint import Joint
from symda.learn.points import make_points
from symda.learn.series import Series

SECTION = "learn"
H, VARIANCE = 0.01, 8.0


def lorenz(x: np.ndarray, _t: float) -> list[float]:
    """Return the rates of Lorenz (1963)."""
    return [10.0 * (x[1] - x[0]), x[0] * (28.0 - x[2]) - x[1], x[0] * x[1] - 8.0 / 3.0 * x[2]]


def samples(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return clean and noisy states (count, 3)."""
    clean = odeint(lorenz, [1.0, 2.0, 25.0], H * np.arange(count + 1000), rtol=1e-9)[1000:]
    noise = np.random.default_rng(0).normal(size=clean.shape)
    return clean, clean + np.sqrt(VARIANCE) * noise


def one_step(count: int) -> Row:
    """Time of a step in path and coefficients, linearised, eliminated, solved and tried."""
    clean, noisy = samples(count)
    library = sd.learn.library(sd.states("x y z"), 2)
    series = Series("1", H * np.arange(count), noisy, np.full_like(noisy, VARIANCE))
    points = make_points([series], np.full(3, VARIANCE), None, "benchmark")
    free = np.ones((3, len(library.terms)), dtype=bool)
    kernels: list[TermKernels] = [
        term_kernels(library),
        NumpyTerms(serial(term_functions(library)), 3, len(library.terms)),
    ]
    joint = Joint(kernels[0], points, np.full(3, VARIANCE), np.full(free.shape, 1e3))
    at = joint.minimise(joint.place(clean, np.zeros(free.shape), 64.0), 64.0, free, steps=5)
    times, actions = [], []
    for one in kernels:
        same = replace(joint, kernels=one)
        actions.append(same.minimise(at, 256.0, free, steps=1).action)
        times.append(milliseconds(lambda same=same: same.minimise(at, 256.0, free, steps=1)))
    assert abs(actions[1] / actions[0] - 1.0) < 1e-9, "not the same step"
    what = f"a step in path and 30 coefficients, {count:,} points"
    instead = "CasADi's machine, NumPy and LAPACK"
    return Row(SECTION, what, "ms", times[0], instead, times[1], main=True)


def whole(count: int) -> Row:
    """Time of a fit: starts, ladder, selection, evidence."""
    _, noisy = samples(count)
    sd.learn.AnnealedTerms(variance=VARIANCE, starts=1).fit(noisy[:100], t=H)  # builds
    began = time.process_time()
    fit = sd.learn.AnnealedTerms(variance=VARIANCE).fit(noisy, t=H)
    seconds = time.process_time() - began
    assert fit.result.free.sum() > 0
    what = f"terms and coefficients of {count:,} samples, 30 candidates"
    return Row(SECTION, what, "s", seconds, at_most=5.0 if count == 4000 else None)


def measure(size: Size) -> list[Row]:
    """All rows of the section."""
    pin()
    count = 300 if size.repeats == 1 else 4000
    return [one_step(count), whole(count)]


if __name__ == "__main__":
    hand_over(measure(section_size()))
