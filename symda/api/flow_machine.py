"""Which method fits a model, what evaluates it, and what members start from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from symda.api.machine import CHOICE, VirtualMachineWarning
from symda.api.simulate import initial_state, parameter_vector
from symda.declare import Declaration, LatticeModel, Measurement, Model, Parameter, State
from symda.declare.mechanics import MechanicalModel
from symda.errors import DataError, OptionError
from symda.observe import Samples
from symda.observe.arrays import as_floats, dimensions
from symda.types import FloatArray

if TYPE_CHECKING:
    import casadi as ca

    from symda.api.forced import Values
    from symda.build.steps import StepEngine
    from symda.discretise import Method, Scheme
    from symda.emit import Source
    from symda.lower.steps import StepIR

Functions: TypeAlias = "Mapping[str, ca.Function]"

#: Unknowns of an implicit step (stages times states) that dense factors are made for.
LARGEST_SYSTEM = 800
#: States up to which a lattice is written out.
LARGEST_LATTICE = 200


def fitting(model: Model, method: str | Method | Scheme, *, where: str) -> Method:
    """Return the integrator a user asked for, if it fits the model.

    Raises
    ------
    OptionError
        If there is none of that name, or it needs what the model has not; with a method that
        does.
    """
    from symda.discretise import find_method

    require_ode(model, where=where)
    one = find_method(method, where=where)
    _require_mechanics(model, one, where)
    D = len(model.states)
    if in_loops(model) and not one.explicit:
        raise OptionError(
            f"{where}: the method {one.name!r} is implicit, and {model.name!r} has {D} states on "
            f"its lattice; above {LARGEST_LATTICE} there are explicit methods only, such as 'rk4'."
        )
    unknowns = 0 if one.explicit else D * len(one.abscissae)
    if unknowns > LARGEST_SYSTEM:
        raise OptionError(
            f"{where}: the method {one.name!r} solves for {unknowns} unknowns in every step, more "
            f"than {LARGEST_SYSTEM}; use an explicit method, such as 'rk4'."
        )
    return one


def require_ode(model: Model, *, where: str) -> None:
    """Refuse what is no model, and a map.

    Raises
    ------
    OptionError
        With what to do.
    """
    if not isinstance(model, Model):
        raise OptionError(
            f"{where}: the first argument is a symda.Model, got {type(model).__name__}; "
            "of an action, pass action.model."
        )
    if model.discrete:
        raise OptionError(
            f"{where}: {model.name!r} is a discrete map, which is its own step; iterate it with "
            "sd.simulate."
        )


def in_loops(model: Model) -> bool:
    """Whether a model's F is emitted as loops over sites, without a Jacobian."""
    return isinstance(model, LatticeModel) and len(model.states) > LARGEST_LATTICE


def _require_mechanics(model: Model, one: Method, where: str) -> None:
    name = f"{where}: the method {one.name!r}"
    if one.needs and not isinstance(model, MechanicalModel):
        raise OptionError(
            f"{name} treats coordinates and momenta differently, and {model.name!r} does not say "
            "which states are which. Declare it with sd.Model.from_hamiltonian or "
            "from_lagrangian, or use a method for any model, such as 'gauss4' (symplectic) or "
            "'rk4'."
        )
    if not isinstance(model, MechanicalModel):
        return
    if one.needs == "separable" and not model.separable:
        instead = one.general or "gauss4"
        raise OptionError(
            f"{name} is for separable Hamiltonians, T(p) + V(q), with forces free of p; that of "
            f"{model.name!r} is not, {model.hamiltonian}. Use method={instead!r}, which solves "
            "an equation in every step, for the same order with any Hamiltonian."
        )
    if one.needs == "lagrangian" and model.lagrangian is None:
        raise OptionError(
            f"{name} is made of the Lagrangian, and {model.name!r} was declared by its "
            "Hamiltonian. Declare it with sd.Model.from_lagrangian, or use 'midpoint', which is "
            "the same map as 'variational-midpoint'."
        )


@lru_cache(maxsize=16)
def _lowered(model: Model, integrator: Method) -> tuple[Functions, StepIR]:
    from symda.derive.lattice import derive_lattice
    from symda.derive.motion import Motion
    from symda.lower.steps import lower_lattice_steps, lower_steps

    if isinstance(model, LatticeModel) and in_loops(model):
        field = derive_lattice(model, Measurement((), (), ()))
        return {"field": field.field}, lower_lattice_steps(field, [integrator])
    motion = Motion(model)
    ir = lower_steps(motion, [integrator])
    functions = {routine.name: getattr(motion, routine.name) for routine in ir.routines}
    return functions, ir


