"""Lyapunov exponents: exact ones, the sum rule, published spectra, what coupling leaves."""

from __future__ import annotations

import math

import numpy as np
import pytest

import symda as sd
from symda.errors import DataError, ModelError, OptionError, SolveError


def ring(D: int) -> sd.Model:
    """Lorenz (1996) on D sites."""
    x = sd.states("x", D, start=(-5.0, 10.0))
    nu = sd.parameter("nu")
    return sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)}, name="ring"
    )


@pytest.mark.compiled
@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_of_a_linear_system_they_are_the_real_parts_of_its_eigenvalues(size: float) -> None:
    x, y, z = sd.states("x y z")
    rate = sd.parameter("rate")
    model = sd.Model(
        {x: rate * (-0.5 * x + 3 * y), y: rate * (-3 * x - 0.5 * y), z: rate * (-2 * z + x)},
        name="spiral",
    )
    given = {"parameters": {"rate": 1.0 / size}, "time": 30.0 * size}
    found = sd.lyapunov(model, initial=[1.0, 0.0, 0.5], starts=2, **given)
    assert found.exponents * size == pytest.approx([-0.5, -0.5, -2.0], abs=0.02)
    assert found.exponents.sum() * size == pytest.approx(-3.0, rel=1e-6)
    assert found.positive == 0 and found.dimension == 0.0


@pytest.mark.usefixtures("uncompiled")
def test_of_a_map_they_are_known() -> None:
    x, y = sd.states("x y", start=(0.1, 0.9))
    logistic = sd.lyapunov(sd.Model({x: 4 * x * (1 - x)}, name="logistic", discrete=True))
    assert logistic.exponents[0] == pytest.approx(math.log(2.0), abs=5e-3)
    assert logistic.positive == 1 and logistic.dimension == 1.0
    # the determinant of Henon's map is -0.3 everywhere
    henon = sd.Model({x: 1 - 1.4 * x**2 + y, y: 0.3 * x}, name="henon", discrete=True)
    found = sd.lyapunov(henon, initial=[0.1, 0.1], time=500)
    assert found.exponents.sum() == pytest.approx(math.log(0.3), rel=1e-9)
    # J. C. Sprott, Chaos and Time-Series Analysis (Oxford, 2003): 0.419
    assert found.exponents[0] == pytest.approx(0.419, abs=4 * found.errors[0] + 0.005)


@pytest.mark.compiled
def test_what_data_leave_of_a_ring() -> None:
    model = ring(5)
    given = {"parameters": {"nu": 8.0}, "time": 20.0}
    free = sd.lyapunov(model, **given)
    assert free.exponents.sum() == pytest.approx(-5.0, abs=1e-6)
    names = [s.name for s in model.states]
    alone = sd.lyapunov(model, coupled=names[:-1], coupling=3.0, **given)
    # a site between known ones follows x' = -x + known
    assert alone.substituted.exponents == pytest.approx([-1.0], abs=1e-6)
    assert alone.exponents.size == 5 and alone.coupling == 3.0
    assert alone.exponents.sum() == pytest.approx(-5.0 - 4 * 3.0, abs=1e-6)
    none = sd.lyapunov(model, coupled=names[:1], coupling=0.0, seed=0, **given)
    assert none.exponents == pytest.approx(free.exponents, abs=0.3)
    scanned = sd.lyapunov(model, coupled=[model.states[0], model.states[2]], **given)
    table = scanned.table
    assert len(table) == 7 and math.isinf(table["coupling"].iloc[-1])
    assert scanned.exponents[0] < free.exponents[0]
    assert "nudged to x0, x2" in str(scanned) and "in their place" in str(scanned)
    every = sd.lyapunov(model, coupled=names, coupling=1.0, **given)
    assert every.substituted.exponents.size == 0
    assert every.exponents == pytest.approx(free.exponents - 1.0, abs=0.3)


