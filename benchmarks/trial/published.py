"""Three published problems of parameter estimation, as models of symda.

Equations, observables, conditions and initial amounts are written after the SBML and PEtab files of
the benchmark collection (see data/README.md); measurements, bounds, scales and published values of
the parameters are read from its tables. `Published.cost` is -log likelihood of the equations' own
solution, by SciPy.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

import symda as sd
from symda.observe import Problem

DATA = Path(__file__).resolve().parent / "data" / "petab"


@dataclass(frozen=True)
class Published:
    """A problem, bound to its grid, and its published optimum.

    Parameters
    ----------
    action, bound
        What is annealed.
    nominal : mapping of str to float
        The published values of the parameters.
    optimum : float
        -log likelihood there.
    rates : mapping of Symbol to Expr
        The equations, in SymPy.
    observed : mapping of str to (Expr, Expr or None)
        Each channel's function and the standard deviation of its noise; None: that of the data.
    recordings : mapping of str to Observations
        Each experiment's data.
    begins : mapping of str to mapping of Symbol to Expr
        Each experiment's initial state.
    known : mapping of str to mapping of Symbol to float
        What is known in one experiment only.
    """

    action: sd.Action
    bound: Problem
    nominal: Mapping[str, float]
    optimum: float
    rates: Mapping[sp.Symbol, sp.Expr]
    observed: Mapping[str, tuple[sp.Expr, sp.Expr | None]]
    recordings: Mapping[str, sd.Observations]
    begins: Mapping[str, Mapping[sp.Symbol, sp.Expr]]
    known: Mapping[str, Mapping[sp.Symbol, float]]

    @property
    def constant(self) -> float:
        """What -log likelihood has and the action leaves out: logarithms that nothing changes."""
        total = 0.0
        for data in self.recordings.values():
            seen = np.isfinite(data.values)
            total += 0.5 * seen.sum() * np.log(2.0 * np.pi)
            for (_, noise), variance, there in zip(
                self.observed.values(), data.variance.T, seen.T, strict=True
            ):
                if noise is None:
                    total += 0.5 * np.log(variance[there]).sum()
        return float(total)

    def cost(self, parameters: Mapping[str, float]) -> float:
        """Return -log likelihood of the model's own solution; infinite where there is none."""
        values = {p: parameters[p.name] for p in self.action.parameters if p.name in parameters}
        return sum(self._cost_of(name, values | dict(self.known[name])) for name in self.recordings)

    def _cost_of(self, name: str, values: Mapping[sp.Symbol, float]) -> float:
        data, states = self.recordings[name], list(self.rates)
        time = sd.time()
        rates = sp.Matrix([one.subs(values) for one in self.rates.values()])
        rate = sp.lambdify([time, states], list(rates))
        slopes = sp.lambdify([time, states], rates.jacobian(states).tolist())
        first = [float(sp.sympify(self.begins[name][x]).subs(values)) for x in states]
        with np.errstate(all="ignore"):
            solved = solve_ivp(
                rate,
                (0.0, data.times[-1]),
                first,
                method="BDF",
                jac=lambda t, x: np.array(slopes(t, x), dtype=float),
                t_eval=data.times,
                rtol=1e-8,
                atol=1e-8,
            )
        if not solved.success:
            return float("inf")
        total = 0.0
        for k, (function, noise) in enumerate(self.observed.values()):
            seen = np.isfinite(data.values[:, k])
            if not seen.any():
                continue
            fit = sp.lambdify([states], function.subs(values))(solved.y[:, seen])
            if noise is None:
                deviation = np.sqrt(data.variance[seen, k])
            else:
                deviation = np.full(seen.sum(), float(noise.subs(values)))
            z = (data.values[seen, k] - fit) / deviation
            total += float((0.5 * z**2 + np.log(deviation) + 0.5 * np.log(2.0 * np.pi)).sum())
        return total


