"""Write docs/integrators.md, the table of methods, from the registry.

Run ``python docs/integrators.py`` after a change of it.
"""

from pathlib import Path

from symda.discretise import METHODS, SCHEMES, Method, Tableau

FILE = Path(__file__).resolve().with_suffix(".md")
NEEDS = {
    "": "an ODE",
    "mechanics": "(q, p)",
    "separable": "H = T(p) + V(q)",
    "lagrangian": "a Lagrangian",
}
HEAD = (
    *("name", "order", "form", "explicit", "symmetric", "symplectic", "stiffly accurate", "needs"),
    *("otherwise", "forcing", "in the action", "source"),
)
TEXT = """\
# Methods

Written by `python docs/integrators.py` from the registry. What a row says of a method is computed
from its numbers, and its order is checked when it is made.

These take fixed steps; `method="adaptive"`, for stiff models and sensitivities, has its own page,
[simulation.md](simulation.md).

Every name serves `sd.integrate(model, times, initial, method=..., step=...)`,
`sd.step_map(model, method)` and `symda integrate --method`; one that has a place in the action
serves `sd.Action(model, measured, scheme=...)` too, by default `rk4`. A discrete map has the scheme
`map`, its own step. `sd.INTEGRATORS` and `sd.SCHEMES` hold the numbers.

A Runge-Kutta method of one's own, for both, is its tableau:

```python
ralston = sd.Tableau("ralston", A=[[], ["2/3"]], b=["1/4", "3/4"])
sd.Action(model, measured, scheme=ralston)
sd.integrate(model, times, initial, method=ralston)
```

Coefficients are numbers, or texts such as `"1/6"`, `"1/2 - sqrt(3)/6"` or many digits. Other forms
(`Partitioned`, `Splitting`, `Composition`, `Variational`, for the action `Scheme`) are in
`symda.discretise`.

- *Order*: of the step; in the action, of the step without model error.
- *Explicit*: no equation is solved; others take Newton's method in every step.
- *Symmetric*: a step of h, then one of -h, leads back.
- *Symplectic*: of a Hamiltonian without forces, dq ^ dp is kept, and the energy within a band.
- *Stiffly accurate*: the last stage is x[n+1]. Radau's and Lobatto's IIIC methods are L-stable: a
  component that decays fast is damped in one step, however long.
- *Needs*: what the model must be; (q, p) and H are those of `sd.Model.from_hamiltonian` and
  `from_lagrangian`. *Otherwise*: what to take where H is not separable.
- *Forcing*: where it is evaluated, in steps from the start of a step; samples must reach as far.
- *In the action*: the continuum order, how fast minimisers with `model_error="rate"` approach the
  continuous ones, and the interior points, unknowns within the step beside the nodes. A method
  without has no place there: a stage that is solved for must be a point in time inside the step,
  and those of Lobatto IIIC are not, one is another state at x[n]'s own time; partitioned and
  variational methods are no stages of one F.

{methods}
"""


def yes(holds: bool) -> str:
    """Return the cell of a property."""
    return "yes" if holds else ""


def cells(one: Method) -> tuple[str, ...]:
    """Return the row of a method."""
    places, scheme = one.abscissae, SCHEMES.get(one.name)
    span = f"{min(places):.3g} to {max(places):.3g}" if len(set(places)) > 1 else f"{places[0]:g}"
    points = f", {len(scheme.interior)} interior" if scheme and scheme.interior else ""
    return (
        f"`{one.name}`",
        str(one.order),
        one.form,
        yes(one.explicit),
        yes(one.symmetric),
        yes(one.symplectic),
        yes(isinstance(one, Tableau) and one.stiffly_accurate),
        NEEDS[one.needs],
        f"`{one.general}`" if one.general else "",
        span,
        f"order {scheme.continuum_order}{points}" if scheme else "",
        one.source,
    )


def text() -> str:
    """Return what the file holds."""
    lines = [HEAD, ["---"] * len(HEAD), *map(cells, METHODS.values())]
    return TEXT.format(methods="\n".join(f"| {' | '.join(line)} |" for line in lines))


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
