"""IPOPT through CasADi on the compiled stages: the reference solver."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from symda.build.kernels import blocks_of
from symda.checks import choice
from symda.errors import OptionError
from symda.solve.judges import judge
from symda.solve.minimum import Minimum, record
from symda.solve.programs import FORMULATIONS
from symda.solve.solver import Capability, Solver
from symda.solve.stationary import Judge
from symda.status import Status
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import casadi as ca

    from symda.build.abstract import Kernels
    from symda.build.kernels import BlockKernels
    from symda.observe import Problem


#: IPOPT's own defaults push a warm start off its bounds and restart the barrier far out; its linear
#: algebra guards against scalings that this Hessian does not have. Measured on Lorenz-96 and a
#: Hodgkin-Huxley neuron: the same minima, a fifth to a quarter of the time less.
DEFAULTS: dict[str, Any] = {
    "print_level": 0,
    "sb": "yes",
    "tol": 1e-8,
    "max_iter": 1000,
    "mu_init": 1e-9,
    "bound_push": 1e-6,
    "bound_frac": 1e-6,
    "mumps_scaling": 0,
}
#: Steps are not checked against their residual: safe where the matrix is the damped Hessian itself;
#: lifted, at Rf/Rm = 1e6, it would cost two digits of the path.
DIRECT_DEFAULTS: dict[str, Any] = DEFAULTS | {"fast_step_computation": "yes"}

#: IPOPT's 1 is this share of an unknown's size. What it adds to an indefinite Hessian is a number:
#: measured on Lorenz-96, in whole sizes it takes a fifth more iterations.
SHARE = 0.1

#: IPOPT's word -> ours; all others are failures.
STATUS: dict[str, Status] = {
    "Solve_Succeeded": Status.CONVERGED,
    "Solved_To_Acceptable_Level": Status.ACCEPTABLE,
    "Feasible_Point_Found": Status.ACCEPTABLE,
    "Search_Direction_Becomes_Too_Small": Status.STOPPED,
    "Maximum_Iterations_Exceeded": Status.STOPPED,
    "Maximum_CpuTime_Exceeded": Status.STOPPED,
    "Maximum_WallTime_Exceeded": Status.STOPPED,
    "User_Requested_Stop": Status.STOPPED,
}


@dataclass(frozen=True)
class Ipopt(Solver):
    """IPOPT with exact first and second derivatives from the per-step functions.

    Parameters
    ----------
    formulation : str
        ``"direct"``: unknowns are path and parameters. ``"lifted"``: the model errors w are
        unknowns too, tied by r = w; the constraints' multipliers are the canonical momenta, and
        the problem stays well conditioned as Rf grows.
    settings : mapping
        IPOPT's options by their own names, e.g. ``tol``, ``max_iter``, ``linear_solver``; as
        options of a run they stand beside the formulation.

    Raises
    ------
    OptionError
        If the formulation is unknown or, once a problem is there, IPOPT refuses an option.
    """

    name: ClassVar[str] = "ipopt"
    capability: ClassVar[Capability] = Capability(
        needs=frozenset({"hessian", "steps"}), limit_in_windows=("max_iter", 120)
    )

    formulation: str = "direct"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        choice(self.formulation, "ipopt: formulation", FORMULATIONS)
        if not isinstance(self.settings, Mapping):
            raise OptionError(
                f"ipopt: settings must be a mapping of IPOPT's options, got {self.settings!r}."
            )

    def with_options(self, **options: Any) -> Ipopt:
        """Return it with other options, its own and IPOPT's."""
        formulation = options.pop("formulation", self.formulation)
        return Ipopt(formulation, {**self.settings, **options})

    @property
    def options(self) -> Mapping[str, Any]:
        """All options by name, as `with_options` takes them."""
        own = {} if self.formulation == "direct" else {"formulation": self.formulation}
        return {**own, **self.settings}

    def at(self, kernels: Kernels, problem: Problem) -> IpoptProgram:
        """Return what minimises the action of one problem."""
        blocks = blocks_of(kernels, "Hessian of a step, which IPOPT works with")
        return IpoptProgram(blocks, problem, self.formulation, self.settings)


