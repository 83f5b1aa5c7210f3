"""What the displayed mathematics of a model with sites is about: the equations of one site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from sympy import Expr, Symbol

from symda.correlations import ErrorCorrelations
from symda.declare import (
    Declaration,
    Distribution,
    Forcing,
    LatticeModel,
    Measurement,
    Model,
    Parameter,
    SiteState,
    State,
    Time,
)
from symda.discretise import Scheme
from symda.observe.weights import Averaging, ErrorForm
from symda.scale import Scale
from symda.typeset.notation import Notation
from symda.typeset.subject import Subject


@dataclass(frozen=True)
class OneSite:
    """A lattice model seen as the model of one site: its fields for states."""

    name: str
    discrete: bool
    states: tuple[SiteState, ...]
    parameters: tuple[Parameter, ...]
    forcing: tuple[Forcing, ...]
    time: Time | None
    equations: tuple[Expr, ...]
    declarations: Mapping[Symbol, Declaration]
    per_step: tuple[Symbol, ...] = ()
    controls: tuple[Symbol, ...] = ()
    independent: Mapping[Symbol, Distribution] = field(default_factory=dict)

    @classmethod
    def of(cls, model: LatticeModel) -> OneSite:
        """Take a lattice model's equations as they were written."""
        sites = model.lattice.sites
        owns = tuple(field[tuple(sites)] for field in model.fields)
        parts = (model.parameters, model.forcing, model.time, model.site_equations)
        of_fields = [model.declared(field) or Declaration() for field in model.fields]
        declared = dict(zip(owns, of_fields, strict=True))
        declared |= {p: model.declarations[p] for p in model.parameters}
        return cls(model.name, model.discrete, owns, *parts, declared)


@dataclass(frozen=True)
class SiteSubject(Subject):
    """The same as `Subject` for a model with sites."""

    lattice: LatticeModel

    @property
    def notation(self) -> Notation:
        """The letters; those of fields and sites are taken."""
        fields = (field.name for field in self.lattice.fields)
        sites = (site.name for site in self.lattice.lattice.sites)
        return Notation.of(self.model, self.measurement, (*fields, *sites))

    @property
    def states(self) -> tuple[State, ...]:
        """All D states."""
        return self.lattice.states

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sites and what stands beyond them."""
        sites = self.lattice.lattice.sites
        said = [f"{site.name} = 0 .. {site.size - 1} ({site.boundary})" for site in sites]
        return (f"At every site {', '.join(said)}.",)

    def scale(self, symbol: Symbol) -> Scale:
        """Return the scale of a field at any site."""
        if isinstance(symbol, SiteState):
            declared = self.lattice.declared(symbol.field)
            return Scale() if declared is None else declared.coordinate
        declared = self.lattice.declarations.get(symbol)
        return Scale() if declared is None else declared.coordinate

    @property
    def coordinates(self) -> tuple[Symbol, ...]:
        """The fields at a site, their neighbours, and states that measured expressions use."""
        used = {s for e in self.model.equations for s in e.free_symbols if isinstance(s, SiteState)}
        ordered = sorted(used, key=lambda s: (s.field.name, s.offsets))
        expressions = [f for f in self.measurement.functions if not isinstance(f, State)]
        certain = {s for f in expressions for s in f.free_symbols if isinstance(s, State)}
        return tuple(
            dict.fromkeys([*self.model.states, *ordered, *sorted(certain, key=lambda s: s.name)])
        )


def subject_of(
    model: Model,
    measurement: Measurement,
    scheme: Scheme,
    model_error: ErrorForm,
    averaging: Averaging,
    correlations: ErrorCorrelations | None = None,
) -> Subject:
    """Return what the displayed mathematics is about; of a lattice model, one site."""
    options = (measurement, scheme, model_error, averaging)
    if not isinstance(model, LatticeModel):
        return Subject(model, *options, correlations=correlations)
    one = cast("Model", OneSite.of(model))
    return SiteSubject(one, *options, model, correlations=correlations)
