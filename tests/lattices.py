"""Random lattice models, and both forms of their kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy as sp
from models import Case, make_case

import symda as sd
from symda.build import build
from symda.build.lattice import LatticeKernels, LatticeShape, compiled_lattice, lattice_kernels
from symda.build.lattice_engines import VirtualLattice
from symda.declare import LatticeModel
from symda.derive.lattice import LatticeField, derive_lattice, derive_lattice_step
from symda.emit import emit_lattice
from symda.lower import lower_lattice
from symda.observe import Problem

BOUNDARIES = ("periodic", "zero", "reflect")


def random_lattice(
    seed: int,
    shape: Sequence[int],
    boundaries: Sequence[str],
    *,
    fields: int = 1,
    discrete: bool = False,
    reach: int = 3,
) -> LatticeModel:
    """A model of random products, sines and a smooth case, with parameters, time and forcing."""
    rng = np.random.default_rng(seed)
    sites = tuple(
        sd.site(name, size, boundary=boundary)
        for name, size, boundary in zip("ijk", shape, boundaries, strict=False)
    )
    every = [sd.states(f"x{f}_", sites, start=(-1.0, 1.0)) for f in range(fields)]
    a, b = sd.parameters("a b", start=(0.5, 1.5))
    t, u = sd.time(), sd.forcing("u")

    def somewhere() -> sp.Expr:
        field = every[rng.integers(fields)]
        offsets = rng.integers(-reach, reach + 1, len(sites))
        return field[tuple(s + int(o) for s, o in zip(sites, offsets, strict=True))]

    def equation(own: sp.Expr) -> sp.Expr:
        wave = sp.sin(somewhere() + somewhere() / 2)
        place = somewhere()
        case = sp.Piecewise((place**2, place > 0), (0, True))
        number = sites[-1] / 7 - sites[0] / 5
        drive = u if discrete else u * sp.cos(t)
        return (
            a * somewhere() * somewhere()
            + wave * b
            - own / 2
            + case / 3
            + number * somewhere()
            + drive * somewhere() / 4
        )

    owns = [field[sites] for field in every]
    return sd.Model({own: equation(own) for own in owns}, name="random", discrete=discrete)


def lattice_of(case: Case) -> LatticeField:
    assert isinstance(case.model, LatticeModel)
    return derive_lattice(case.model, case.measurement)


def virtual(case: Case) -> LatticeKernels:
    """CasADi's matrix-free kernels."""
    field = lattice_of(case)
    engine = VirtualLattice(derive_lattice_step(field, case.scheme))
    source = emit_lattice(lower_lattice(field, case.scheme))
    return lattice_kernels(engine, source, LatticeShape.of(field, case.scheme), field)


def compiled(case: Case) -> LatticeKernels:
    """The emitted loops."""
    field = lattice_of(case)
    source = emit_lattice(lower_lattice(field, case.scheme))
    return compiled_lattice(build(source), LatticeShape.of(field, case.scheme), field)


def measured_of(model: LatticeModel) -> list[sp.Expr]:
    """Two plain states and an expression of several, with a parameter of its own."""
    gain = sd.parameter("gain", start=(0.5, 1.5))
    states = model.states
    some = [states[-1], states[0] * gain + states[len(states) // 2] ** 2]
    return [*some, states[len(states) // 3]] if len(states) > 3 else some


def lattice_case(model: LatticeModel, scheme: str | None = None) -> Case:
    return make_case(model, measured_of(model), scheme)


def random_problem(case: Case, rng: np.random.Generator, steps: int = 3) -> Problem:
    """Data of an uneven grid with gaps."""
    values = rng.normal(size=(steps + 1, len(case.measurement.names)))
    values[1, 0] = np.nan
    times = np.arange(steps + 1.0)
    if not case.model.discrete:
        times = np.cumsum(np.concatenate([[0.0], rng.uniform(0.05, 0.2, steps)]))
    samples = {"u": rng.normal(size=steps + 1)}
    return case.problem(times.tolist(), values, 0.3, forcing=samples)
