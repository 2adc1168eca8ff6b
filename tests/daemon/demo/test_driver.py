from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from msgspec.structs import replace

from tests.daemon.demo.cases import START, action, incident
from watchkeeper.daemon.demo.application import Application, Order
from watchkeeper.daemon.demo.driver import SETTLE_S, Driver, Recorded
from watchkeeper.daemon.demo.faults import MINUTE, Script, standard_script
from watchkeeper.daemon.demo.fleet import KINDS, Fleet, Sent
from watchkeeper.daemon.demo.models import fleet_models
from watchkeeper.daemon.demo.screen import Plain
from watchkeeper.detectors.types import Change, Command, EventKind
from watchkeeper.handlers.types import Action, ActionState, Incident, Kind

TOPICS: dict[EventKind, str] = {kind: kind for kind in KINDS}
FOUND_AFTER = 4 * MINUTE


@dataclass
class Bench:
    """A daemon and a broker in one, as far as the driver sees them.

    It opens an incident some minutes after the bad version's deployment and holds a rollback;
    once approved it orders a switch and waits for the outcome.
    """

    deaf: bool = False
    sent: list[Sent] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)
    _incidents: dict[str, Incident] = field(default_factory=dict)
    _actions: dict[str, Action] = field(default_factory=dict)
    _orders: list[Order] = field(default_factory=list)
    _deployed: float | None = None

    def send(self, sent: Sequence[Sent]) -> None:
        self.sent.extend(sent)
        for one in sent:
            if one.message.topic == "change":
                self._deployed = self._deployed or one.at
            if one.message.topic == "command" and not self.deaf:
                answer = msgspec.json.decode(one.message.value or b"", type=Command)
                self._move(answer.target, ActionState.SUCCESSFUL)

    def orders(self) -> Sequence[Order]:
        given, self._orders = self._orders, []
        return given

    def turn(self, now: float) -> None:
        self.turns.append(now)
        if self._deployed is None or now < self._deployed + FOUND_AFTER:
            return
        if not self._incidents:
            opened = incident("fraud", now, kind=Kind.MODEL)
            held = action(opened, ActionState.HELD)
            self._incidents[opened.id], self._actions[held.id] = opened, held
        for one in [*self._actions.values()]:
            if one.state is ActionState.PERMITTED:
                self._orders.append(Order(one.id, "fraud", "switch", {"version": "v1"}))
                self._move(one.id, ActionState.STARTED)

    def incidents(self) -> Sequence[Incident]:
        return [*self._incidents.values()]

    def actions(self) -> Sequence[Action]:
        return [*self._actions.values()]

    def approve(self, action_id: str) -> None:
        self._move(action_id, ActionState.PERMITTED)

    def reject(self, action_id: str) -> None:
        self._move(action_id, ActionState.REFUSED)

    def recorded(self) -> Recorded:
        return Recorded(self.incidents(), self.actions())

    def _move(self, action_id: str, state: ActionState) -> None:
        self._actions[action_id] = replace(self._actions[action_id], state=state)


@dataclass
class Clock:
    """Time that passes only by being looked at."""

    now: float = 0.0
    step: float = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def short_script() -> Script:
    """The end of the standard script: from five minutes before the bad version on."""
    whole = standard_script(START)
    bad = next(fault for fault in whole.faults if fault.deploys)
    begin = bad.start - 5 * MINUTE
    return Script(begin, begin + 20 * MINUTE, (bad,), whole.season)


def driver(bench: Bench, *, yes: bool = True, clock: Clock | None = None) -> Driver:
    script = short_script()
    models = fleet_models()
    application = Application.of(models, script)
    fleet = Fleet(1, models, script, TOPICS, application.version_of)
    return Driver(script, fleet, application, bench, bench, Plain(yes), clock=clock or Clock())


def versions(bench: Bench) -> list[str]:
    """The versions of fraud in the order in which they began to answer."""
    seen: list[str] = []
    for one in bench.sent:
        if one.message.topic == "prediction" and one.message.key == b"fraud":
            version = msgspec.json.decode(one.message.value or b"", type=dict[str, object])
            name = str(version["model_version"])
            if seen[-1:] != [name]:
                seen.append(name)
    return seen


def test_an_approved_rollback_brings_the_old_version_back() -> None:
    bench = Bench()

    driver(bench).run()

    assert versions(bench) == ["v1", "v2", "v1"]
    assert bench.actions()[0].state is ActionState.SUCCESSFUL


def test_a_rollback_nobody_approves_stays_held_and_the_demo_still_ends() -> None:
    bench = Bench()

    driver(bench, yes=False).run()

    assert versions(bench) == ["v1", "v2"]
    assert bench.actions()[0].state is ActionState.HELD


def test_simulated_time_stands_still_while_an_action_runs() -> None:
    bench = Bench()

    driver(bench).run()

    deployed, rolled_back = (
        msgspec.json.decode(one.message.value or b"", type=Change)
        for one in bench.sent
        if one.message.topic == "change"
    )
    gap = rolled_back.time - deployed.time
    assert gap.total_seconds() <= FOUND_AFTER + MINUTE


def test_an_action_that_never_ends_holds_the_demo_up_only_once() -> None:
    bench = Bench(deaf=True)

    driver(bench, clock=Clock(step=SETTLE_S / 4)).run()

    assert bench.actions()[0].state is ActionState.STARTED
    assert bench.turns[-1] == short_script().end
    assert len(bench.turns) < 20 * 4 + 20


def test_everything_sent_in_a_turn_lies_before_its_time() -> None:
    bench = Bench()
    run = driver(bench)

    run.run()

    times = [one.at for one in bench.sent if one.message.topic == "prediction"]
    assert times == sorted(times)
    assert times[-1] < bench.turns[-1]


def test_the_story_is_told_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    driver(Bench()).run()

    told = [line.split(" ", 2)[1].rstrip(":") for line in capsys.readouterr().err.splitlines()]
    assert told == ["injected", "opened", "located", "rollback", "healed", "rollback"]