def machine_of(
    model: Model, integrator: Method, *, together: bool = False
) -> tuple[StepEngine, Source]:
    """Return what evaluates a model's step map, built or taken from the cache, and its text.

    Members are computed `together`, without tangents, where the model and the method allow it.

    Raises
    ------
    BuildError
        If the compiler fails.

    Warns
    -----
    VirtualMachineWarning
        If there is no compiler.
    """
    choice = tuple(os.environ.get(name) for name in CHOICE)
    engine, source, why = _engine(model, integrator, together, choice)
    if why:
        warnings.warn(why, VirtualMachineWarning, stacklevel=3)
    return engine, source


@lru_cache(maxsize=16)
def _engine(
    model: Model, integrator: Method, together: bool, _choice: tuple[str | None, ...]
) -> tuple[StepEngine, Source, str]:
    """Build an engine; without a compiler also why there is none."""
    from symda.build import NoCompiler, build
    from symda.build.steps import CompiledSteps
    from symda.build.steps_numpy import NumpySteps
    from symda.emit.steps import emit_steps, goes_in_lanes

    functions, ir = _lowered(model, integrator)
    source = emit_steps(ir, lanes=together and goes_in_lanes(ir))
    try:
        return CompiledSteps(build(source).library, ir), source, ""
    except NoCompiler as reason:
        return NumpySteps(functions, ir), source, str(reason)


def go_together(model: Model, members: int, *, ensemble: bool) -> bool:
    """Whether members are computed together, in lanes, if the model and the method allow it.

    All ensembles are, so that no member depends on how many there are, but for one of one member
    of a large model.
    """
    from symda.emit.vectors import LARGE_ALONE

    return ensemble and (members > 1 or len(model.states) < LARGE_ALONE)


def parameter_members(
    declarations: Mapping[State | Parameter, Declaration], given: Values | None, *, where: str
) -> tuple[FloatArray, tuple[str, ...]]:
    """Return parameters as an array (K, P), K = 1 where they are no ensemble's, and whose they are.

    The names are of those with values for each member.

    Raises
    ------
    InputError
        If one is unknown, missing or not finite, or they have values for different numbers of
        members.
    """
    names = tuple(p.name for p in declarations if isinstance(p, Parameter))
    what = f"{where}: parameters"
    if not isinstance(given, Mapping):
        if given is None or dimensions(given) != 2:
            return parameter_vector(declarations, given, where=where)[None], ()
        values = as_floats(given, what)
        if len(values) == 0 or values.shape[1] != len(names):
            raise DataError(
                f"{what} of an ensemble must have the shape (members, {len(names)}), a number for "
                f"each of {', '.join(names[:8])}, got {values.shape}."
            )
        many = dict(zip(names, values.T, strict=True))
        first = parameter_vector(declarations, values[0], where=where)
    else:
        many = {
            str(name): as_floats(value, f"{what}[{str(name)!r}]")
            for name, value in given.items()
            if not isinstance(value, str | Samples) and dimensions(value) == 1
        }
        if not many:
            return parameter_vector(declarations, given, where=where)[None], ()
        sizes = {name: len(values) for name, values in many.items()}
        if len(set(sizes.values())) > 1 or not all(sizes.values()):
            listed = ", ".join(f"{size} of {name}" for name, size in sizes.items())
            raise DataError(
                f"{what}: there are {listed}; pass a number for all members, or one value for each."
            )
        one = {name: values[0] for name, values in many.items()}
        named = {str(name): value for name, value in given.items()}
        first = parameter_vector(declarations, named | one, where=where)
    theta = np.tile(first, (len(next(iter(many.values()))), 1))
    for name, values in many.items():
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise DataError(
                f"{what}[{name!r}] of member {bad[0]} is {values[bad[0]]}, expected a finite "
                "number."
            )
        theta[:, names.index(name)] = values
    return theta, tuple(many)


def members_of(model: Model, initial: ArrayLike | Mapping[str, float], *, where: str) -> FloatArray:
    """Return initial states as an array (K, D), K = 1 for a single one.

    Raises
    ------
    DataError
        If it does not have a finite number for each state.
    """
    if isinstance(initial, np.ndarray) and initial.dtype == np.float64 and initial.ndim == 1:
        if initial.size == len(model.states) and np.all(np.isfinite(initial)):
            return np.array(initial[None, :])
    if isinstance(initial, Mapping) or dimensions(initial) != 2:
        return initial_state(model, initial, where=where)[None, :]
    values, D = as_floats(initial, f"{where}: initial"), len(model.states)
    if values.shape[0] == 0 or values.shape[1] != D:
        raise DataError(
            f"{where}: initial of an ensemble must have the shape (members, {D}), one number for "
            f"each of {', '.join(s.name for s in model.states[:8])}, got {values.shape}."
        )
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        m, a = bad[0]
        raise DataError(
            f"{where}: initial[{m}, {a}] (member {m}, {model.states[a].name!r}) is {values[m, a]}, "
            "expected a finite number."
        )
    return np.ascontiguousarray(values)
