"""How paths climb the ladder. To add a strategy: one file here, one line in `STRATEGIES`."""

from __future__ import annotations

from symda.anneal.strategies.auto import Auto
from symda.anneal.strategies.full_window import FullWindow
from symda.anneal.strategies.population import Population
from symda.anneal.strategies.regions import Regions
from symda.anneal.strategies.shooting import Shooting
from symda.anneal.strategies.shooting_window import ShootingWindow
from symda.anneal.strategies.strategy import Strategy
from symda.anneal.strategies.window import Window
from symda.registry import Registry

STRATEGIES: Registry[Strategy | Auto] = Registry(
    "strategy",
    [Auto(), FullWindow(), Window(), Population(), Regions(), Shooting(), ShootingWindow()],
    of=(Strategy, Auto),
    own="one with options, such as sd.Window(samples=20)",
)

__all__ = [
    "STRATEGIES",
    "Auto",
    "FullWindow",
    "Population",
    "Regions",
    "Shooting",
    "ShootingWindow",
    "Strategy",
    "Window",
]
