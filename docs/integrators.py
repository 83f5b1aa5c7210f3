"""Write docs/integrators.md, the tables of integrators and schemes, from the registries.

Run ``python docs/integrators.py`` after a change of one of them.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import symda as sd
from symda.discretise import SCHEMES, Scheme
from symda.discretise.integrators import Integrator

FILE = Path(__file__).resolve().with_suffix(".md")
NEEDS = {
    "": "an ODE",
    "mechanics": "(q, p)",
    "separable": "H = T(p) + V(q)",
    "lagrangian": "a Lagrangian",
}
TEXT = """\
# Integrators and schemes

Written by `python docs/integrators.py` from the registries. What a row says of a method is computed
from its numbers, and checked when it is made.

## Integrators

Names for `sd.integrate(model, times, initial, method=..., step=...)`, `sd.step_map(model, method)`
and `symda integrate --method`; `sd.INTEGRATORS` holds the numbers. One of your own is an object of
`RungeKutta` or `Partitioned` (`symda.discretise.integrators_tableaux`), `Splitting`, `Composition`
or `Variational` (`symda.discretise.integrators_structured`).

- *Explicit*: no equation is solved; others take Newton's method in every step.
- *Symmetric*: a step of h, then one of -h, leads back.
- *Symplectic*: of a Hamiltonian without forces, dq ^ dp is kept, and the energy within a band.
- *Needs*: what the model must be; (q, p) and H are those of `sd.Model.from_hamiltonian` and
  `from_lagrangian`. *Otherwise*: what to take where H is not separable.
- *Forcing*: where it is evaluated, in steps from the start of a step; samples must reach as far.

{integrators}

## Schemes of the action

Names for `sd.Action(model, measured, scheme=...)`, by default `rk4`.

- *Order*: of the step without model error.
- *Continuum order*: how fast minimisers with `model_error="rate"` approach the continuous ones.
- *Explicit*: the residual is x[n+1] - f(x[n]).
- *Interior points*: unknowns within the step, beside the nodes.

{schemes}
"""


def yes(holds: bool) -> str:
    """Return the cell of a property."""
    return "yes" if holds else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def integrator_row(one: Integrator) -> tuple[str, ...]:
    """Return the cells of an integrator."""
    places = one.abscissae
    span = f"{min(places):.3g} to {max(places):.3g}" if len(set(places)) > 1 else f"{places[0]:g}"
    return (
        f"`{one.name}`",
        str(one.order),
        one.form,
        yes(one.explicit),
        yes(one.symmetric),
        yes(one.symplectic),
        NEEDS[one.needs],
        f"`{one.general}`" if one.general else "",
        span,
        one.source,
    )


def scheme_row(one: Scheme) -> tuple[str, ...]:
    """Return the cells of a scheme."""
    needs = "a map" if one.discrete else NEEDS["separable" if one.partitioned else ""]
    return (
        f"`{one.name}`",
        "" if one.discrete else str(one.order),
        "" if one.discrete else str(one.continuum_order),
        yes(one.explicit),
        str(len(one.interior)),
        needs,
        one.source,
    )


def text() -> str:
    """Return what the file holds."""
    integrators = table(
        ("name", "order", "form", "explicit", "symmetric", "symplectic", "needs", "otherwise",
         "forcing", "source"),
        map(integrator_row, sd.INTEGRATORS.values()),
    )  # fmt: skip
    schemes = table(
        ("name", "order", "continuum order", "explicit", "interior points", "needs", "source"),
        map(scheme_row, SCHEMES.values()),
    )
    return TEXT.format(integrators=integrators, schemes=schemes)


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