@pytest.mark.usefixtures("uncompiled")
def test_what_has_no_exponents_is_refused() -> None:
    x, y = sd.states("x y", start=(-1.0, 1.0))
    u, k = sd.forcing("u"), sd.parameter("k")
    model = sd.Model({x: y + u, y: -k * x}, name="driven")
    with pytest.raises(OptionError, match="forcing 'u' needs a number"):
        sd.lyapunov(model, parameters={"k": 1.0})
    with pytest.raises(OptionError, match="no forcing 'v'"):
        sd.lyapunov(model, parameters={"k": 1.0}, forcing={"v": 1.0})
    with pytest.raises(DataError, match="no value for the parameter 'k'"):
        sd.lyapunov(model, forcing={"u": 0.0})
    given = {"parameters": {"k": 1.0}, "forcing": {"u": 0.0}}
    with pytest.raises(OptionError, match=r"no state 'z'\."):
        sd.lyapunov(model, coupled=["z"], **given)
    with pytest.raises(OptionError, match="needs coupled="):
        sd.lyapunov(model, coupling=1.0, **given)
    with pytest.raises(OptionError, match="forcing is a mapping"):
        sd.lyapunov(model, parameters={"k": 1.0}, forcing=3.0)
    with pytest.raises(OptionError, match="seed"):
        sd.lyapunov(model, seed=-1, **given)
    with pytest.raises(OptionError, match="no state 'xy'"):
        sd.lyapunov(model, coupled="xy", **given)
    with pytest.raises(OptionError, match="201 states; there are 200 at most"):
        sd.lyapunov(ring(201), parameters={"nu": 1.0})
    with pytest.raises(OptionError, match="a state twice"):
        sd.lyapunov(model, coupled=[x, "x"], **given)
    with pytest.raises(DataError, match=r"\(K, 2\)"):
        sd.lyapunov(model, initial=np.zeros((3, 1)), **given)
    with pytest.raises(OptionError, match="no start range"):
        z = sd.state("z")
        sd.lyapunov(sd.Model({z: -z}, name="bare"))
    with pytest.raises(SolveError, match=r"start 0 cannot be followed: .*between t = 0.78"):
        sd.lyapunov(sd.Model({x: x**2 + 1, y: -y}, name="pole"), initial=[1.0, 1.0], time=10.0)
    with pytest.raises(ModelError, match="per step"):
        w = sd.parameter("w", per="step", start=(0.0, 1.0))
        sd.lyapunov(sd.Model({x: -x + w}, name="stepped"))


@pytest.mark.compiled
def test_what_grows_as_a_power_of_time_is_not_positive() -> None:
    x, y = sd.states("x y")
    swing = sd.lyapunov(
        sd.Model({x: y, y: -x + x**3 / 6}, name="swing"), initial=[1.0, 0.0], time=100.0
    )
    assert swing.positive == 0 and swing.undecided == 2
    assert "2 not told from 0" in str(swing)
    rest = sd.lyapunov(sd.Model({x: x - x**3}, name="rest"), initial=[1.0], time=20.0)
    assert rest.exponents == pytest.approx([-2.0], rel=1e-3)
    stable = sd.Model({x: -x + 3 * y, y: -2 * y}, name="stable")
    found = sd.lyapunov(stable, initial=[1.0, 1.0], time=400.0, starts=1)
    assert found.exponents == pytest.approx([-1.0, -2.0], rel=1e-2)
    assert "+-" not in str(found)


#: J. C. Sprott, Phys. Rev. E 50 (1994) R647, table I: rates, largest and least exponent.
SPROTT = {
    "B": (lambda x, y, z: (y * z, x - y, 1 - x * y), 0.210, -1.210),
    "C": (lambda x, y, z: (y * z, x - y, 1 - x**2), 0.163, -1.163),
    "D": (lambda x, y, z: (-y, x + z, x * z + 3 * y**2), 0.103, -1.320),
    "E": (lambda x, y, z: (y * z, x**2 - y, 1 - 4 * x), 0.078, -1.078),
    "F": (lambda x, y, z: (y + z, -x + y / 2, x**2 - z), 0.117, -0.617),
    "G": (lambda x, y, z: (2 * x / 5 + z, x * z - y, -x + y), 0.034, -0.634),
    "K": (lambda x, y, z: (x * y - z, x - y, x + 3 * z / 10), 0.038, -0.890),
    "Q": (lambda x, y, z: (-z, x - y, 3.1 * x + y**2 + z / 2), 0.109, -0.609),
    "S": (lambda x, y, z: (-x - 4 * y, x + z**2, 1 + x), 0.188, -1.188),
}


@pytest.mark.smoke
@pytest.mark.parametrize("name", [*SPROTT, "Lorenz"])
def test_published_spectra(name: str) -> None:
    if name == "Lorenz":
        model, given, start = sd.models.lorenz63(), sd.models.LORENZ63, [1.0, 2.0, 20.0]
        # Sprott (2003): 0.9056, 0, -14.5723
        largest, least, within = 0.9056, -14.5723, 0.01
    else:
        x, y, z = sd.states("x y z")
        rates, largest, least = SPROTT[name]
        model = sd.Model(dict(zip((x, y, z), rates(x, y, z), strict=True)), name=f"sprott{name}")
        given, start, within = None, [0.05, 0.05, 0.05], 0.02
    found = sd.lyapunov(model, parameters=given, initial=start, time=1000.0, spin_up=200.0)
    assert found.exponents[[0, 2]] == pytest.approx([largest, least], abs=within)
    assert found.exponents[1] == pytest.approx(0.0, abs=within)
    assert found.positive == 1
