"""Numbers in place of a model's parameters; other units; the terms that its rates consist of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sympy import Expr, Float

from symda.checks import number
from symda.declare.factory import Model
from symda.declare.model import Model as Base
from symda.declare.symbols import Parameter, State
from symda.errors import ModelError, nearest


def with_numbers(
    model: Base,
    values: Mapping[str | Parameter, float] | None = None,
    /,
    **named: float,
) -> Model:
    """Return a model with numbers in place of parameters.

    Parameters
    ----------
    model : Model
        With an equation for each state.
    values : mapping of str or Parameter to float, optional
        The numbers; parameters that are not named stay.
    **named : float
        The same by name.

    Returns
    -------
    Model
        With the same states.

    Raises
    ------
    ModelError
        If there is no such parameter, or what it gets is no finite number; if the model has
        parameters per step.

    Examples
    --------
    >>> import symda as sd
    >>> sd.learn.with_numbers(sd.models.lorenz63(), sd.models.LORENZ63).parameters
    ()
    """
    where = f"with_numbers, model {model.name!r}"
    if model.per_step:
        raise ModelError(f"{where}: parameters per step have no single number.")
    known = {p.name: p for p in model.parameters}
    table: dict[Parameter, Float] = {}
    for key, value in [*(values or {}).items(), *named.items()]:
        name = key if isinstance(key, str) else key.name
        if name not in known:
            raise ModelError(
                f"{where}: there is no parameter {name!r}.{nearest(name, known)} It has "
                f"{', '.join(known) or 'none'}."
            )
        table[known[name]] = Float(number(value, f"{where}: {name}", error=ModelError))
    equations = {
        x: equation.xreplace(table)
        for x, equation in zip(model.states, model.equations, strict=True)
    }
    found = Model(equations, name=model.name, discrete=model.discrete)
    return found.with_declarations(model.declarations)


def in_units(
    model: Base,
    centre: Sequence[float],
    scale: Sequence[float],
    time: float,
    *,
    expand: bool = False,
) -> Model:
    """Return the model of x from one of (x - centre) / scale, (D,), in units of time.

    `expand` writes products out, as a sum of terms.
    """
    table = {
        x: (x - Float(c)) / Float(s) for x, c, s in zip(model.states, centre, scale, strict=True)
    }
    equations = {}
    for x, equation, s in zip(model.states, model.equations, scale, strict=True):
        rate = Float(s / time) * equation.xreplace(table)
        equations[x] = rate.expand() if expand else rate
    return Model(equations, name=model.name)


def terms_of(model: Base, states: Sequence[State]) -> list[dict[Expr, Expr]]:
    """Return for each state the terms of its rate and their coefficients, written out.

    Terms are in `states`, (D,), in place of the model's own.
    """
    table = dict(zip(model.states, states, strict=True))
    return [
        dict(equation.xreplace(table).expand().as_coefficients_dict())
        for equation in model.equations
    ]
