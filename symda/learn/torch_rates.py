"""Rates of a model as a function of PyTorch's tensors, through which gradients go."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from symda.checks import package
from symda.declare.model import Model
from symda.derive.forecast import parametric_rate
from symda.lower.instructions import lower_function

#: PyTorch ships no types.
Tensor: TypeAlias = Any


@cache
def _operations() -> dict[str, Callable[..., Tensor]]:
    """PyTorch's functions by the names of `symda.lower.ir`."""
    torch = package("torch", "rates in PyTorch", "learn")
    same = (
        "add sub mul div neg exp log sqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh "
        "atanh atan2 log1p expm1 hypot erf floor ceil fmod sign copysign fmin fmax pow"
    ).split()
    found: dict[str, Callable[..., Tensor]] = {name: getattr(torch, name) for name in same}
    found |= {
        "constpow": torch.pow,
        "fabs": torch.abs,
        "sq": torch.square,
        "twice": lambda a: 2.0 * a,
        "inv": torch.reciprocal,
        "if_else_zero": lambda a, b: torch.where(a != 0.0, b, torch.zeros_like(b)),
    }
    for name in ("lt", "le", "eq", "ne", "logical_and", "logical_or", "logical_not"):
        found[name.removeprefix("logical_")] = _number(getattr(torch, name))
    return found


def _number(compare: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return 1.0 for true and 0.0 for false."""
    return lambda *given: compare(*given).to(given[0].dtype)


def torch_rates(model: Model) -> Callable[[Tensor, Tensor], Tensor]:
    """Return (x (..., D), theta (P,)) -> rates (..., D).

    Raises
    ------
    ModelError
        If the model has anything but states and constant parameters.
    OptionError
        If PyTorch is not installed.
    """
    torch = package("torch", "rates in PyTorch", "learn")
    known = _operations()
    routine = lower_function(parametric_rate(model), ("rates",))

    def rates(x: Tensor, theta: Tensor) -> Tensor:
        given = dict(zip((name for name, _ in routine.inputs), (x, theta), strict=True))
        found: list[Tensor] = []
        for value in routine.values:
            if value.op == "input":
                name, k = value.argument
                found.append(given[name][..., k])
            elif value.op == "const":
                found.append(torch.tensor(value.number, dtype=x.dtype))
            else:
                found.append(known[value.op](*(found[a] for a in value.args)))
        return torch.stack([found[k].expand(x.shape[:-1]) for k in routine.results[0]], dim=-1)

    return rates


def torch_step(
    rates: Callable[[Tensor, Tensor], Tensor], x: Tensor, theta: Tensor, h: Tensor
) -> Tensor:
    """Return the states (..., D) a step h (...) of the classic method later."""
    h = h[..., None]
    k1 = rates(x, theta)
    k2 = rates(x + h / 2.0 * k1, theta)
    k3 = rates(x + h / 2.0 * k2, theta)
    k4 = rates(x + h * k3, theta)
    return x + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
