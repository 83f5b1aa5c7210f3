"""Annealing: K starts, a ladder of Rf, each minimum the start of the next; -> `xarray.Dataset`."""

from symda.anneal.driver import anneal
from symda.anneal.file import load, save
from symda.anneal.ladder import Ladder
from symda.anneal.report import Reporter, Silent
from symda.anneal.settings import Settings
from symda.anneal.starts import STARTS, Nudged, Simulated
from symda.anneal.strategies import (
    STRATEGIES,
    Auto,
    Population,
    Regions,
    Shooting,
    ShootingWindow,
    Window,
)

__all__ = [
    "STARTS",
    "STRATEGIES",
    "Auto",
    "Ladder",
    "Nudged",
    "Population",
    "Regions",
    "Reporter",
    "Settings",
    "Shooting",
    "ShootingWindow",
    "Silent",
    "Simulated",
    "Window",
    "anneal",
    "load",
    "save",
]
