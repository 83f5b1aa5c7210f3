"""Which measurements are enough? Twin experiments with Lorenz's system.

Data are made from truths that are known, of x, of z, or of both; each is annealed as data from
nature would be, and compared with its truth. z alone cannot tell (x, y) from (-x, -y).
"""

from __future__ import annotations

import symda as sd

model = sd.models.lorenz63()
x, y, z = model.states


def study() -> sd.Twins:
    """One truth for each set of measured states; a real study takes more."""
    return sd.twins(
        model,
        [[x], [z], [x, z]],
        parameters=sd.models.LORENZ63,
        dt=0.05,
        steps=40,
        variance=0.5,
        seeds=1,
        discard=10.0,
        call={"time_limit": 5.0},
    )


def main() -> None:
    """Print the table and draw it."""
    found = study()
    print(found)
    found.plot("twins.png")
    both = found.table.set_index("measured").loc["x, z"]
    assert both["found"] == 1.0 and both["lies"] == 0.0


if __name__ == "__main__":
    main()
