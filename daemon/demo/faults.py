"""What goes wrong in the demo, and when: five faults and one harmless change of season."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from watchkeeper.handlers.types import Kind

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Effects:
    """How one model's traffic differs from a quiet afternoon at one moment.

    `nulls` is the share of rows in which a feature is missing; `probes` the share of traffic that
    comes from one probing client; `evening` how far the evening shift has come; `memory` the
    host's use of its memory.
    """

    nulls: Mapping[str, float] = field(default_factory=dict)
    latency: float = 1.0
    timeouts: float = 0.0
    probes: float = 0.0
    evening: float = 0.0
    volume: float = 1.0
    memory: float = 0.46


@dataclass(frozen=True, slots=True)
class Fault:
    """One injected fault of one model, from `start` to `end` (seconds since the epoch).

    `remedy` is the verb of the order that ends it early; `deploys` the bad version that it is,
    for which `end` is when the demo stops looking. `effects` gives what it does, a time after
    its start.
    """

    name: str
    model: str
    kind: Kind
    start: float
    end: float
    text: str
    healed: str
    remedy: str = ""
    deploys: str = ""
    effects: Callable[[float], Effects] | None = None


@dataclass(frozen=True, slots=True)
class Season:
    """The harmless change: a model's traffic shifts to its evening over `ramp` seconds."""

    model: str
    start: float
    ramp: float
    text: str

    def effects(self, at: float) -> Effects:
        """The shift at a moment: a smooth rise of volume and of the evening's mix."""
        come = min(max((at - self.start) / self.ramp, 0.0), 1.0)
        smooth = come * come * (3.0 - 2.0 * come)
        return Effects(evening=smooth, volume=1.0 + 0.4 * smooth)


@dataclass(slots=True)
class Script:
    """The whole plan, and which faults an order has ended before their time."""

    start: float
    end: float
    faults: tuple[Fault, ...]
    season: Season
    ended: dict[str, float] = field(default_factory=dict)

    def end_of(self, fault: Fault) -> float:
        """When a fault ended, or will end by itself."""
        return self.ended.get(fault.name, fault.end)

    def effects(self, model: str, at: float) -> Effects:
        """What a model's traffic looks like at a moment."""
        for fault in self.faults:
            if fault.model != model or fault.effects is None:
                continue
            if fault.start <= at < self.end_of(fault):
                return fault.effects(at - fault.start)
        if model == self.season.model and at >= self.season.start:
            return self.season.effects(at)
        return Effects()

    def remedy(self, model: str, verb: str, at: float) -> Fault | None:
        """Ends the fault of `model` that an order to `verb` is the remedy for, if there is one."""
        for fault in self.faults:
            if fault.model == model and fault.remedy == verb and fault.start <= at < fault.end:
                self.ended.setdefault(fault.name, at)
                return fault
        return None


def _leak(age: float) -> Effects:
    """Memory climbs to 97 % in a quarter of an hour; swapping slows every answer above 80 %."""
    memory = min(0.46 + 0.51 * age / (15 * MINUTE), 0.97)
    return Effects(memory=memory, latency=1.0 + 5.0 * max(memory - 0.8, 0.0) / 0.17)


def _fraud_faults(start: float, end: float) -> tuple[Fault, Fault]:
    data = Fault(
        name="nulls",
        model="fraud",
        kind=Kind.DATA,
        start=start + 75 * MINUTE,
        end=start + 97 * MINUTE,
        text="fraud: merchant_age comes as null in 45 % of requests from upstream",
        healed="fraud: the upstream team has fixed its join, merchant_age is back",
        effects=lambda _: Effects(nulls={"merchant_age": 0.45}),
    )
    bad = Fault(
        name="bad-version",
        model="fraud",
        kind=Kind.MODEL,
        start=start + 165 * MINUTE,
        end=end,
        text="fraud: version v2 is deployed; it takes amount and merchant_age in the wrong order",
        healed="fraud: version v1 answers again",
        remedy="rollback",
        deploys="v2",
    )
    return data, bad


def _other_faults(start: float) -> tuple[Fault, Fault, Fault]:
    serving = Fault(
        name="timeouts",
        model="image",
        kind=Kind.SERVING,
        start=start + 95 * MINUTE,
        end=start + 115 * MINUTE,
        text="image: the scorer answers five times slower and 15 % of calls time out",
        healed="image: the scorer's stuck workers are gone, it is as fast as before",
        remedy="restart",
        effects=lambda _: Effects(latency=5.0, timeouts=0.15),
    )
    host = Fault(
        name="memory-leak",
        model="demand",
        kind=Kind.HOST,
        start=start + 115 * MINUTE,
        end=start + 145 * MINUTE,
        text="demand: a memory leak on serving-2, 46 % and climbing",
        healed="demand: the process on serving-2 was restarted, its memory is free",
        remedy="restart",
        effects=_leak,
    )
    attack = Fault(
        name="probing",
        model="churn",
        kind=Kind.ATTACK,
        start=start + 140 * MINUTE,
        end=start + 160 * MINUTE,
        text="churn: one client sends near-duplicates round the decision boundary, 35 % of traffic",
        healed="churn: the probing client is gone",
        remedy="block",
        effects=lambda _: Effects(probes=0.35),
    )
    return serving, host, attack


def standard_script(start: float) -> Script:
    """The demo's plan: 75 quiet minutes to learn what is normal, then the faults, 4.25 h in all."""
    end = start + 255 * MINUTE
    data, bad = _fraud_faults(start, end)
    season = Season(
        model="demand",
        start=start + 195 * MINUTE,
        ramp=25 * MINUTE,
        text="demand: evening begins: 40 % more requests, more city stores, fuller baskets",
    )
    faults = (data, *_other_faults(start), bad)
    return Script(start, end, tuple(sorted(faults, key=lambda fault: fault.start)), season)
