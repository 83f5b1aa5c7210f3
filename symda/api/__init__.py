"""The facade: the objects that users work with. The only package that imports every stage."""

from symda.api.action import Action
from symda.api.anneal import anneal
from symda.api.best import Best
from symda.api.boundary import BoundarySolution, boundary_value
from symda.api.exponents import Lyapunov
from symda.api.flow import StepMap, integrate, step_map
from symda.api.flow_run import IntegrationWarning
from symda.api.kernels import ActionKernels
from symda.api.lyapunov import lyapunov
from symda.api.machine import VirtualMachineWarning
from symda.api.preflight import ProblemWarning
from symda.api.run import Run, load
from symda.api.simulate import simulate
from symda.api.trajectory import Trajectory
from symda.api.twin import twin

__all__ = [
    "Action",
    "ActionKernels",
    "Best",
    "BoundarySolution",
    "IntegrationWarning",
    "Lyapunov",
    "ProblemWarning",
    "Run",
    "StepMap",
    "Trajectory",
    "VirtualMachineWarning",
    "anneal",
    "boundary_value",
    "integrate",
    "load",
    "lyapunov",
    "simulate",
    "step_map",
    "twin",
]
