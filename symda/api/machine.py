"""From an action to what evaluates it: compiled code, or CasADi where there is no compiler."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

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
            return _matrices(action, options)
        return _lattice(action, field, options)
    except NoCompiler as reason:
        warnings.warn(str(reason), VirtualMachineWarning, stacklevel=3)
    if isinstance(field, Field):
        return _virtual(action, field)
    return _virtual_lattice(action, field)


def _matrices(action: Action, options: Options | None) -> Kernels:
    from symda.build import build
    from symda.build.kernels import compiled_kernels

    return compiled_kernels(
        build(action.emitted, options), lambda: build(action.emitted_newton, options).library
    )


def _virtual(action: Action, field: Field) -> Kernels:
    from symda.build.kernels import virtual_kernels
    from symda.derive.step import derive_step

    return virtual_kernels(derive_step(field, action.scheme), action.emitted)


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
