"""From an action to what evaluates it: compiled code, or CasADi where there is no compiler."""

from __future__ import annotations

import contextlib
import threading
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from symda.errors import SymdaError

if TYPE_CHECKING:
    from symda.api.action import Action
    from symda.build import Options
    from symda.build.kernels import Kernels
    from symda.derive.field import Field
    from symda.derive.lattice import LatticeField


class VirtualMachineWarning(UserWarning):
    """There is no compiler, so CasADi's virtual machine evaluates the model."""


def machine(action: Action, options: Options | None) -> Kernels:
    """Build an action's kernels, or take them from the cache.

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

    field = action.field
    try:
        if isinstance(field, Field):
            return _matrices(action, field, options)
        return _lattice(action, field, options)
    except NoCompiler as reason:
        warnings.warn(str(reason), VirtualMachineWarning, stacklevel=3)
    if isinstance(field, Field):
        return _virtual(action, field)
    return _virtual_lattice(action, field)


def build_ahead(action: Action, *, one_lane: bool) -> None:
    """Begin to build the structured solver while the kernels are built.

    `Kernels.structured` finds it in the cache, waits for it there, or says what went wrong.
    """
    from symda.build import build, toolchain
    from symda.build.kernels import LARGEST_BLOCK, ONE_LANE
    from symda.derive.field import Field

    unknowns = len(action.model.states) * (1 + len(action.scheme.interior))
    if not isinstance(action.field, Field) or unknowns > LARGEST_BLOCK or not toolchain().usable:
        return
    source, options = action.emitted_newton, _further(None, ONE_LANE if one_lane else ())

    def quietly() -> None:
        with contextlib.suppress(SymdaError):
            build(source, options)

    threading.Thread(target=quietly, name="symda-build").start()


def _further(options: Options | None, flags: tuple[str, ...]) -> Options | None:
    from symda.build import Options

    if not flags:
        return options
    chosen = Options() if options is None else options
    return replace(chosen, flags=(*chosen.flags, *flags))


def _matrices(action: Action, field: Field, options: Options | None) -> Kernels:
    from symda.build import build
    from symda.build.kernels import compiled_kernels

    def newton(*flags: str) -> Path:
        return build(action.emitted_newton, _further(options, flags)).library

    return compiled_kernels(build(action.emitted, options), newton, field.functions)


def _virtual(action: Action, field: Field) -> Kernels:
    from symda.build.kernels import virtual_kernels
    from symda.derive.step import derive_step

    return virtual_kernels(derive_step(field, action.scheme), action.emitted, field.functions)


def _lattice(action: Action, field: LatticeField, options: Options | None) -> Kernels:
    from symda.build import build
    from symda.build.lattice import LatticeShape, compiled_lattice

    shape = LatticeShape.of(field, action.scheme)
    return compiled_lattice(build(action.emitted, options), shape, field)


def _virtual_lattice(action: Action, field: LatticeField) -> Kernels:
    from symda.build.lattice import LatticeShape, lattice_kernels
    from symda.build.lattice_engines import VirtualLattice
    from symda.derive.lattice import derive_lattice_step

    shape = LatticeShape.of(field, action.scheme)
    engine = VirtualLattice(derive_lattice_step(field, action.scheme))
    return lattice_kernels(engine, action.emitted, shape, field)
