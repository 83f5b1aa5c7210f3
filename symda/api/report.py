"""Reports: from an action or a run to one page, by way of `symda.show.report`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp

from symda.analyse import best_path, free_parameters, last_rung
from symda.analyse.network_levels import climbed
from symda.analyse.networks import LARGEST as LARGEST_POSTERIOR
from symda.analyse.networks import weight_posterior
from symda.api.mathematics import Mathematics
from symda.api.same import check_equations
from symda.declare import LatticeModel, MechanicalModel, Model
from symda.errors import DataError, OptionError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from symda.declare.network import Network
    from symda.show.report import Part, Picture
    from symda.show.states import Truth
    from symda.solve.network.problem import NetworkProblem
    from symda.typeset.display import Section

#: Sections of an action's equations that say what was declared, before given initial values; the
#: others are derived.
_DECLARED = 2
#: Titles of parts that some actions have not.
DISCRETE, CONTINUOUS = "Discrete equations of motion", "Continuous equations of motion"
#: States above which equations of motion, written out one by one, are no longer to be read.
LARGEST = 60
#: Parameters of a run that its LaTeX shows.
PARAMETERS = 12


def report_action(action: Mathematics, path: str | Path) -> Path:
    """Write the report of an action; see `Action.report`."""
    from symda.show.report import Document, check_target, count, write

    check_target(path)
    parts = (_declared(action), *_derived(action), _sources(action))
    kind = "Map" if action.model.discrete else "Differential equations"
    subtitle = (
        f"{kind} with {count(len(action.model.states), 'state')}, "
        f"{count(len(action.parameters), 'parameter')} and "
        f"{count(len(action.measurement.functions), 'measured channel')}; "
        f"scheme {action.scheme.name}."
    )
    return write(Document(action.model.name, subtitle, parts, _colophon()), path)


def report_run(
    dataset: xr.Dataset,
    path: str | Path,
    action: Mathematics | None,
    truth: Truth | None,
    known: Sequence[str] = (),
) -> Path:
    """Write the report of a run, with lines on what error bars tell; see `Run.report`."""
    from symda.show.report import Document, check_target, found, history, known_part, repeat, write

    check_target(path)
    if action is not None:
        check_same(dataset, action)
    declared = {} if action is None else action.specification.declarations
    bounds = {s.name: one.bounds for s, one in declared.items()}
    if "use" in dataset:
        # k of one experiment has the bounds of k
        names = np.broadcast_to(dataset["kernel_parameter"].values, dataset["use"].shape)
        own = dataset["parameter"].values[dataset["use"].values]
        pairs = zip(own.flat, names.flat, strict=True)
        bounds |= {str(name): bounds[str(k)] for name, k in pairs if str(k) in bounds}
    parts = [*found(dataset, bounds, truth)]
    parts += [known_part(known)] if known else []
    if action is not None:
        parts += [_declared(action), *_derived(action)]
        parts.append(_sources(action, newton=str(dataset.attrs["solver"]) == "newton"))
    parts += [repeat(dataset), history(dataset)]
    finished = json.loads(dataset.attrs["provenance"]).get("finished", "")
    subtitle = (
        f"Annealing run, {dataset.sizes['path']} paths over {dataset.sizes['beta']} values of Rf; "
        f"scheme {dataset.attrs['scheme']}, solver {dataset.attrs['solver']}"
        + (f"; finished {finished[:16].replace('T', ' ')} UTC." if finished else ".")
    )
    document = Document(str(dataset.attrs["model"]), subtitle, tuple(parts), _colophon())
    return write(document, path)


def report_network(network: Network, averaging: str, df: float | None, path: str | Path) -> Path:
    """Write the report of a network's action; see `NetworkAction.report`."""
    from symda.show.report import Document, check_target, count, write

    check_target(path)
    subtitle = (
        f"Network of {count(len(network.nodes), 'node')} with {count(network.weights, 'weight')}."
    )
    parts = _network(network, averaging, df)
    return write(Document(network.name, subtitle, parts, _colophon()), path)


