"""How paths get up the ladder. To add a strategy: one file here, one line in `STRATEGIES`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from symda.anneal.strategies.population import Population
from symda.anneal.strategies.strategy import Strategy
from symda.anneal.strategies.whole import Whole
from symda.anneal.strategies.window import Window

STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {"ladder": Whole(), "window": Window(), "population": Population()}
)

__all__ = ["STRATEGIES", "Population", "Strategy", "Whole", "Window"]
