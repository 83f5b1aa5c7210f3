"""The facade: what a user holds. The only package that sees every stage."""

from symda.api.action import Action
from symda.api.anneal import anneal
from symda.api.kernels import ActionKernels
from symda.api.machine import VirtualMachineWarning
from symda.api.preflight import ProblemWarning
from symda.api.run import Best, Run, load
from symda.api.simulate import Trajectory, simulate
from symda.api.twin import twin

__all__ = [
    "Action",
    "ActionKernels",
    "Best",
    "ProblemWarning",
    "Run",
    "Trajectory",
    "VirtualMachineWarning",
    "anneal",
    "load",
    "simulate",
    "twin",
]
