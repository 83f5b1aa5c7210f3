"""Boehm's model of STAT5 dimers: stiff at its optimum, with three ratios measured.

M. E. Boehm et al., J. Proteome Res. 13 (2014) 5685; equations, data, standard deviations and
optimum as in the PEtab benchmark collection, `Boehm_JProteomeRes2014` (published negative log
likelihood 138.222, twice its sum of squares 2 * 23.988).
"""

from __future__ import annotations

import numpy as np
import sympy as sp

import symda as sd

#: Time in minutes, and the three channels in per cent.
DATA = np.array([
    (0, 7.9010729987, 4.5965333429, 14.7231682181),
    (2.5, 66.3634939683, 29.6345459874, 33.7623422931),
    (5, 81.1713239165, 46.0438064696, 36.7998512942),
    (10, 94.7303080628, 81.9747336192, 49.7176022860),
    (15, 95.1164830493, 80.5716092952, 46.9281200953),
    (20, 91.4417165539, 79.0357196371, 47.8365745550),
    (30, 91.2570992264, 75.6723803658, 46.9287272497),
    (40, 93.6722978410, 71.6247198618, 40.5977529351),
    (50, 88.7542328230, 69.0628632756, 43.7836638851),
    (60, 85.2697032178, 67.1473843169, 44.4573876524),
    (80, 81.1323953370, 60.8994762939, 41.3271592618),
    (100, 76.1359284758, 54.8092577721, 41.0627332148),
    (120, 65.2480591250, 43.9812899778, 39.2358300289),
    (160, 42.5996587097, 29.7714581637, 36.6194605442),
    (200, 25.1577975446, 20.0890165628, 34.8937144011),
    (240, 15.4301823995, 10.9618451667, 32.2110771609),
])  # fmt: skip
NOISE = {"pSTAT5A": 3.85261197844677, "pSTAT5B": 6.59147818673419, "rSTAT5A": 3.15271275648527}
OPTIMUM = {
    "degradation": 0.026982514033029,
    "export_hetero": 1.00067973851508e-05,
    "export_homo": 0.006170228086381,
    "import_hetero": 0.0163679184468,
    "import_homo": 97749.3794024716,
    "phosphorylation": 15766.5070195731,
}
#: Half the weighted sum of squares there, of the equations themselves.
MISFIT = 23.988
#: What there is in all, the share of STAT5A in it, and the specific factor of the antibody.
TOTAL, RATIO, SPECIFIC = 207.6, 0.693, 0.107
CYTOPLASM, NUCLEUS = 1.4, 0.45
INITIAL = [TOTAL * RATIO, TOTAL * (1.0 - RATIO), *[0.0] * 6]


def model() -> sd.Model:
    """Monomers A and B, dimers in the cytoplasm and in the nucleus; rates known to ten decades."""
    states = sd.states("A B AB AA BB nAA nAB nBB", start=(0.0, 200.0))
    A, B, AB, AA, BB, nAA, nAB, nBB = states
    rates = {name: sd.parameter(name, bounds=(1e-5, 1e5), scale="log") for name in OPTIMUM}
    dose = 1.25e-7 * sp.exp(-rates["degradation"] * sd.time())
    dimers = [dose * rates["phosphorylation"] * pair for pair in (A * B, A**2, B**2)]
    into = [rates["import_hetero"] * AB, rates["import_homo"] * AA, rates["import_homo"] * BB]
    out = [rates["export_hetero"] * nAB, rates["export_homo"] * nAA, rates["export_homo"] * nBB]
    share = NUCLEUS / CYTOPLASM
    return sd.Model(
        {
            A: -dimers[0] - 2 * dimers[1] + share * (out[0] + 2 * out[1]),
            B: -dimers[0] - 2 * dimers[2] + share * (out[0] + 2 * out[2]),
            AB: dimers[0] - into[0],
            AA: dimers[1] - into[1],
            BB: dimers[2] - into[2],
            nAA: into[1] / share - out[1],
            nAB: into[0] / share - out[0],
            nBB: into[2] / share - out[2],
        },
        name="boehm",
    )


def action(scheme: str) -> sd.Action:
    """Return the action with everything known at the start."""
    m = model()
    A, B, AB, AA, BB, *_ = m.states
    a, b = SPECIFIC, 1.0 - SPECIFIC
    in_a, in_b = AB + a * (A + 2 * AA), AB + b * (B + 2 * BB)
    measured = {
        "pSTAT5A": 100 * (AB + 2 * a * AA) / in_a,
        "pSTAT5B": 100 * (AB + 2 * b * BB) / in_b,
        "rSTAT5A": 100 * in_a / (in_a + in_b),
    }
    initial = dict(zip(m.states, INITIAL, strict=True))
    return sd.Action(m, measured, scheme=scheme, initial=initial)


def data() -> sd.Observations:
    """Return the 48 published data."""
    return sd.Observations(DATA[:, 0], DATA[:, 1:], variance=np.array([*NOISE.values()]) ** 2)
