"""Drives the demo through simulated time: the fleet publishes, the watch judges, people answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from watchkeeper.daemon.demo.application import Application, Order, Said
from watchkeeper.daemon.demo.faults import Script
from watchkeeper.daemon.demo.fleet import Fleet, Sent, message
from watchkeeper.daemon.demo.screen import Screen
from watchkeeper.daemon.demo.story import Story
from watchkeeper.daemon.demo.traffic import SLOT
from watchkeeper.handlers.types import Action, ActionState, Incident

SETTLE_S = 5.0  # wall time one state of an action may hold up simulated time
_UNSETTLED = (
    ActionState.PLANNED,
    ActionState.PERMITTED,
    ActionState.STARTED,
    ActionState.UNDOING,
)


class Recorded(NamedTuple):
    """All incidents and actions, in their newest state."""

    incidents: Sequence[Incident]
    actions: Sequence[Action]


class Watch(Protocol):
    """The daemon under the demo, one turn at a time."""

    def turn(self, now: float) -> None:
        """Reads and judges everything that was sent; `now` is the simulated time."""

    def incidents(self) -> Sequence[Incident]:
        """Every incident so far, in its newest state."""

    def actions(self) -> Sequence[Action]:
        """Every action so far, in its newest state."""

    def approve(self, action_id: str) -> None:
        """A person says yes to a held action; the next turn takes it up."""

    def reject(self, action_id: str) -> None:
        """A person says no to a held action."""

    def recorded(self) -> Recorded:
        """What the daemon's own record says at the end."""


class Wire(Protocol):
    """What lies between the applications and the daemon: a broker's topics."""

    def send(self, sent: Sequence[Sent]) -> None:
        """Publishes messages to the daemon's topics, in order."""

    def orders(self) -> Sequence[Order]:
        """What the daemon asked of the application since the last call."""


@dataclass
class Driver:
    """Runs a script to its end.

    `speed` is simulated seconds a wall second; 0: as fast as it goes. The quiet time before the
    first fault is never slowed down.
    """

    script: Script
    fleet: Fleet
    application: Application
    watch: Watch
    wire: Wire
    screen: Screen
    speed: float = 0.0
    clock: Callable[[], float] = time.monotonic
    _asked: set[str] = field(default_factory=set)
    _tired: set[tuple[str, ActionState]] = field(default_factory=set)
    _idle: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """The whole script."""
        story = Story(self.script)
        now = self.script.start
        while now < self.script.end:
            began = self.clock()
            self._release(now)
            now += SLOT
            self.wire.send(self.fleet.advance(now))
            self.watch.turn(now)
            self._tell(story, now)
            self._settle(story, now)
            self._tell(story, now)
            self._show(story, now)
            self._pace(now, began)

    def _release(self, now: float) -> None:
        for fault in self.script.faults:
            if fault.deploys and now <= fault.start < now + SLOT:
                change = self.application.deploy(fault.model, fault.deploys, fault.start)
                self._publish([("change", change)], now)

    def _tell(self, story: Story, now: float) -> None:
        for line in story.tell(now, self.watch.incidents(), self.watch.actions()):
            self.screen.say(story.clock(line.at), line)

    def _show(self, story: Story, now: float) -> None:
        self.screen.show(story.clock(now), self.fleet.vitals, self.watch.incidents())

    def _settle(self, story: Story, now: float) -> None:
        """Lets actions under way end: their seconds must not become simulated minutes."""
        deadline = self.clock() + SETTLE_S
        while self._answered(story, now) or self._obeyed(now) or self._waiting():
            if self.clock() > deadline:
                self._tired.update(self._waiting())
                return
            self._idle.wait(0.01)
            self.watch.turn(now)

    def _answered(self, story: Story, now: float) -> bool:
        """Asks once about each held action; True when somebody said something."""
        said = False
        for action in self.watch.actions():
            if action.state is not ActionState.HELD or action.id in self._asked:
                continue
            self._asked.add(action.id)
            self._tell(story, now)
            self._show(story, now)
            answer = self.screen.ask(action)
            if answer is None:
                continue
            said = True
            (self.watch.approve if answer else self.watch.reject)(action.id)
        return said

    def _obeyed(self, now: float) -> bool:
        """The application does what it was asked to; True when there was something."""
        orders = self.wire.orders()
        for order in orders:
            self._publish(self.application.obey(order, now), now)
        return bool(orders)

    def _waiting(self) -> set[tuple[str, ActionState]]:
        return {
            (action.id, action.state)
            for action in self.watch.actions()
            if action.state in _UNSETTLED and (action.id, action.state) not in self._tired
        }

    def _publish(self, said: Sequence[Said], at: float) -> None:
        self.wire.send([Sent(at, message(kind, event, self.fleet.topics)) for kind, event in said])

    def _pace(self, now: float, began: float) -> None:
        if not self.speed or now < self.script.faults[0].start - 5 * 60.0:
            return
        left = began + SLOT / self.speed - self.clock()
        if left > 0:
            self._idle.wait(left)
