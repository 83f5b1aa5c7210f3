"""From an action to what evaluates it: compiled code, or CasADi where there is no compiler."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from symda.errors import SymdaError

if TYPE_CHECKING:
    from symda.api.specification import Specification
    from symda.build import Options
    from symda.build.abstract import Kernels
    from symda.build.flows import FlowEngine
    from symda.build.kernels import BlockEvaluator
    from symda.derive.field import Field
    from symda.derive.lattice import LatticeField
    from symda.emit import Source
    from symda.observe import Problem
    from symda.solve import Strong


#: Environment variables that choose the compiler, or none.
CHOICE = ("SYMDA_CC", "CC")


class VirtualMachineWarning(UserWarning):
    """There is no compiler, so CasADi's virtual machine evaluates the model."""


def machine(specification: Specification, options: Options | None = None) -> Kernels:
    """Build an action's kernels, or take them from the cache; those built before are returned.

    Raises
    ------
    BuildError
        If the compiler fails.

    Warns
    -----
    VirtualMachineWarning
        If there is no compiler.
    """
    from symda.build import NoCompiler
    from symda.derive.field import Field

    built, field = specification.built, specification.field
    # what another compiler built, or none, has its solver from there as well
    key = options, *(os.environ.get(name) for name in CHOICE)
    if key not in built:
        try:
            built[key] = (
                _matrices(specification, field, options)
                if isinstance(field, Field)
                else _lattice(specification, field, options)
            )
        except NoCompiler as reason:
            warnings.warn(str(reason), VirtualMachineWarning, stacklevel=3)
            built[key] = (
                _virtual(specification, field)
                if isinstance(field, Field)
                else _virtual_lattice(specification, field)
            )
    return built[key]


def build_ahead(specification: Specification, problem: Problem, *, lanes: bool, flow: bool) -> None:
    """Begin to build the structured solver and the flow while the kernels are built.

    `Kernels.structured` and `flow_of` find them in the cache, wait for them there, or say what went
    wrong.
    """
    from symda.build import build, toolchain
    from symda.build.course import unfit
    from symda.build.lane_flags import lane_flags
    from symda.derive.field import Field
    from symda.emit.flows import emit_flow
    from symda.lower.flows import lower_flow

    field = specification.field
    if not isinstance(field, Field) or not toolchain().usable:
        return
    wanted: list[tuple[Source, Options | None]] = []
    flags = lane_flags(problem) if lanes else None
    if flags is not None:
        source = specification.newton(given=bool(problem.given.any()))
        wanted.append((source, _further(None, flags)))
    if flow and not unfit(problem):
        wanted.append((emit_flow(lower_flow(field)), None))

    def quietly(source: Source, options: Options | None) -> None:
        with contextlib.suppress(SymdaError):
            build(source, options)

    for one in wanted:
        threading.Thread(target=quietly, args=one, name="symda-build").start()


def flow_of(specification: Specification, problem: Problem) -> FlowEngine | None:
    """Build what integrates an action's model, or take it from the cache; None where nothing does.

    Raises
    ------
    BuildError
        If the compiler fails.
    """
    from symda.build.course import unfit
    from symda.build.flows import flow_engine
    from symda.derive.field import Field

    field, flows = specification.field, specification.flows
    if not isinstance(field, Field) or unfit(problem):
        return None
    key = tuple(os.environ.get(name) for name in CHOICE)
    if key not in flows:
        flows[key] = flow_engine(field)
    return flows[key]


def strong_of(specification: Specification, at: BlockEvaluator) -> Strong:
    """Return the action of the model's own solutions of a problem that has some.

    Raises
    ------
    BuildError
        If the compiler fails.
    """
    from symda.solve import Strong

    flow = flow_of(specification, at.problem)
    assert flow is not None
    return Strong(at, flow)


def _further(options: Options | None, flags: tuple[str, ...]) -> Options | None:
    from symda.build import Options

    if not flags:
        return options
    chosen = Options() if options is None else options
    return replace(chosen, flags=(*chosen.flags, *flags))


def _matrices(specification: Specification, field: Field, options: Options | None) -> Kernels:
    from symda.build import build
    from symda.build.kernels import compiled_kernels

    def newton(given: bool, *flags: str) -> Path:
        return build(specification.newton(given=given), _further(options, flags)).library

    artefact = build(specification.emitted, options)
    sizes = _paid(specification), len(specification.measurement.pairs)
    return compiled_kernels(artefact, newton, field.functions, field.initial, *sizes)


def _virtual(specification: Specification, field: Field) -> Kernels:
    from symda.build.kernels import virtual_kernels
    from symda.derive.step import derive_step

    return virtual_kernels(
        derive_step(field, specification.scheme),
        specification.emitted,
        field.functions,
        field.initial,
        _paid(specification),
        len(specification.measurement.pairs),
    )


def _paid(specification: Specification) -> int:
    """Count the states whose values are paid."""
    return len(specification.model.controls) + len(specification.model.independent)


def _lattice(specification: Specification, field: LatticeField, options: Options | None) -> Kernels:
    from symda.build import build
    from symda.build.lattice import LatticeShape, compiled_lattice

    shape = LatticeShape.of(field, specification.scheme)
    return compiled_lattice(build(specification.emitted, options), shape, field)


def _virtual_lattice(specification: Specification, field: LatticeField) -> Kernels:
    from symda.build.lattice import LatticeShape, lattice_kernels
    from symda.build.lattice_engines import VirtualLattice
    from symda.derive.lattice import derive_lattice_step

    shape = LatticeShape.of(field, specification.scheme)
    engine = VirtualLattice(derive_lattice_step(field, specification.scheme))
    return lattice_kernels(engine, specification.emitted, shape, field)