def boehm() -> Published:
    """STAT5 phosphorylated, dimerised and carried into the nucleus; the noise is unknown."""
    p, nominal = _parameters("Boehm_JProteomeRes2014")
    x = sd.states("STAT5A STAT5B pApB pApA pBpB nucpApA nucpApB nucpBpB", bounds=(0.0, 1000.0))
    A, B, AB, AA, BB, nAA, nAB, nBB = x
    ratio, share = 0.693, 0.107  # ratio and specC17, which are known
    cytoplasm, nucleus = 1.4, 0.45
    hormone = 1.25e-7 * sp.exp(-p["Epo_degradation_BaF3"] * sd.time())
    binds = cytoplasm * hormone * p["k_phos"]
    v1, v2, v3 = binds * A**2, binds * A * B, binds * B**2
    v4, v6 = (cytoplasm * p["k_imp_homo"] * y for y in (AA, BB))
    v5 = cytoplasm * p["k_imp_hetero"] * AB
    v7, v9 = (nucleus * p["k_exp_homo"] * y for y in (nAA, nBB))
    v8 = nucleus * p["k_exp_hetero"] * nAB
    rates = {
        A: (-2 * v1 - v2 + 2 * v7 + v8) / cytoplasm,
        B: (-v2 - 2 * v3 + v8 + 2 * v9) / cytoplasm,
        AB: (v2 - v5) / cytoplasm,
        AA: (v1 - v4) / cytoplasm,
        BB: (v3 - v6) / cytoplasm,
        nAA: (v4 - v7) / nucleus,
        nAB: (v5 - v8) / nucleus,
        nBB: (v6 - v9) / nucleus,
    }
    other = 1 - share
    phosphorylated_a = (100 * AB + 200 * AA * share) / (AB + A * share + 2 * AA * share)
    phosphorylated_b = (100 * AB + 200 * BB * other) / (AB + B * other + 2 * BB * other)
    part_a = (100 * AB + 100 * A * share + 200 * AA * share) / (
        2 * AB + A * share + 2 * AA * share + B * other + 2 * BB * other
    )
    observed = {
        name: (function, p[f"sd_{name}"])
        for name, function in {
            "pSTAT5A_rel": phosphorylated_a,
            "pSTAT5B_rel": phosphorylated_b,
            "rSTAT5A_rel": part_a,
        }.items()
    }
    begin = dict.fromkeys(x, 0.0) | {A: 207.6 * ratio, B: 207.6 * (1 - ratio)}
    action = sd.Action(
        sd.Model(rates, name="boehm"),
        {name: sd.Normal(*pair) for name, pair in observed.items()},
        scheme="radau3",
        initial=begin,
    )
    data = _recordings("Boehm_JProteomeRes2014", observed)["model1_data1"]
    bound = action.bind(data, max_step=2.5)
    return _one(action, bound, nominal, 138.222, rates, observed, data, begin)


def crauste() -> Published:
    """T cells against a pathogen: four kinds of cells measured; all initial amounts known."""
    p, nominal = _parameters("Crauste_CellSystems2017")
    x = sd.states("Naive EarlyEffector LateEffector Memory Pathogen", bounds=(0.0, 1e6))
    N, E, L, M, P = x
    rates = {
        N: -N * p["mu_N"] - N * P * p["delta_NE"],
        E: N * P * p["delta_NE"] + E * P * p["rho_E"] - E**2 * p["mu_EE"] - E * p["delta_EL"],
        L: E * p["delta_EL"] - L**2 * p["mu_LL"] - E * L * p["mu_LE"] - L * p["delta_LM"],
        M: L * p["delta_LM"],
        P: P**2 * p["rho_P"] - E * P * p["mu_PE"] - L * P * p["mu_PL"] - P * p["mu_P"],
    }
    observed = {f"observable_{y.name}": (y, None) for y in (N, E, L, M)}
    begin = dict.fromkeys(x, 0.0) | {N: 8090.0, P: 1.0}
    action = sd.Action(
        sd.Model(rates, name="crauste"),
        {name: function for name, (function, _) in observed.items()},
        scheme="radau3",
        initial=begin,
    )
    data = _recordings("Crauste_CellSystems2017", observed)["model1_data1"]
    bound = action.bind(data, start=0.0, max_step=0.1)
    return _one(action, bound, nominal, 190.966, rates, observed, data, begin)


