"""Motion and integrators -> StepIR: routines of the model, and each method's numbers as doubles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from symda.discretise import (
    SCHEMES,
    Composition,
    Method,
    Number,
    Partitioned,
    Splitting,
    Tableau,
    Variational,
)
from symda.discretise.structured import clocks
from symda.lower.instructions import lower_function, pattern_of
from symda.lower.ir import Pattern, Routine
from symda.lower.lattice import LatticeIR, lower_lattice
from symda.names import module_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import casadi as ca

    from symda.derive.lattice import LatticeField
    from symda.derive.motion import Motion

Kind: TypeAlias = Literal["explicit", "implicit", "splitting", "variational", "composition"]
Numbers: TypeAlias = tuple[float, ...]


@dataclass(frozen=True)
class StepProgram:
    """One method, lowered."""

    #: The method's name, and as part of a C identifier.
    name: str
    word: str
    kind: Kind  #: Which template writes it.
    title: str  #: Name, form and order, for people.
    slots: int  #: Places where forcing is evaluated, S.
    #: Rows of the tableau of q (or of all states), weights, abscissae; nodes and weights of a
    #: discrete Lagrangian.
    a: tuple[Numbers, ...] = ()
    b: Numbers = ()
    c: Numbers = ()
    #: The tableau of p: the same unless the method is partitioned.
    a_p: tuple[Numbers, ...] = ()
    b_p: Numbers = ()
    #: (kick or drift, weight, clock): of a splitting.
    operations: tuple[tuple[str, float, float], ...] = ()
    base: str = ""  #: Word of a composition's base, and `substeps` its (start, weight).
    substeps: tuple[tuple[float, float], ...] = ()
    base_slots: int = 0

    @property
    def stages(self) -> int:
        """Number of stages or nodes."""
        return len(self.b)


@dataclass(frozen=True)
class StepIR:
    """A model and some integrators, lowered.

    `programs` holds the bases of compositions too, before them; `public` are the names of those
    that were asked for. `jacobians` has the pattern of each routine that returns a Jacobian. Of
    a large `lattice` there is only F, as loops over sites, and its methods are explicit
    Runge-Kutta ones.
    """

    model: str
    discrete: bool
    states: tuple[str, ...]
    parameters: tuple[str, ...]
    forcing: tuple[str, ...]
    equations: tuple[str, ...]
    lagrangian: str
    D: int
    P: int
    U: int
    n: int
    programs: tuple[StepProgram, ...]
    public: tuple[str, ...]
    routines: tuple[Routine, ...]
    jacobians: tuple[tuple[str, Pattern], ...]
    lattice: LatticeIR | None = None

    def uses(self, kind: Kind) -> bool:
        """Whether a method of this kind is among them."""
        return any(program.kind == kind for program in self.programs)

    def most(self, kind: Kind) -> int:
        """Most stages of a method of this kind, 0 if there is none."""
        return max((one.stages for one in self.programs if one.kind == kind), default=0)


def lower_steps(motion: Motion, integrators: Sequence[Method]) -> StepIR:
    """Lower the step maps of a model; those it does not fit must have been refused before."""
    model = motion.model
    programs = step_programs(integrators)
    kinds = {program.kind for program in programs}
    functions: list[ca.Function] = []
    if kinds & {"explicit", "implicit"}:
        functions += [motion.field, motion.field_jacobian]
    if kinds & {"splitting", "variational"}:
        functions.append(motion.velocity)
    if "splitting" in kinds:
        functions += [motion.velocity_jacobian, motion.force, motion.force_jacobian]
    if "variational" in kinds:
        functions += [motion.legendre, motion.legendre_jacobian]
    names = [tuple("kJ"[: f.n_out()]) for f in functions]
    lagrangian = getattr(model, "lagrangian", None)
    return StepIR(
        model=model.name,
        discrete=model.discrete,
        states=tuple(s.name for s in model.states),
        parameters=tuple(p.name for p in model.parameters),
        forcing=tuple(f.name for f in model.forcing),
        equations=tuple(str(e) for e in model.equations),
        lagrangian=str(lagrangian) if "variational" in kinds else "",
        D=motion.D,
        P=len(model.parameters),
        U=len(model.forcing),
        n=motion.n,
        programs=programs,
        public=tuple(one.name for one in integrators),
        routines=tuple(map(lower_function, functions, names)),
        jacobians=tuple(
            (f.name(), pattern_of(f.sparsity_out(1))) for f in functions if f.n_out() == 2
        ),
    )


def lower_lattice_steps(field: LatticeField, integrators: Sequence[Method]) -> StepIR:
    """Lower the step maps of a large lattice: explicit Runge-Kutta methods without tangents."""
    model = field.model
    return StepIR(
        model=model.name,
        discrete=model.discrete,
        states=(),
        parameters=tuple(p.name for p in model.parameters),
        forcing=tuple(f.name for f in model.forcing),
        equations=(),
        lagrangian="",
        D=field.D,
        P=field.P,
        U=field.U,
        n=0,
        programs=step_programs(integrators),
        public=tuple(one.name for one in integrators),
        routines=(),
        jacobians=(),
        # of the scheme nothing is used but its one slope
        lattice=lower_lattice(field, SCHEMES["euler"]),
    )


def step_programs(integrators: Sequence[Method]) -> tuple[StepProgram, ...]:
    """Lower methods, the bases of compositions before them and none twice."""
    needed: dict[str, Method] = {}
    for one in integrators:
        if isinstance(one, Composition) and not isinstance(one.base, Splitting):
            needed.setdefault(one.base.name, one.base)
        needed.setdefault(one.name, one)
    words: dict[str, str] = {}
    for name in needed:
        word = stem = module_name("", name)
        while word in words.values():
            word = f"{stem}_{len(words)}"
        words[name] = word
    return tuple(_program(one, words) for one in needed.values())


def _program(one: Method, words: dict[str, str]) -> StepProgram:
    name, slots = one.name, len(one.abscissae)
    word = words[name]
    title = f"{name}: {one.summary}"
    if isinstance(one, Tableau):
        kind: Kind = "explicit" if one.explicit else "implicit"
        A, b = _matrix(one.A), _numbers(one.b)
        return StepProgram(name, word, kind, title, slots, A, b, one.abscissae, A, b)
    if isinstance(one, Partitioned):
        (A, b), (A_p, b_p) = ((_matrix(m), _numbers(w)) for m, w in (one.q, one.p))
        return StepProgram(name, word, "implicit", title, slots, A, b, one.abscissae, A_p, b_p)
    if isinstance(one, Variational):
        b, c = _numbers(one.b), _numbers(one.c)
        return StepProgram(name, word, "variational", title, slots, b=b, c=c)
    if isinstance(one, Splitting) or (
        isinstance(one, Composition) and isinstance(one.base, Splitting)
    ):
        operations = tuple(
            (operation, float(weight), float(clock))
            for (operation, weight), clock in zip(one.steps, clocks(one.steps), strict=True)
        )
        return StepProgram(name, word, "splitting", title, slots, operations=operations)
    assert isinstance(one, Composition)
    return StepProgram(
        name,
        word,
        "composition",
        title,
        slots,
        base=words[one.base.name],
        base_slots=len(one.base.abscissae),
        substeps=tuple(zip(_numbers(one.starts), _numbers(one.weights), strict=True)),
    )


def _numbers(values: Sequence[Number]) -> Numbers:
    return tuple(map(float, values))


def _matrix(lines: Sequence[Sequence[Number]]) -> tuple[Numbers, ...]:
    return tuple(map(_numbers, lines))
