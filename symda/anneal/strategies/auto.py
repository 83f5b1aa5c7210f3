"""The default: several kinds of starts in turn, until the lowest level was met often enough."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from symda.anneal.levels import GAP, HIT, RARE, unseen
from symda.anneal.starts import Shaken
from symda.anneal.strategies.kinds import PART, ROUND, Kind
from symda.anneal.strategies.shooting import Shooting
from symda.checks import integer
from symda.status import Status

if TYPE_CHECKING:
    from symda.anneal.task import Job, PathResult


#: Candidates of a population.
CANDIDATES = 20
#: A kind that met the lowest level gets so many times the work of one that did not.
FAVOUR = 4.0
#: An iteration of shooting counts as so many of Newton's.
SHOT = 10.0
#: Met so often, a level is the lowest though others are near; after every kind had its turn also
#: though the data disagree.
SURE = 20
#: In the upper quarter of the band, a standard deviation above its middle, a level is to be met so
#: many times as often: a lower one would be more likely. So many rounds of shaken paths are a hit.
DOUBT = 3
#: Paths climb no further from this far above the lowest level, as a share of it and in its units.
ABOVE, UNITS = 0.2, 20.0


@dataclass(frozen=True)
class Round:
    """Paths that run together."""

    kind: Kind
    job: Job
    paths: tuple[int, ...]
    share: float = 1.0  #: Of the time limit, which it may take.


@dataclass(frozen=True)
class Auto:
    """Start paths of several kinds in turn, until the lowest level was met often enough.

    Rounds of 16 starts: of a matrix-free action first 8 joined region by region; uniform and
    constant ones, windows, nudged ones, nudged windows, a
    population, and the lowest path with a stretch of it moved; where the model can be integrated
    also shooting and simulated starts, first where little is measured, and with known noise shots
    in windows that grow. What has its first round before these has a twentieth of the time limit
    for it, or it comes again after them. The kind that has had least work is next, and one that has
    met the lowest level gets four times as much. Paths that are far above the lowest level climb no
    further, where the noise is Gaussian with known variances.

    The run ends when the lowest level was met `met` times, or three times as often in the upper
    quarter of what the noise lets expect, by two kinds at least or after every kind had its turn,
    a level near it that was not met yet is unlikely (`symda.anneal.levels.unseen`), and, unless all
    kinds that had a turn met it, no path with a stretch of it moved ended lower;
    where it is not known what to expect, `met` times after every kind had its turn; where it is too
    high, 20 times after that; or at the limits of time and of paths. Where little is measured two
    rounds of shooting stand for the turn of every kind, with one of simulated and one of uniform
    starts if it is not known what to expect; if it is, shooting has eight before others, and goes
    on alone once it found a level at most a standard deviation above that, at which `met` times
    are enough, though the run does not call it consistent.

    Parameters
    ----------
    met : int
        How often the lowest level is to be met.

    Raises
    ------
    OptionError
        An option out of range.
    """

    met: int = 3

    def __post_init__(self) -> None:
        integer(self.met, "Auto: met")

    @property
    def name(self) -> str:
        """For the record of the run."""
        return "auto"

    @property
    def pooled(self) -> bool:
        """A path is an attempt, unless it is of a population."""
        return False


@dataclass
class Campaign:
    """The rounds of one run: what comes next, given what was found.

    Parameters
    ----------
    auto : Auto
    job : Job
        What all paths share.
    kinds : sequence of Kind
        In the order in which they are tried first.
    band : tuple of float, optional
        Between which numbers a right answer's action lies; None: that is not known.
    most : int
        Starts in all.
    """

    auto: Auto
    job: Job
    kinds: Sequence[Kind]
    band: tuple[float, float] | None
    most: int
    #: Paths by number, the attempt that each belongs to, and its kind's name.
    results: dict[int, PathResult] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    named: dict[int, str] = field(default_factory=dict)
    #: Why there is no further round.
    reason: str = ""
    _work: dict[str, float] = field(default_factory=dict)
    _turns: dict[str, int] = field(default_factory=dict)
    _started: int = 0
    #: Whether the run would end, but for a look beside the lowest path; and the lowest level that
    #: such a look began at and found nothing below.
    _look: bool = False
    _looked: float = math.inf
    #: Whether shots in windows alone lead on: the last round's, and no other kind as low.
    _ahead: Kind | None = None

    def rounds(self) -> Iterator[Round]:
        """Yield rounds; what each found is handed to `take` before the next is asked for."""
        while not self.reason:
            kind = self._next()
            if kind is None:
                self.reason = "no kind of start leads anywhere"
                return
            usual = kind.once or kind.starts or (CANDIDATES if kind.strategy.pooled else ROUND)
            usual = PART if kind is self._ahead else usual
            size = min(usual, self.most - self._started)
            paths = tuple(range(self._started, self._started + size))
            self._started += size
            rungs = self.job.rungs[kind.first :]
            start, lowest = kind.start, self.lowest
            if kind.beside and lowest is not None:
                start = Shaken(lowest.states, lowest.theta[lowest.last_beta])
            job = replace(self.job, start=start, rungs=rungs, bar=self._bar(), hurry=True)
            yield Round(kind, job, paths, 1.0 if kind.name in self._work else kind.share)

    def take(self, one: Round, found: Mapping[int, PathResult], *, cut: bool = False) -> None:
        """Enter what a round found; `cut`: its share of the time was over before it was."""
        before = min(self.levels.values(), default=math.inf)
        for k, result in found.items():
            self.results[k] = result
            # paths that are given may be copies of one, or of one family
            single = one.kind.strategy.pooled or one.kind.once or one.kind.beside
            self.attempts[k] = one.paths[0] if single else k
            self.named[k] = one.kind.name
        shot = SHOT if isinstance(one.kind.strategy, Shooting) else 1.0
        work = shot * float(sum(result.iterations.sum() for result in found.values()))
        if cut and not one.kind.rare:
            self._put_off(one.kind)
        else:
            self._turns[one.kind.name] = self._turns.get(one.kind.name, 0) + 1
        spent = self._work.get(one.kind.name, 0.0)
        self._work[one.kind.name] = spent + max(work, float(len(one.paths)))
        vain = not (one.kind.rare or cut) and not any(r.last_beta >= 0 for r in found.values())
        if one.kind.once or vain:
            self._work[one.kind.name] = math.inf
        scale = self.job.problem.measurement_scale
        if one.kind.beside and min(self.levels.values()) >= before - GAP * scale:
            self._looked = before
        self._ahead = one.kind if self._leads_on(one, found, before) else None
        self.reason = self._enough()
        self._look = bool(self.reason) and self._started < self.most and self._unlooked()
        if self._look:
            self.reason = ""

    def _leads_on(self, one: Round, found: Mapping[int, PathResult], before: float) -> bool:
        """Whether a round of shots in windows lowered the lowest level, or met it in the band."""
        if not (one.kind.rare and self._alone() and self.levels):
            return False
        lowered = min(self.levels.values()) < before - GAP * self.job.problem.measurement_scale
        return lowered or (not self.above() and any(k in found for k in self._hits()))

    def _alone(self) -> bool:
        """Whether nothing but shots in windows met the lowest level."""
        return {kind.name for kind in self.kinds if kind.rare}.issuperset(self.met())

    def _put_off(self, kind: Kind) -> None:
        """Let a kind that takes long have its first turn after shots in windows had theirs."""
        kinds = [other for other in self.kinds if other.name != kind.name]
        after = max(i for i, other in enumerate(kinds) if other.rare) + 1
        self.kinds = [*kinds[:after], kind, *kinds[after:]]

    @property
    def levels(self) -> dict[int, float]:
        """The lowest action of each attempt at the last rung; without those that have none."""
        levels: dict[int, float] = {}
        for k, result in self.results.items():
            if math.isfinite(result.level):
                a = self.attempts[k]
                levels[a] = min(result.level, levels.get(a, math.inf))
        return levels

    @property
    def lowest(self) -> PathResult | None:
        """The path of lowest action."""
        ended = [r for r in self.results.values() if math.isfinite(r.level)]
        return min(ended, key=lambda r: r.level, default=None)

    def met(self) -> dict[str, int]:
        """Return how often each kind met the lowest level."""
        found: dict[str, int] = {}
        for a in {self.attempts[k] for k in self._hits()}:
            found[self.named[a]] = found.get(self.named[a], 0) + 1
        return found

    def _hits(self) -> list[int]:
        """Return the paths at the lowest level; not shots that were left on their way there."""
        levels, scale = self.levels, self.job.problem.measurement_scale
        least = min(levels.values(), default=math.inf) + HIT * scale
        return [k for k, r in self.results.items() if _ended(r) and r.level <= least]

    def above(self) -> bool | None:
        """Whether the lowest level is above what a right answer's is; None: not known."""
        return None if self.band is None else self._value() > self.band[1]

    def wanting(self) -> bool:
        """Whether the lowest level is too high; if that is not known, whether it was seldom met."""
        above = self.above()
        return self._count() < self._wanted() if above is None else above

    def _value(self) -> float:
        """Return the lowest level without the prior, as chi-squared has it."""
        lowest = self.lowest
        return (
            math.inf
            if lowest is None
            else float(lowest.measurement_term[-1] + lowest.model_term[-1])
        )

    def _wanted(self) -> int:
        """How often the lowest level is to be met: more often in the upper part of the band."""
        if self.band is None:
            return self.auto.met
        low, high = self.band
        return self.auto.met * (DOUBT if self._value() > high - 0.25 * (high - low) else 1)

    def _count(self) -> int:
        """How often the lowest level was met; from beside itself that counts for less."""
        met = self.met()
        beside = sum(met.get(kind.name, 0) for kind in self.kinds if kind.beside)
        return sum(met.values()) - beside + beside // DOUBT

    def told(self) -> tuple[str, ...]:
        """Say in words what was done, and why it ended."""
        hits, lines = self._hits(), []
        for kind in self.kinds:
            mine = [k for k, name in self.named.items() if name == kind.name]
            if not mine:
                continue
            ended = [k for k in mine if _ended(self.results[k])]
            met = [k for k in mine if k in hits]
            if kind.strategy.pooled:
                mine, ended, met = (
                    list({self.attempts[k] for k in some}) for some in (mine, ended, met)
                )
            told = f"{kind.name}: {len(mine)} started, {len(ended)} ran to the end, {len(met)} met"
            single = ", and count as one" if kind.once else ""
            if kind.beside:
                single = f", and count as {self._turns[kind.name]}"
            lines.append(f"{told} the lowest level{single}")
        return (*lines, f"ended because {self.reason}")

    def _rare(self) -> bool:
        """Whether levels near the lowest that were not met yet are unlikely, or need no more."""
        minima = {
            self.attempts[k]: r.level
            for k, r in sorted(self.results.items(), key=lambda one: -one[1].level)
            if _ended(r) and r.status[-1] == Status.CONVERGED.code
        }
        share, _ = unseen(np.array(list(minima.values())), self.job.problem.measurement_scale)
        return share <= RARE or self._count() >= SURE

    def _bar(self) -> float:
        # of a density the action is below 0 as well, and need not grow with the window
        if self.lowest is None or not self.job.problem.gaussian:
            return math.inf
        level, scale = self.lowest.level, self.job.problem.measurement_scale
        return level + max(ABOVE * abs(level), UNITS * scale)

    def _next(self) -> Kind | None:
        met, above = self.met(), self.above()
        kinds = {
            kind.name: kind
            for kind in self.kinds
            if (not kind.beside or self.lowest) and (not kind.doubts or above)
        }
        if self._leads():
            return self.kinds[0]
        if self._look:
            return next(kind for kind in self.kinds if kind.beside)
        if self._ahead is not None and self._ahead.name in kinds:
            return self._ahead
        for kind in kinds.values():
            if self._turns.get(kind.name, 0) < kind.turns and math.isfinite(
                self._work.get(kind.name, 0.0)
            ):
                return kind
        work = {
            name: self._work.get(name, 0.0) / (FAVOUR if name in met else 1.0) for name in kinds
        }
        name = min(work, key=lambda name: work[name])
        return kinds[name] if math.isfinite(work[name]) else None

    def _unlooked(self) -> bool:
        """Whether kinds disagree, and nobody looked beside the lowest path."""
        beside = [kind.name for kind in self.kinds if kind.beside]
        if not beside or not math.isfinite(self._work.get(beside[0], 0.0)):
            return False
        met = self.met()
        agree = all(name in met for name in self._turns if name not in beside)
        least = min(self.levels.values()) + GAP * self.job.problem.measurement_scale
        return not agree and self._looked > least

    def _leads(self) -> bool:
        """Whether shooting alone goes on: it met a level next to what the noise lets expect."""
        first = self.kinds[0]
        if self.band is None or first.needed <= 1 or first.name not in self.met():
            return False
        low, high = self.band
        return self._value() <= high + 0.25 * (high - low)

    def _tried(self) -> bool:
        """Whether the kinds that the end waits for had their rounds: all, if these are in vain."""
        vain = any(math.isinf(self._work.get(k.name, 0.0)) for k in self.kinds if k.needed > 1)
        return all(self._turns.get(k.name, 0) >= (1 if vain else k.needed) for k in self.kinds)

    def _enough(self) -> str:
        """Return why the run is to end, or an empty string."""
        met, above, count = self.met(), self.above(), self._count()
        tried, beside = self._tried(), [kind.name for kind in self.kinds if kind.beside]
        every = all(kind.name in self._work or kind.doubts for kind in self.kinds)
        said = f"the lowest level was met {sum(met.values())} times"
        turn = "every kind of start had its turn"
        # all paths of one kind may end in one wrong place; shots in windows have several ways there
        agreed = len({name for name in met if name not in beside}) > 1 or tried
        agreed |= bool(met) and self._alone() and count >= DOUBT * self.auto.met
        if count >= self._wanted() and above is False and agreed and self._rare():
            return f"{said}, and that is within what the noise lets expect"
        if count >= self._wanted() and above is None and tried and self._rare():
            return f"{said}, {f'and {turn}' if every else 'and little is measured'}"
        if count >= self.auto.met and above and self._leads():
            return f"{said}, and little is measured; it is just above what the noise lets expect"
        if count >= SURE and every:
            return (
                f"{said}, and {turn}: that it is above what the noise lets expect is not for want "
                "of starts"
            )
        if self._started >= self.most:
            return f"all {self.most} starts were made"
        return ""


def _ended(result: PathResult) -> bool:
    """Whether a path reached the last rung; a shot, which is there at once, a minimum."""
    shot = result.solution
    return math.isfinite(result.level) and (shot is None or shot.status == Status.CONVERGED)
