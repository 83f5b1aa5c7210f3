"""Write the emitted sources of the example models anew, and the versions that wrote them.

Run ``python generated/regenerate.py`` after a change of an example, a template or a version.
"""

import json
import runpy
from importlib.metadata import version
from pathlib import Path

import symda as sd
from symda.build import write_source
from symda.build.terms import terms_source
from symda.emit import Source
from symda.emit.draws import emit_draws
from symda.emit.patches import emit_patches

FOLDER = Path(__file__).resolve().parent
EXAMPLES = ("henon", "lorenz63", "lorenz96", "neuron", "pendulum")
#: The text of a source depends on these alone, besides symda itself.
WRITERS = ("casadi", "jinja2", "sympy")


def action_of(example: str) -> sd.Action:
    """Return the action that an example's file declares."""
    declared = runpy.run_path(str(FOLDER.parent / "examples" / f"{example}.py"))
    return sd.Action(declared["model"], declared["measured"], scheme=declared["scheme"])


def network() -> Source:
    """Return the source of every layered or recurrent network of logistic neurons."""
    return sd.Action(sd.Model.layered([10, 10])).emitted


def terms() -> Source:
    """Return the source of a quadratic library of three states."""
    return terms_source(sd.learn.library(sd.states("x y z"), 2, name="quadratic"))


def draws() -> Source:
    """Return the source of what importance draws are made with, the same for all models."""
    return emit_draws()


def patches() -> Source:
    """Return the source of the factors of any lattice's patches."""
    return emit_patches()


def writers() -> dict[str, str]:
    """Return the installed versions of what decides the text."""
    return {name: version(name) for name in WRITERS}


def regenerate(folder: Path = FOLDER) -> None:
    """Write every source, and ``versions.json``."""
    for example in EXAMPLES:
        write_source(action_of(example).emitted, folder)
    write_source(network(), folder)
    write_source(terms(), folder)
    write_source(draws(), folder)
    write_source(patches(), folder)
    text = json.dumps(writers(), indent=2, sort_keys=True) + "\n"
    (folder / "versions.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    regenerate()
