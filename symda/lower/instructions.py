"""CasADi SX functions -> routines in SSA form."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from symda.errors import BuildError
from symda.lower.ir import Pattern, Routine, Value

if TYPE_CHECKING:
    import casadi as ca

#: Operations of an SX graph that the emitted code knows, by CasADi's name without ``OP_``.
OPERATIONS = (
    "ADD SUB MUL DIV NEG EXP LOG POW CONSTPOW SQRT SQ TWICE SIN COS TAN ASIN ACOS ATAN LT LE EQ "
    "NE NOT AND OR FLOOR CEIL FMOD FABS SIGN COPYSIGN IF_ELSE_ZERO ERF FMIN FMAX INV SINH COSH "
    "TANH ASINH ACOSH ATANH ATAN2 LOG1P EXPM1 HYPOT"
).split()

#: Half-integer powers up to this one are written with a square root.
LARGEST_HALF = 3.5


@cache
def _names() -> dict[int, str]:
    import casadi as ca

    return {getattr(ca, f"OP_{name}"): name.lower() for name in OPERATIONS}


def lower_function(function: ca.Function, output_names: tuple[str, ...]) -> Routine:
    """Walk an SX function's instructions, turning reused work slots into values used once defined.

    Parameters
    ----------
    function : casadi.Function
        An SX function.
    output_names : tuple of str
        Names for its outputs in the emitted code.

    Raises
    ------
    BuildError
        If the graph holds an operation the emitted code does not know.
    """
    import casadi as ca

    names = _names()
    values: list[Value] = []
    slots: dict[int, int] = {}
    results = [[-1] * function.nnz_out(i) for i in range(function.n_out())]
    inputs = tuple((function.name_in(i), function.nnz_in(i)) for i in range(function.n_in()))
    for k in range(function.n_instructions()):
        op = function.instruction_id(k)
        arguments = function.instruction_input(k)
        targets = function.instruction_output(k)
        if op == ca.OP_OUTPUT:
            results[targets[0]][targets[1]] = slots[arguments[0]]
            continue
        if op == ca.OP_INPUT:
            value = Value("input", argument=(inputs[arguments[0]][0], arguments[1]))
        elif op == ca.OP_CONST:
            value = Value("const", number=float(function.instruction_constant(k)))
        elif op == ca.OP_ASSIGN:
            slots[targets[0]] = slots[arguments[0]]
            continue
        elif op in (ca.OP_POW, ca.OP_CONSTPOW) and _is_half(values[slots[arguments[1]]]):
            value = _with_root(values, *(slots[a] for a in arguments))
        elif op in names:
            value = Value(names[op], args=tuple(slots[a] for a in arguments))
        else:
            raise BuildError(
                f"The kernel {function.name()!r} needs CasADi's operation number {op}, which "
                "the emitted code does "
                f"not know; it knows {', '.join(names.values())}."
            )
        slots[targets[0]] = len(values)
        values.append(value)
    outputs = tuple((name, function.nnz_out(i)) for i, name in enumerate(output_names))
    return Routine(
        function.name(), inputs, outputs, tuple(values), tuple(tuple(r) for r in results)
    )


def _is_half(exponent: Value) -> bool:
    return (
        exponent.op == "const"
        and abs(exponent.number) <= LARGEST_HALF
        and exponent.number % 1.0 == 0.5
    )


def _with_root(values: list[Value], base: int, exponent: int) -> Value:
    """Return x^(n + 1/2) as the root times x n times: a fraction of the time that pow takes."""
    power, product = values[exponent].number, Value("sqrt", args=(base,))
    for _ in range(int(abs(power))):
        values.append(product)
        product = Value("mul", args=(base, len(values) - 1))
    if power > 0.0:
        return product
    values.append(product)
    return Value("inv", args=(len(values) - 1,))


def pattern_of(sparsity: ca.Sparsity) -> Pattern:
    """Sparsity of CasADi as rows and columns."""
    rows, columns = sparsity.get_triplet()
    return Pattern((sparsity.size1(), sparsity.size2()), tuple(rows), tuple(columns))
