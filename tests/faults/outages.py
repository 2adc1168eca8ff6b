"""What a daemon needs goes away for a while, or comes and goes, while events keep coming."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.group import Group
from tests.faults.stream import Stream

_PAGE = 4096
_LOOK_S = 0.1


@dataclass
class Watched:
    """One member of a group, which must outlive every outage.

    `slot_s` is how often a slot of events is written.
    """

    group: Group
    stream: Stream
    slot_s: float = 0.5
    name: str = ""
    peak: int = 0
    before: int = 0
    given: int = 0
    _due: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        """Starts the member and waits until it reads."""
        self.name = self.group.join()
        self.give(30)
        self.group.wait_read(60.0)
        self.before = self.memory()

    def give(self, slots: int) -> None:
        """Writes so many slots now."""
        for _ in range(min(slots, self.stream.slots - self.given)):
            self.group.log.publish(self.stream.slot(self.given))
            self.given += 1

    def during(self, seconds: float) -> None:
        """Lets time pass: events come evenly."""
        until = time.monotonic() + seconds
        pause = threading.Event()
        self._due = time.monotonic()
        while time.monotonic() < until:
            if time.monotonic() >= self._due:
                self._due += self.slot_s
                self.give(1)
            self.look()
            pause.wait(_LOOK_S)

    def look(self) -> None:
        """Whether it lives, and how big it is."""
        pid = self.group.members.get(self.name)
        if pid is not None and self.group.zygote.ended(pid, 0.0) is not None:
            raise AssertionError(f"it has ended:\n{self.group.tail(self.name)}")
        self.peak = max(self.peak, self.memory())

    def finish(self, within: float) -> float:
        """Waits until everything is true; gives how long that took."""
        return self.group.wait_read(within)

    def end(self) -> None:
        """Writes the rest and ends the member in order."""
        self.give(self.stream.slots)
        self.group.wait_read(60.0)
        assert self.group.leave(self.name) == 0

    @property
    def grown_mb(self) -> float:
        """How much its memory has grown since it was ready."""
        return (self.peak - self.before) / 2**20

    def memory(self) -> int:
        """Its resident memory in bytes."""
        pid = self.group.members[self.name]
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


@dataclass(frozen=True)
class Outage:
    """How something is taken away and given back."""

    name: str
    away: Callable[[], object]
    back: Callable[[], object]


def gone(watched: Watched, outage: Outage, seconds: float, within: float) -> float:
    """Takes it away for so long; gives how long catching up took, at most `within` seconds."""
    gone_for(watched, outage, seconds)
    return watched.finish(within)


def flapping(watched: Watched, outage: Outage, pauses: Sequence[float], within: float) -> float:
    """Takes it away and gives it back by turns."""
    for seconds in pauses:
        gone_for(watched, outage, seconds)
        watched.during(seconds)
    return watched.finish(within)


def gone_for(watched: Watched, outage: Outage, seconds: float) -> None:
    """Takes it away for so long."""
    outage.away()
    try:
        watched.during(seconds)
    finally:
        outage.back()
