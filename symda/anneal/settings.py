"""Settings of an annealing run, checked before anything is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from reprlib import repr as short
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from symda.anneal.executors import check_executor
from symda.anneal.ladder import CLIMB, DEFAULT, Ladder
from symda.anneal.starts import STARTS, FromPaths, Function, Simulated, Start, StartFunction
from symda.anneal.strategies import STRATEGIES, Auto, Shooting, Strategy
from symda.anneal.strategies.kinds import ROUND
from symda.checks import choice, integer, number
from symda.errors import OptionError
from symda.registry import options_of

if TYPE_CHECKING:
    from symda.solve import Solver

KEEP = ("last", "all")
FINISH = ("auto", "strong", "none")


#: Left out, all of them, the run chooses for itself.
BY_HAND = ("ladder", "paths", "start", "stop_after")
#: Starts and seconds of a run that chooses for itself, if nothing is said.
MOST_STARTS, LIMIT = 1000, 300.0
#: More paths than memory holds in any case.
MOST_PATHS = 10_000_000


@dataclass(frozen=True)
class Settings:
    """How to anneal.

    Parameters
    ----------
    solver, options
        Name in `symda.solve.SOLVERS` with options for it, or a `Solver` with its own.
    ladder
        The values of Rf.
    paths
        Number of paths, K, 100 if left out; of candidates of one attempt, if the strategy pools
        them; with `"auto"` the most starts.
    attempts
        Number of attempts of a strategy that pools its paths; with the others each path is one.
    seed
        Seed of the run, a whole number of at least 0. Path k depends on `seed` and k only.
    start
        Name in `STARTS`, a function `(problem, rng) -> (X (M, D), theta (P,))`, or a `Start`.
    strategy
        How the ladder is climbed: name in `STRATEGIES`, or a `Strategy` with its options. Left out,
        `"auto"`, unless something is set by hand that `BY_HAND` names: then `"ladder"`.
    executor
        None for processes (or this process, when one path or one worker is all there is; threads,
        when the solver takes groups of paths up the ladder without holding the GIL),
        `"processes"`, `"threads"`, `"serial"`, or any `concurrent.futures.Executor`, which is left
        running. On an executor of yours only paths that have not begun can be taken back when a
        run stops early.
    workers
        Paths at once; the default is the number of usable cores.
    keep
        `"last"`, or `"all"` to keep the states of every rung.
    time_limit
        Seconds after which no path and no rung begins; what is there by then is kept.
    finish
        `"strong"`: the lowest levels are finished as solutions of the equations, first states and
        parameters alone; `"none"`: they are not. `"auto"`: with `strategy="auto"`, where the model
        can be integrated.
    stop_after
        Stop when so many paths have reached the lowest level found so far, to within
        `symda.anneal.levels.HIT` times the problem's measurement scale.

    Raises
    ------
    OptionError
        A choice that is out of range, of the wrong kind, or not known.
    """

    ladder: Ladder | None = None
    paths: int | None = None
    seed: int = 0
    solver: str | Solver = "newton"
    options: Mapping[str, object] = field(default_factory=dict)
    start: str | StartFunction | Start | None = None
    strategy: str | Strategy | Auto | None = None
    attempts: int = 1
    executor: str | Executor | None = None
    workers: int | None = None
    keep: str = "last"
    time_limit: float | None = None
    stop_after: int | None = None
    finish: str = "auto"

    def __post_init__(self) -> None:
        """Fill in what follows from other choices, and check every one by itself."""
        by_hand = [name for name in BY_HAND if getattr(self, name) is not None]
        if self.strategy is None:
            alone = by_hand or self.attempts != 1 or self.chosen.capability.continuous
            self._fill("strategy", "ladder" if alone else "auto")
        if isinstance(self.method, Auto):
            self._check_auto()
            self._fill("ladder", CLIMB)
            self._fill("time_limit", LIMIT)
        else:
            self._fill("ladder", DEFAULT)
            self._fill("paths", 100)
            self._fill("start", "uniform")
        if not isinstance(self.ladder, Ladder):
            raise OptionError(
                "anneal: ladder must be a symda.Ladder, such as "
                f"sd.Ladder(rf0=0.01, alpha=2.0, rungs=26), got {short(self.ladder)}."
            )
        if not isinstance(self.options, Mapping) or not all(
            isinstance(name, str) for name in self.options
        ):
            raise OptionError(
                "anneal: options must be a mapping of the solver's options to values, such as "
                f"{{'max_iter': 500}}, got {short(self.options)}."
            )
        _ = self.chosen
        if self.paths is not None:
            integer(self.paths, "anneal: paths")
        if self.paths is not None and self.paths > MOST_PATHS:
            raise OptionError(
                f"anneal: paths must be at most {MOST_PATHS}, got {short(self.paths)}; take "
                "several runs with a seed of their own."
            )
        integer(self.seed, "anneal: seed", least=0)
        integer(self.attempts, "anneal: attempts")
        _ = self.begin, self.method
        if self.method.pooled and self.most < 2:
            raise OptionError(
                f"anneal: with strategy={self.method.name!r} `paths` are the candidates of one "
                f"attempt, of which the best are kept, and paths={self.paths} leaves nothing to "
                "choose from. Take paths=20, or strategy='window'."
            )
        if self.attempts > 1 and not self.method.pooled:
            raise OptionError(
                f"anneal: with strategy={self.method.name!r} each path is an attempt; leave "
                f"attempts out and take paths={self.most * int(self.attempts)}."
            )
        check_executor(self.executor)
        if self.workers is not None:
            integer(self.workers, "anneal: workers")
            if self.executor == "serial" and self.workers > 1:
                raise OptionError(
                    f"anneal: executor='serial' takes one path after the other in this process; "
                    f"workers={self.workers} does not go with it. Leave one of them out."
                )
        choice(self.keep, "anneal: keep", KEEP)
        if self.time_limit is not None:
            fix = "give seconds, or leave it out for no limit"
            number(self.time_limit, "anneal: time_limit", fix, kind="positive")
        choice(self.finish, "anneal: finish", FINISH)
        if self.stop_after is not None:
            integer(self.stop_after, "anneal: stop_after")

    def _fill(self, name: str, value: object) -> None:
        """Set a choice that was left out."""
        if getattr(self, name) is None:
            object.__setattr__(self, name, value)

    def _check_auto(self) -> None:
        """Refuse what contradicts a run that chooses for itself."""
        if self.start is not None and self.earlier is None:
            raise OptionError(
                "anneal: strategy='auto' tries several kinds of starts, and start is another. "
                "Leave one of them out, or start from paths, which are then taken up first; "
                "strategy='ladder' takes all paths up from one kind."
            )
        if self.stop_after is not None:
            raise OptionError(
                f"anneal: strategy='auto' stops by itself, and stop_after={self.stop_after!r} is "
                f"another rule. Take strategy=sd.Auto(met={self.stop_after!r}), or leave it out."
            )
        if self.chosen.capability.continuous:
            raise OptionError(
                f"anneal: solver={self.chosen.name!r} solves the continuous problem, from one kind "
                "of start. Take strategy='ladder', or solver='newton', 'ipopt' or 'lbfgs'."
            )
        if isinstance(self.ladder, Ladder) and self.ladder.rf0 is not None:
            raise OptionError(
                "anneal: strategy='auto' measures Rf by each state's own size, and this ladder has "
                "absolute numbers. Take sd.Ladder(alpha=8.0, rungs=10), or with relative=; or "
                "strategy='ladder'."
            )

    @property
    def most(self) -> int:
        """Starts that a run makes, at most if it chooses for itself."""
        return MOST_STARTS if self.paths is None else int(self.paths)

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Settings:
        """Take the arguments that are settings; None for those without a plain default."""
        given = {one.name: arguments[one.name] for one in fields(cls) if one.name in arguments}
        return cls(**{name: v for name, v in given.items() if v is not None or name in DEFAULTS})

    def record(self) -> dict[str, object]:
        """Return what is written down of a run, as plain values; the choices' names stand apart."""
        from symda.solve import SOLVERS

        plain = ("paths", "seed", "attempts", "keep", "time_limit", "stop_after", "finish")
        ladder = ("rf0", "alpha", "rungs", "relative")
        numbers = {name: getattr(self.climb, name) for name in ladder}
        held = not isinstance(self.begin, (Function, FromPaths))  # not arrays, not functions
        registered = {
            "solver": (self.chosen, SOLVERS.get(self.chosen.name)),
            **(
                {}
                if isinstance(self.method, Auto)
                else {"start": (self.begin, STARTS.get(self.begin.name))}
            ),
            "strategy": (self.method, STRATEGIES.get(self.method.name)),
        }
        return {
            # those that are none of a registry, whatever they are called
            "own": [
                kind for kind, (one, known) in registered.items() if type(one) is not type(known)
            ],
            "solver_options": dict(self.chosen.options),
            "start_options": options_of(self.begin) if held else {},
            "strategy_options": options_of(self.method),
            **numbers,
            **{name: getattr(self, name) for name in plain},
        }

    @cached_property
    def method(self) -> Strategy | Auto:
        """The strategy itself."""
        return STRATEGIES.find(self.strategy, where="anneal")

    @property
    def finishes(self) -> bool:
        """Whether levels are finished, if the model can be integrated."""
        if isinstance(self.method, Shooting):
            return True
        return self.finish == "strong" or (self.finish == "auto" and isinstance(self.method, Auto))

    @property
    def integrates(self) -> bool:
        """Whether anything asks for the model's own solutions."""
        return (
            self.finishes
            or isinstance(self.begin, Simulated)
            or isinstance(self.method, Auto | Shooting)
        )

    @property
    def strategy_of_paths(self) -> Strategy:
        """The strategy of a run whose paths are all of one kind."""
        method = self.method
        if isinstance(method, Auto):
            raise TypeError("'auto' has several")
        return method

    @property
    def climb(self) -> Ladder:
        """The ladder itself."""
        return self.ladder or DEFAULT

    @cached_property
    def begin(self) -> Start:
        """The start itself; of a run of several kinds the first."""
        start = "uniform" if self.start is None else self.start
        if callable(start) and not isinstance(start, (type, Start)):
            return Function(start)
        return STARTS.find(start, where="anneal")

    @property
    def earlier(self) -> FromPaths | None:
        """Paths to start from, if that is what was chosen."""
        return self.start if isinstance(self.start, FromPaths) else None

    @property
    def starts_used(self) -> int:
        """How many different starts paths are begun with, at most."""
        if isinstance(self.method, Auto):
            return ROUND
        return self.most * int(self.attempts)

    @cached_property
    def chosen(self) -> Solver:
        """The solver itself, with the options.

        Raises
        ------
        OptionError
            If there is no such solver, or it has no such option.
        """
        from symda.solve import SOLVERS

        found = SOLVERS.find(self.solver, where="anneal")
        if self.options and not isinstance(self.solver, str):
            raise OptionError(
                "anneal: options belong to a solver that is given by name; make the "
                f"{found.name!r} with them and leave options out."
            )
        return found.with_options(**self.options)


#: Usual values of the settings that have one, by name.
DEFAULTS: Mapping[str, object] = MappingProxyType(
    {one.name: one.default for one in fields(Settings) if one.default is not MISSING}
)

#: Settings that are options of the command line -> what it says of them, the kind of their values.
COMMAND_LINE: Mapping[str, tuple[str, type]] = MappingProxyType(
    {
        "paths": ("Starts, 100; with --strategy population the candidates of one attempt.", int),
        "start": (f"One of {', '.join(STARTS.built_in)}.", str),
        "strategy": (f"One of {', '.join(STRATEGIES.built_in)}.", str),
        "attempts": ("Attempts of a population.", int),
        "seed": ("Seed of the starts.", int),
        "solver": ("A solver's name, see `symda list solvers`.", str),
        "workers": ("Paths at once. Default: one a core.", int),
        "time_limit": ("Seconds after which no rung is begun.", float),
        "stop_after": ("Stop once the lowest level was hit so often.", int),
    }
)