def report_network_run(
    dataset: xr.Dataset, problem: NetworkProblem, path: str | Path, errors: pd.DataFrame | None
) -> Path:
    """Write the report of a network's run; see `NetworkRun.report`."""
    from symda.show.report import Document, check_target, network_found, network_history, write

    check_target(path)
    if "provenance" not in dataset.attrs:
        raise DataError(
            "report: the run has no record of its settings, versions and times, as files saved "
            "before runs of networks kept one; expected a run of sd.anneal, or its file. Anneal "
            "again, sd.anneal(action, pairs), and report that."
        )
    network = problem.network
    posterior = None
    counted = np.isfinite(dataset.attrs.get("determined", np.nan))
    if counted and network.weights <= LARGEST_POSTERIOR and (problem.wd > 0.0).all():
        vector = dataset["weights"].values[climbed(dataset)[0], -1]
        posterior = weight_posterior(problem, vector)
    declared = _network(network, problem.averaging, problem.df)
    parts = (
        *network_found(dataset, problem, errors, posterior),
        *declared,
        *network_history(dataset),
    )
    finished = json.loads(dataset.attrs["provenance"])["finished"]
    subtitle = (
        f"Annealing run of a network, {dataset.sizes['path']} paths over {dataset.sizes['beta']} "
        f"values of Rf; solver {dataset.attrs['solver']}; "
        f"finished {finished[:16].replace('T', ' ')} UTC."
    )
    return write(Document(network.name, subtitle, parts, _colophon()), path)


def _network(network: Network, averaging: str, df: float | None) -> tuple[Part, ...]:
    from symda.build.network import network_source
    from symda.show.report import emitted, network_declared
    from symda.typeset.network import network_equations

    sections = network_equations(network, averaging, df).sections
    source = emitted(
        [("Passes through any network with these activations", network_source(network))]
    )
    return network_declared(network, averaging, df, sections), source


def run_latex(dataset: xr.Dataset, best: Mapping[str, float] | None) -> str:
    """Return lowest action, its Rf (c of a relative ladder) and the best path's free parameters."""
    from symda.typeset.display import Line, Section, aligned_of

    if best is None:
        return aligned_of((Section("No path reached a rung", ()),))
    names, beta = free_parameters(dataset), last_rung(dataset)
    lowest = float(dataset["action"].values[best_path(dataset), beta])
    height = ("R_f", float(dataset["rf"].values[beta, 0]))
    if "relative_rf" in dataset.variables:
        height = ("c", float(dataset["relative_rf"].values[beta]))
    values = [("A", lowest), height]
    values += [(name, best[name]) for name in names[:PARAMETERS]]
    lines = [Line(sp.Symbol(name), sp.Float(f"{value:.6g}")) for name, value in values]
    more = f"and {len(names) - PARAMETERS} parameters more" * (len(names) > PARAMETERS)
    return aligned_of((Section("Lowest level", tuple(lines), more),))


def check_same(dataset: xr.Dataset, action: Mathematics) -> None:
    """Refuse an action that a run is not of.

    Raises
    ------
    OptionError
        If names, scheme or weights differ, or it is no action at all.
    """
    if not isinstance(action, Mathematics):
        made = "sd.Action(model, measured)" if isinstance(action, Model) else "one, sd.Action(...)"
        raise OptionError(
            f"report: action is of type {type(action).__name__}, expected an Action; pass {made}."
        )
    pairs: dict[str, tuple[str | tuple[str, ...], str | tuple[str, ...]]] = {
        "model": (str(dataset.attrs["model"]), action.model.name),
        "scheme": (str(dataset.attrs["scheme"]), action.scheme.name),
        "model error": (str(dataset.attrs.get("model_error", "step")), action.model_error),
        "averaging": (str(dataset.attrs.get("averaging", "sum")), action.averaging),
        "states": (_names(dataset, "state"), tuple(s.name for s in action.model.states)),
        "parameters": (
            _names(dataset, "kernel_parameter" if "use" in dataset else "parameter"),
            tuple(p.name for p in action.parameters),
        ),
        "channels": (_names(dataset, "channel"), action.measurement.names),
    }
    for what, (got, expected) in pairs.items():
        if got != expected:
            raise OptionError(
                f"report: the run is not one of this action: its {what} is {_short(got)}, the "
                f"action's {_short(expected)}. Pass the action, or the model's file, that the run "
                "was made with, or none."
            )
    fix = "Pass the action that the run was made with, or none."
    check_equations(dataset, action.specification, "report", fix)