class IpoptProgram:
    """IPOPT on the nonlinear program of one problem.

    Raises
    ------
    OptionError
        If IPOPT refuses an option.
    """

    def __init__(
        self, kernels: BlockKernels, problem: Problem, formulation: str, options: Mapping[str, Any]
    ) -> None:
        import casadi as ca

        self._evaluator = kernels.at(problem)
        self._judge: Judge | None = None
        self._lifted = formulation == "lifted"
        self._program = FORMULATIONS[formulation](kernels, problem)
        settings: dict[str, Any] = {
            "ipopt": (DEFAULTS if self._lifted else DIRECT_DEFAULTS)
            | {"obj_scaling_factor": _enlargement(problem)}
            | dict(options),
            "print_time": False,
            "record_time": False,
            # externals have no derivatives of their own; these would ask for them
            "no_nlp_grad": True,
            "calc_lam_p": False,
            "calc_lam_x": False,
            # a failure is a status, reported with the point reached
            "error_on_fail": False,
            "show_eval_warnings": False,
            **self._program.derivatives,
        }
        try:
            self._solver = ca.nlpsol("symda", "ipopt", {**self._program.nlp}, settings)
        except RuntimeError as error:
            raise OptionError(
                f"IPOPT refuses its options {dict(options)!r}: {first_line(error)}. "
                "See IPOPT's own list of options for names and values."
            ) from error

    def minimise(self, path: FloatArray, theta: FloatArray, rf: FloatArray) -> Minimum:
        """Minimise from (path, theta); see `Minimiser.minimise`."""
        started = time.perf_counter()
        p, count = self._evaluator.problem, self._program.unknowns
        start, rf = p.unknowns.inside(path, theta), self._evaluator.precision(rf)
        sizes = self._sizes(start)
        held = self._idle(start, rf)
        solution = self._solve(start, rf, sizes, held)
        if held.any():
            end = sizes * np.asarray(solution["x"].full()).reshape(-1)[:count]
            if not self._idle(end, rf)[held].all():
                # on its way the path came to where they matter
                held[:] = False
                solution = self._solve(start, rf, sizes, held)
        stats = self._solver.stats()
        unknowns = sizes * np.asarray(solution["x"].full()).reshape(-1)[:count]
        momenta = None
        if self._lifted:
            multipliers = np.asarray(solution["lam_g"].full()).reshape(-1)
            momenta = (multipliers / sizes[: multipliers.size]).reshape(p.N, p.E)
        message = str(stats["return_status"])
        status = STATUS.get(message, Status.FAILED)
        # IPOPT relaxes bounds by 1e-8 while it works
        end = np.clip(unknowns, p.unknowns.lower, p.unknowns.upper)
        if status == Status.STOPPED and self._is_minimum(end, rf):
            status = Status.CONVERGED
        return record(
            self._evaluator,
            end,
            rf,
            momenta=momenta,
            status=status,
            message=message,
            iterations=int(stats["iter_count"]),
            evaluations=int(stats.get("n_call_nlp_f", 0)),
            seconds=time.perf_counter() - started,
        )

    def _is_minimum(self, end: FloatArray, rf: FloatArray) -> bool:
        """Whether IPOPT, which found no way on, is where there is none."""
        if self._judge is None:
            self._judge = judge(self._evaluator)
        if self._judge is None:
            return False
        X, theta = self._evaluator.problem.unknowns.split(end)
        return self._judge.at(X, theta, rf).minimum

    def _sizes(self, start: FloatArray) -> FloatArray:
        """Units of the unknowns, (M D + P,), shares of their sizes.

        A state's size is its largest value, a parameter's its own or typical; bounds say nothing.
        """
        p = self._evaluator.problem
        path, theta = p.unknowns.split(start)
        largest = np.abs(path).max(axis=0, keepdims=True)
        for l in np.flatnonzero(p.direct >= 0):
            a = p.direct[l]
            largest[0, a] = max(largest[0, a], float(np.abs(p.y[:, l]).max()))
        sizes = p.magnitudes(largest, theta)
        return SHARE * p.unknowns.join(np.tile(sizes[: p.D], p.M), sizes[p.D :])

    def _solve(
        self, start: FloatArray, rf: FloatArray, sizes: FloatArray, held: BoolArray
    ) -> Mapping[str, ca.DM]:
        """Run IPOPT, in units of sizes, with some parameters held where they start."""
        p = self._evaluator.problem
        count = p.unknowns.on_path
        lower, upper = p.unknowns.lower / sizes, p.unknowns.upper / sizes
        begin = start / sizes
        lower[count:][held] = upper[count:][held] = begin[count:][held]
        arguments: dict[str, FloatArray | float] = {"p": np.concatenate([rf, sizes])}
        if self._lifted:
            residuals = self._evaluator.residual(*p.unknowns.split(start)).reshape(-1)
            free = np.full(p.N * p.E, np.inf)
            arguments |= {
                "x0": np.concatenate([begin, residuals / sizes[: residuals.size]]),
                "lbx": np.concatenate([lower, -free]),
                "ubx": np.concatenate([upper, free]),
                "lbg": 0.0,
                "ubg": 0.0,
            }
        else:
            arguments |= {"x0": begin, "lbx": lower, "ubx": upper}
        solution: Mapping[str, ca.DM] = self._solver(**arguments)
        return solution

    def _idle(self, unknowns: FloatArray, rf: FloatArray) -> BoolArray:
        """Free parameters without any effect here, first and second derivatives zero, (P,).

        The barrier would carry them to the middle of their bounds.
        """
        p = self._evaluator.problem
        count = p.unknowns.on_path
        X, theta = p.unknowns.split(unknowns)
        idle: BoolArray = p.free & (self._evaluator.gradient(X, theta, rf)[count:] == 0.0)
        if idle.any():
            border = self._evaluator.hessian(X, theta, rf)[:, count:]
            idle &= abs(border).sum(axis=0) == 0.0
        return idle


def _enlargement(problem: Problem) -> float:
    """Factor that lifts an action of small Rm to where IPOPT's tolerance, a number, is small."""
    # the gradient in units of the data's own size
    if not problem.gaussian:
        return 1.0
    largest = float(np.max(problem.rm * problem.y**2, initial=0.0, where=problem.rm > 0.0))
    return max(1.0, 1.0 / largest) if largest > 0.0 else 1.0


def first_line(error: BaseException) -> str:
    """Return the part of CasADi's message that says what is wrong."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return re.sub(r"^\S*\.cpp:\d+: ", "", lines[-1].strip(" .")) if lines else type(error).__name__
