"""In which form the structured solver suits a problem: a path in each lane, one path, or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symda.observe import Problem

#: Largest E for which the structured solver runs on dense blocks in vector lanes; LAPACK's band
#: beyond. Lorenz-96, N = 100, rk4, milliseconds an iteration and path on a core with AVX-512, lanes
#: against band: 0.12 and 0.9 at D = 11, 2.2 and 6.7 at 40, 8 and 14 at 60, 35 and 40 at 100, 96 and
#: 114 at 160, 309 and 187 at 200, where the eight lanes' blocks have long outgrown the caches.
LARGEST_BLOCK = 160
#: Bytes of work space for a path in each of eight lanes above which paths go one by one.
LARGEST_WORK = 1 << 29
#: Makes the structured solver take one path at a time.
ONE_LANE = ("-DSYMDA_LANES=1",)


def lane_flags(problem: Problem) -> tuple[str, ...] | None:
    """Return the flags that the structured solver is compiled with besides the usual ones.

    None where its blocks are too large to pay. Where the window is long, one path at a time, in a
    fraction of the memory.
    """
    p = problem
    if p.E > LARGEST_BLOCK:
        return None
    rest = p.D + len(p.kernel_parameters)
    kept = p.E * (p.E + 1) // 2 + (rest + 1) * p.E + 5 * p.E
    return ONE_LANE if 8 * 8 * p.N * kept > LARGEST_WORK else ()
