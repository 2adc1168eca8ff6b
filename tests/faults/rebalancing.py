"""Members come, go, freeze and die while a log is written and read."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.faults.group import Group, Silence
from tests.faults.stream import Stream

MEMBERS = 3
_NEXT_S = 30.0


@dataclass
class Unrest:
    """Troubles the members of a group at random until it has rebalanced often enough.

    The log is written to evenly meanwhile, a slot a second as its events are dated, so that any
    partition that falls silent is noticed. `least` slots are written, however short that takes.
    """

    group: Group
    stream: Stream
    chance: random.Random
    rebalances: int
    least: int = 75
    given: int = 0
    silence: Silence = field(init=False)
    done: Counter[str] = field(default_factory=Counter)
    _frozen: set[str] = field(default_factory=set)
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.silence = Silence(self.group)

    def run(self) -> None:
        """Troubles them; in the end everybody is well again and everything was written."""
        for _ in range(MEMBERS):
            self.group.join()
        while self.group.generations < self.rebalances:
            before = self.group.generations
            self._trouble()
            self._watch(before)
        for name in list(self._frozen):
            self._thaw(name)
        while self.given < self.least:
            self._give()
        for name, pid in self.group.leaving.items():
            code = self.group.zygote.ended(pid)
            assert code == 0, f"{name} ended with {code}"
        self.group.leaving.clear()

    def _trouble(self) -> None:
        awake = [name for name in self.group.members if name not in self._frozen]
        choices = ["join"] * (len(self.group.members) < MEMBERS) + ["thaw"] * bool(self._frozen)
        if len(awake) > 1:
            choices += ["leave", "kill", "freeze"]
        what = self.chance.choice(choices)
        self.done[what] += 1
        if what == "join":
            self.group.join()
        elif what == "thaw":
            self._thaw(self.chance.choice(sorted(self._frozen)))
        elif what == "freeze":
            name = self.chance.choice(awake)
            self.group.signal(name, signal.SIGSTOP)
            self._frozen.add(name)
        elif what == "leave":
            self.group.send_off(self.chance.choice(awake))
        else:
            self.group.kill(self.chance.choice(awake))

    def _thaw(self, name: str) -> None:
        self._frozen.discard(name)
        self.group.signal(name, signal.SIGCONT)

    def _watch(self, before: int) -> None:
        """Until the group has rebalanced, or long enough for it to have done so unseen."""
        until = time.monotonic() + 1.5 * float(self.group.settings["session_s"]) + 2.0

        def over() -> bool:
            self._write()
            return self.group.generations > before or time.monotonic() > until

        self.group.wait(over, _NEXT_S, "a rebalance")

    def _write(self) -> None:
        while self.given < time.monotonic() - self._began:
            self._give()
        self.silence.look()

    def _give(self) -> None:
        self.group.log.publish(self.stream.slot(self.given))
        self.given += 1
