"""Numbers with a double for each lane of the vector registers: what their template is given."""

from __future__ import annotations

#: Functions of one number, and of two.
ONE_ARGUMENT = (
    "exp log sqrt sin cos tan asin acos atan floor ceil sign fabs erf sinh cosh tanh "
    "asinh acosh atanh log1p expm1"
).split()
TWO_ARGUMENTS = "fmod copysign fmin fmax pow atan2 hypot".split()
#: Those among them that glibc has for vectors.
VECTOR_FUNCTIONS = (
    "exp log sin cos tan asin acos atan erf sinh cosh tanh asinh acosh atanh log1p expm1 "
    "pow atan2 hypot"
).split()
#: What the template `lanes.j2` is given; truths compare and choose, lane by lane.
LANES: dict[str, object] = {
    "one_argument": ONE_ARGUMENT,
    "two_arguments": TWO_ARGUMENTS,
    "one_truth": ["not"],
    "two_truths": "lt le eq ne and or if_else_zero larger".split(),
    "vector_functions": VECTOR_FUNCTIONS,
}
#: Most states of a model whose members go in lanes; of more, states fill the registers themselves.
LARGEST_IN_LANES = 64
#: States from which on one member alone does not go in a lane, where scalar code is twice as fast.
LARGE_ALONE = 40
