"""Kills a daemon again and again, and says how what is left compares with an undisturbed run."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.life import POINTS, Life
from tests.faults.registry import Registry
from tests.faults.stream import START, Stream
from tests.faults.verdict import Verdict, verdict
from tests.faults.zygote import Wish, Zygote
from tests.patience import patient

_LIVES_A_ROUND = 60


@dataclass
class Round:
    """One run of the whole stream through as many lives as it takes."""

    folder: Path
    database: str
    registry: Registry
    zygote: Zygote
    fault: str = ""
    slots: int = 0
    limit: float = 60.0
    start: float = START
    zone: str = ""
    kills: int = 0

    def life(
        self, seed: int, armed: tuple[str, ...] = (), skip: int = 0, early: bool = False
    ) -> Life:
        """A life of this installation."""
        return Life(
            folder=str(self.folder),
            database=self.database,
            registry=self.registry.url,
            seed=seed,
            armed=armed,
            skip=skip,
            fault=self.fault,
            slots=self.slots,
            start=self.start,
            zone=self.zone,
            early=early,
        )

    def undisturbed(self) -> Verdict:
        """What one long life leaves behind."""
        self._begin()
        return self.finished()

    def finished(self) -> Verdict:
        """What is left when a life comes to its own end."""
        ended = self.zygote.fulfil(Wish(life=self.life(1), limit=patient(self.limit)))
        assert ended.done, "it was not to be killed"
        return self.left()

    def killed(self, chance: random.Random, longest: float, most: int) -> Verdict:
        """What is left when each life is killed at a random moment, at most `most` of them."""
        self._begin()
        while True:
            after = chance.uniform(0.0, longest) if self.kills < most else None
            life = self.life(chance.getrandbits(30), early=True)
            wish = Wish(life=life, kill_after=after, limit=patient(self.limit))
            ended = self.zygote.fulfil(wish)
            if ended.done:
                return self.left()
            self.kills += 1

    def crashed(self, chance: random.Random, wanted: Counter[str]) -> Verdict:
        """What is left when lives crash at the points that are `wanted` so many times more.

        After `_LIVES_A_ROUND` of them the next one may end: each crashes as early as it can, so
        some would never come to where the later points are.
        """
        self._begin()
        while True:
            more = self.kills < _LIVES_A_ROUND
            armed = tuple(sorted(point for point, n in wanted.items() if more and n > 0))
            seed = chance.getrandbits(30)
            ended = self.zygote.fulfil(Wish(life=self.life(seed, armed, chance.choice((0, 0, 3)))))
            if ended.done:
                return self.left()
            self.kills += 1
            wanted.subtract(each for each in ended.said if each in POINTS)

    def left(self) -> Verdict:
        """What is there now."""
        return verdict(self.database, self.folder / "told")

    def _begin(self) -> None:
        self.folder.mkdir(parents=True)
        self.registry.deploy("alpha", "2")


@dataclass
class Kills:
    """Rounds of kills until there were enough, each compared with an undisturbed run."""

    folder: Path
    registry: Registry
    zygote: Zygote
    database: Callable[[Path], str]
    seed: int = 1
    done: int = 0
    rounds: int = 0
    fault: str = ""
    slots: int = 0
    longest: float = 0.3
    limit: float = 60.0
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self.reference = self._round("undisturbed", "").undisturbed()

    def kill(self, kills: int, a_round: int = 60) -> None:
        """Kills so many times; AssertionError at the first difference."""
        while self.done < kills:
            self.round(min(a_round, kills - self.done))

    def round(self, most: int) -> Path:
        """One round with at most so many kills, and its folder; AssertionError at a difference."""
        self.rounds += 1
        one = self._round(f"round-{self.rounds}", self.fault)
        left = one.killed(self._chance, self.longest, most)
        self.done += one.kills
        self._compare(one, left)
        return one.folder

    def crash(self, times: int) -> Counter[str]:
        """Crashes so many times at each point, and returns how often at which."""
        wanted = Counter(dict.fromkeys(POINTS, times))
        while any(n > 0 for n in wanted.values()):
            assert self.rounds < 20 + 2 * times, f"never reached: {+wanted}"
            self.rounds += 1
            one = self._round(f"round-{self.rounds}", self.fault)
            left = one.crashed(self._chance, wanted)
            self.done += one.kills
            self._compare(one, left)
        return Counter({point: times - left for point, left in wanted.items()})

    def _compare(self, one: Round, left: Verdict) -> None:
        told = f"round {self.rounds} after {one.kills} kills"
        assert not left.differences(self.reference), f"{told}: {left.differences(self.reference)}"
        switches = self.registry.switches
        assert [tuple(each) for each in switches] == [("alpha", "1")], f"{told}: {switches}"
        assert max(left.findings.values()) == 1, told

    def _round(self, name: str, fault: str) -> Round:
        folder = self.folder / name
        return Round(
            folder=folder,
            database=self.database(folder),
            registry=self.registry,
            zygote=self.zygote,
            fault=fault,
            slots=self.slots,
            limit=self.limit,
        )


def sqlite(folder: Path) -> str:
    """A database of a round's own."""
    return f"sqlite:///{folder}/watchkeeper.db"


def check_reference(reference: Verdict) -> None:
    """The undisturbed run has found what was planted: else all comparisons would be of nothing."""
    kinds = {each["model"]: each["fault"]["kind"] for each in reference.incidents}
    assert kinds == {"alpha": "model", "beta": "data", "gamma": "serving"}
    assert {each["state"] for each in reference.incidents} == {"resolved"}
    assert [each["state"] for each in reference.actions] == ["successful"]
    assert sum(reference.findings.values()) > 20
    assert set(reference.states) == {"alpha", "beta", "gamma"}
    ends = {f"{topic}/{number}": n for (topic, number), n in Stream().ends.items()}
    read = {place: n for place, n in reference.offsets.items() if not place.endswith("commands/0")}
    assert read == ends