def _names(dataset: xr.Dataset, what: str) -> tuple[str, ...]:
    return tuple(str(name) for name in dataset[what].values)


def _short(value: str | tuple[str, ...]) -> str:
    if isinstance(value, str):
        return repr(value)
    named = ", ".join(value[:8]) + (", ..." if len(value) > 8 else "")
    return f"({named})"


def _declared(action: Mathematics) -> Part:
    from symda.show.report import declared

    options: list[tuple[str, str]] = [
        ("model error", action.model_error),
        ("averaging", action.averaging),
    ]
    if action.matrix_free:
        options.append(("matrix-free", "yes"))
    known = action.specification.correlations
    if known is not None:
        names = [state.name for state in action.model.states]
        pairs = (
            f"{names[i]}, {names[j]}: {known.matrix[i, j]:.6g}"
            for i, j in zip(*np.nonzero(np.triu(known.matrix, 1)), strict=True)
        )
        options.append(("correlations of errors", "; ".join(pairs)))
    sections = [*action.equations().sections[: _stated(action)], *_mechanics(action.model)]
    return declared(action.model, action.measurement, action.scheme, options, sections)


def _stated(action: Mathematics) -> int:
    return _DECLARED + action.specification.initial.any


def _mechanics(model: Model) -> Iterator[Section]:
    """Yield what a model of mechanics was made from."""
    from symda.typeset.display import Line, Section

    if isinstance(model, MechanicalModel):
        lines = [Line(sp.Symbol("H"), model.hamiltonian)]
        if model.lagrangian is not None:
            lines.append(Line(sp.Symbol("L"), model.lagrangian))
        yield Section("Mechanics", tuple(lines), "What the equations were derived from.")


def _derived(action: Mathematics) -> tuple[Part, ...]:
    from symda.show.report import mathematics, structure

    parts = [mathematics("Derived equations", action.equations().sections[_stated(action) :])]
    kinds: dict[str, Callable[[Mathematics], Part]] = {DISCRETE: _discrete}
    if not action.model.discrete:
        kinds[CONTINUOUS] = _continuous
    for title, make in kinds.items():
        try:
            parts.append(make(action))
        except OptionError as reason:
            parts.append(mathematics(title, (), f"Left out. {reason}"))
    note = "Entries that can be other than zero, as the compiled kernels store them."
    if action.matrix_free:
        note += (
            " This action is matrix-free: the Jacobian of a step and the Hessian are never formed, "
            "solvers use their products with vectors."
        )
    return (*parts, structure(_pictures(action), note))


def _discrete(action: Mathematics) -> Part:
    from symda.show.report import mathematics

    return mathematics(DISCRETE, action.discrete_euler_lagrange().sections)


def _continuous(action: Mathematics) -> Part:
    from symda.show.report import mathematics

    if len(action.model.states) > LARGEST and not isinstance(action.model, LatticeModel):
        note = (
            f"Left out for more than {LARGEST} states; action.lagrangian(), .euler_lagrange(), "
            ".hamiltonian() and .hamilton() derive them."
        )
        return mathematics(CONTINUOUS, (), note)
    limits = (action.lagrangian(), action.euler_lagrange(), action.hamiltonian(), action.hamilton())
    # conditions that two of them share stand once
    sections = dict.fromkeys(section for limit in limits for section in limit.sections)
    note = "The limit of short steps, with the model error weighed as a rate."
    return mathematics(CONTINUOUS, tuple(sections), note)


def _pictures(action: Mathematics) -> list[Picture]:
    from symda.show.report import bordered_hessian, field_jacobian, step_jacobian

    uses, _ = action.specification.field.structure()
    states = [s.name for s in action.model.states]
    parameters = [p.name for p in action.parameters]
    first = field_jacobian(uses, states, parameters, discrete=action.model.discrete)
    if action.matrix_free:
        return [first]
    lowered = action.specification.lowered
    return [first, step_jacobian(lowered), bordered_hessian(lowered)]


def _sources(action: Mathematics, *, newton: bool = False) -> Part:
    from symda.show.report import emitted

    sources = [("Kernels", action.specification.emitted)]
    if newton and not action.matrix_free:
        sources.append(("Structured Newton solver", action.specification.emitted_newton))
    return emitted(sources)


def _colophon() -> str:
    from importlib.metadata import version

    return f"Written by symda {version('symda')}."
