"""What the displayed mathematics is about: a model, its measured quantities, scheme and options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp
from sympy import Expr, Symbol

from symda.correlations import ErrorCorrelations
from symda.declare import Distribution, Measurement, Model, Parameter, SiteState, State
from symda.discretise import Scheme
from symda.observe.weights import Averaging, ErrorForm
from symda.scale import Scale
from symda.typeset.coordinates import Coordinate
from symda.typeset.formulas import StepNotation
from symda.typeset.notation import Notation


@dataclass(frozen=True)
class Subject:
    """What the sections are about."""

    model: Model
    measurement: Measurement
    scheme: Scheme
    model_error: ErrorForm
    averaging: Averaging
    correlations: ErrorCorrelations | None = field(default=None, kw_only=True)

    @property
    def notation(self) -> Notation:
        """The letters."""
        return Notation.of(self.model, self.measurement)

    @property
    def time(self) -> Symbol:
        """Time as it stands in the equations, or would."""
        return self.model.time if self.model.time is not None else Symbol(self.notation["t"])

    @property
    def step(self) -> StepNotation:
        """The names within a step."""
        return StepNotation(self.scheme, self.notation)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All P parameters."""
        return (*self.model.parameters, *self.measurement.parameters)

    @property
    def states(self) -> tuple[State, ...]:
        """All D states."""
        return self.model.states

    @property
    def remarks(self) -> tuple[str, ...]:
        """What else is to be said of the model."""
        return ()

    @property
    def priors(self) -> tuple[tuple[Symbol, Distribution], ...]:
        """What is known of parameters and first states beforehand."""
        declared = self.measurement.declarations(self.model)
        own = self.model.independent
        pairs = ((symbol, one.prior) for symbol, one in declared.items() if symbol not in own)
        return tuple((symbol, prior) for symbol, prior in pairs if prior is not None)

    @property
    def has_prior(self) -> bool:
        """Whether anything is."""
        return bool(self.priors)

    @property
    def coordinates(self) -> tuple[Symbol, ...]:
        """The states that equations and measured quantities are differentiated by."""
        return self.states

    def scale(self, symbol: Symbol) -> Scale:
        """Return the scale of a state; that of anything else does not matter to the step."""
        declared = self.model.declarations.get(symbol)
        if declared is None or not isinstance(symbol, State | SiteState):
            return Scale()
        return declared.coordinate

    @property
    def moved(self) -> tuple[Coordinate, ...]:
        """What the step knows the unknowns by."""
        return tuple(Coordinate(symbol, self.scale(symbol)) for symbol in self.unknowns)

    @property
    def rates(self) -> tuple[Expr, ...]:
        """F of the step: the equations, as rates of what it steps."""
        discrete = self.model.discrete
        pairs = zip(self.moved, self.model.equations, strict=False)
        return tuple(one.rate(equation, discrete=discrete) for one, equation in pairs)

    @property
    def unknowns(self) -> tuple[Symbol, ...]:
        """The coordinates, then all parameters."""
        return (*self.coordinates, *self.parameters)

    @property
    def factors(self) -> tuple[Expr, Expr]:
        """Factors (c_m, c_f) of the averaging option; see `symda.observe.weights`."""
        D, L, M, N, T = (self.notation.index(letter) for letter in "DLMNT")
        one = sp.S.One
        table: Mapping[Averaging, tuple[Expr, Expr]] = {
            "sum": (one, one),
            "eq2": (1 / L, one),
            "eq14": (1 / L, 2 / (D * N)),
            "minaone": (2 / M, 2 / M),
            "varanneal": (2 / (L * T), 2 / (D * N)),
        }
        return table[self.averaging]

    @property
    def step_weight(self) -> Expr:
        """What multiplies Rf in step n."""
        factor = self.factors[1]
        return factor / self.notation.h if self.model_error == "rate" else factor