def bruno() -> Published:
    """Carotenoids cleaved by an enzyme, in six experiments; what each begins with is estimated.

    `slow` is 1 in the two experiments that multiply all rates by `szea`. The multipliers 0 of the
    tables are left out: they belong to reactions of what is not there. So are the two products that
    nothing uses and nobody measured (bio, ohbio).
    """
    p, nominal = _parameters("Bruno_JExpBot2016")
    x = sd.states("bcar bcry b10 ohb10 zea", bounds=(0.0, 1000.0))
    bcar, bcry, b10, ohb10, zea = x
    slow = sd.parameter("slow", per="experiment", bounds=(0.0, 1.0))
    speed = 1 + slow * (p["szea"] - 1)
    v1, v2 = speed * p["kb1"] * bcar, speed * p["kb2"] * b10
    v3, v4 = speed * p["kc1"] * bcry, speed * p["kc2"] * bcry
    v5, v6 = speed * p["kc4"] * ohb10, speed * p["k5"] * zea
    rates = {bcar: -v1, bcry: -v3 - v4, b10: v1 - v2 + v3, ohb10: v4 - v5 + v6, zea: -v6}
    observed = {f"o{y.name}": (y, None) for y in (b10, bcar, bcry, ohb10, zea)}
    begin = {
        bcar: p["init_bcar1"] * (1 - slow) + p["init_bcar2"] * slow,
        bcry: p["init_bcry_1"],
        b10: p["init_b10_1"],
        ohb10: p["init_ohb10_1"],
        zea: p["init_zea_1"],
    }
    action = sd.Action(
        sd.Model(rates, name="bruno"),
        {name: function for name, (function, _) in observed.items()},
        initial=begin,
    )
    fed = dict(zip(range(1, 7), (b10, bcar, bcar, bcry, ohb10, zea), strict=True))
    data, begins, known = {}, {}, {}
    for number, food in fed.items():
        name = f"model1_data{number}"
        made = _recordings("Bruno_JExpBot2016", observed)[name]
        data[name] = made.with_initial({y.name: 0.0 for y in x if y is not food})
        begins[name] = dict.fromkeys(x, sp.Integer(0)) | {food: begin[food]}
        known[name] = {slow: float(number in (3, 6))}
    fixed = {f"slow[{name}]": value[slow] for name, value in known.items()}
    bound = action.bind(data, start=0.0, max_step=5.0, fixed=fixed)
    return Published(action, bound, nominal, -46.688, rates, observed, data, begins, known)


PROBLEMS: dict[str, Callable[[], Published]] = {"Boehm": boehm, "Bruno": bruno, "Crauste": crauste}


def _one(
    action: sd.Action,
    bound: Problem,
    nominal: Mapping[str, float],
    optimum: float,
    rates: Mapping[sp.Symbol, sp.Expr],
    observed: Mapping[str, tuple[sp.Expr, sp.Expr | None]],
    data: sd.Observations,
    begin: Mapping[sp.Symbol, sp.Expr],
) -> Published:
    """Make a problem with one experiment."""
    return Published(
        action, bound, nominal, optimum, rates, observed, {"1": data}, {"1": begin}, {"1": {}}
    )


def _table(problem: str, name: str) -> list[dict[str, str]]:
    with (DATA / problem / f"{name}.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _parameters(problem: str) -> tuple[dict[str, sp.Symbol], dict[str, float]]:
    """Declare the parameters to estimate with the bounds and scales of the table."""
    rows = [row for row in _table(problem, "parameters") if row["estimate"] == "1"]
    made = {
        row["parameterId"]: sd.parameter(
            row["parameterId"],
            bounds=(float(row["lowerBound"]), float(row["upperBound"])),
            scale="log" if row["parameterScale"] == "log10" else None,
        )
        for row in rows
    }
    return made, {row["parameterId"]: float(row["nominalValue"]) for row in rows}


def _recordings(
    problem: str, observed: Mapping[str, tuple[sp.Expr, sp.Expr | None]]
) -> dict[str, sd.Observations]:
    """Read the measurements of each condition; a column each, nan where there is none."""
    rows = _table(problem, "measurements")
    made = {}
    for condition in dict.fromkeys(row["simulationConditionId"] for row in rows):
        own = [row for row in rows if row["simulationConditionId"] == condition]
        times = sorted({float(row["time"]) for row in own})
        values = np.full((len(times), len(observed)), np.nan)
        variance: NDArray = np.full_like(values, np.nan)
        for row in own:
            k = list(observed).index(row["observableId"])
            n = times.index(float(row["time"]))
            values[n, k] = float(row["measurement"])
            if next(iter(observed.values()))[1] is None:
                variance[n, k] = float(row["noiseParameters"]) ** 2
        noisy = None if np.isnan(variance).all() else variance
        made[condition] = sd.Observations(times, values, variance=noisy, channels=list(observed))
    return made
