"""The year the Nile fell: a level that moves by independent shocks, few of them large.

Annual flow of the Nile at Aswan from 1871 to 1970 in 10^8 m^3 (G. W. Cobb, The problem of the Nile:
conditional solution to a changepoint problem, Biometrika 65 (1978) 243). Each year has a shock, a
parameter per step whose values are independent and have Laplace's distribution, that of Huber with
a small threshold: most shocks are next to nothing, and few carry the change. The action is convex
then, so that SciPy's minimiser must end in the same place.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

import symda as sd

FIRST_YEAR = 1871
FLOW = [
    *(1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960),
    *(1180, 799, 958, 1140, 1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694),
    *(940, 833, 701, 916, 692, 1020, 1050, 969, 831, 726, 456, 824, 702, 1120, 1100, 832, 764),
    *(821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759, 781, 865, 845, 944, 984, 897, 822),
    *(1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890, 744, 749, 838, 1050),
    *(918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740),
]
NOISE, SIZE, THRESHOLD = 120.0, 40.0, 0.5


def estimate() -> sd.Run:
    """Fit the level and its shocks."""
    level = sd.state("level", start=(400.0, 1400.0))
    shock = sd.parameter("shock", per="step", prior=sd.Huber(0.0, SIZE, THRESHOLD))
    model = sd.Model({level: level + shock}, name="Nile", discrete=True)
    action = sd.Action(model, [level])
    data = sd.Observations(np.arange(len(FLOW)), FLOW, variance=NOISE**2)
    ladder = sd.Ladder(rf0=1.0, alpha=10.0, rungs=4)
    return sd.anneal(action, data, ladder=ladder, paths=2, solver="newton", progress=False)


def independent() -> tuple[np.ndarray, float]:
    """Shocks and least cost by SciPy, where the level is a sum of shocks."""
    flow, M = np.array(FLOW, dtype=float), len(FLOW)
    sums = np.tril(np.ones((M, M)))  # the first column is the first level

    def cost(q: np.ndarray) -> tuple[float, np.ndarray]:
        misfit = (sums @ q - flow) / NOISE
        z = q[1:] / SIZE
        inside = np.abs(z) <= THRESHOLD
        each = np.where(inside, z**2 / 2, THRESHOLD * (np.abs(z) - THRESHOLD / 2))
        slope = sums.T @ misfit / NOISE
        slope[1:] += np.clip(z, -THRESHOLD, THRESHOLD) / SIZE
        return 0.5 * misfit @ misfit + each.sum(), slope

    begin = np.append(flow.mean(), np.zeros(M - 1))
    options = {"maxiter": 20000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-10}
    found = minimize(cost, begin, jac=True, method="L-BFGS-B", options=options)
    return found.x[1:], float(found.fun)


def main() -> None:
    """Print the years of the largest shocks, and the fit beside SciPy's."""
    run = estimate()
    shocks, least = independent()
    best = run.best
    mine = best.states.sel(state="shock").values[:-1]
    for n in np.argsort(-np.abs(mine))[:3]:
        years = f"{FIRST_YEAR + n} to {FIRST_YEAR + n + 1}"
        print(f"{years}: {mine[n]:7.1f}, by SciPy {shocks[n]:7.1f}")
    print(f"action {best.action:.5f}, by SciPy {least:.5f}")
    print(f"  data {best.measurement_term:.3f}, shocks {best.prior_term:.3f}")
    print(f"  {run.verdict()}")
    assert abs(best.action - least) < 1e-4
    assert np.abs(mine - shocks).max() < 0.5


if __name__ == "__main__":
    main()
