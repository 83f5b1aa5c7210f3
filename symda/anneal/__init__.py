"""Annealing: K starts, a ladder of Rf, each minimum the start of the next; -> `xarray.Dataset`."""

from symda.anneal.driver import anneal
from symda.anneal.ladder import Ladder
from symda.anneal.report import Reporter, Silent
from symda.anneal.settings import Settings
from symda.anneal.starts import STARTS
from symda.anneal.store import load, save

__all__ = ["STARTS", "Ladder", "Reporter", "Settings", "Silent", "anneal", "load", "save"]
