"""When the next checkpoint is due, by what the last ones cost."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from watchkeeper.daemon.checkpointing import (
    FURTHEST,
    LONGEST_BEHIND_S,
    LONGEST_S,
    MOST_WHOLE,
    Checkpoints,
)
from watchkeeper.daemon.patience import Patience
from watchkeeper.daemon.pending import Pending
from watchkeeper.daemon.storage.values import Checkpoint

NOTHING = Checkpoint(at=0.0, epochs={})


@dataclass
class Priced:
    """Checkpoints that cost so much of a core to build and to write, and take so long to write."""

    build_s: float = 0.0
    write_s: float = 0.0
    takes_s: float = 0.0
    now: float = 1_000.0
    used: float = 0.0
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        patience = Patience(threading.Event(), lambda _: None, lambda *_: None, 1.0)
        self.points = Checkpoints(
            self.commit, patience, lambda: self.now, beside=True, spent=self.spent
        )

    def commit(self, checkpoint: Checkpoint) -> None:
        self.used += self.write_s
        self.now += self.takes_s

    def spent(self) -> float:
        self.asked.append(threading.current_thread().name)
        return self.used

    def make_one(self, beside: bool = False) -> None:
        self.points.begin()
        self.used += self.build_s
        if beside:
            self.points.write_beside(Pending(), NOTHING)
            assert self.points.written(now=True) is not None
        else:
            self.points.write(NOTHING)

    def due_after(self, seconds: float, events: int = 1_000_000) -> bool:
        """Whether another one is due so long after the last one was begun."""
        self.now = 1_000.0 + seconds
        return self.points.due(Pending(events=events), 1.0, 5_000)


@pytest.mark.parametrize("beside", [False, True])
def test_what_one_cost_of_a_core_puts_the_next_one_off(beside: bool) -> None:
    priced = Priced(build_s=0.4, write_s=0.8, takes_s=0.9)
    priced.make_one(beside)

    assert not priced.due_after(34.1)
    assert priced.due_after(34.4)


@pytest.mark.parametrize(("gathered_s", "rest_s"), [(0.0, 22.9), (0.5, 26.7), (50.0, 45.7)])
def test_to_gather_events_takes_its_part_of_the_share(gathered_s: float, rest_s: float) -> None:
    priced = Priced(build_s=0.4, write_s=0.4)
    priced.make_one()
    with priced.points.gathering():
        priced.used += gathered_s
    priced.now += 100.0

    priced.make_one()

    assert not priced.due_after(100.0 + rest_s - 0.1)
    assert priced.due_after(100.0 + rest_s + 0.1)


def test_one_that_came_too_early_for_what_it_cost_puts_the_next_one_off_so_much_longer() -> None:
    priced = Priced(build_s=0.7)
    priced.make_one()
    priced.now += 15.0

    priced.make_one()  # 20 s would have been enough

    assert not priced.due_after(15.0 + 20.0 + 4.9)
    assert priced.due_after(15.0 + 20.0 + 5.1)


def test_time_in_which_there_was_nothing_to_write_counts_for_what_the_next_one_costs() -> None:
    priced = Priced(build_s=0.7)
    priced.make_one()
    priced.now += 60.0
    priced.points.rested()
    priced.now += 1.0

    priced.make_one()

    assert not priced.due_after(61.0 + 19.9)
    assert priced.due_after(61.0 + 20.1)


def test_each_thread_is_asked_for_its_own_time() -> None:
    priced = Priced(build_s=0.4, write_s=0.8)
    priced.make_one(beside=True)

    assert priced.asked == ["MainThread", "MainThread", "checkpoint", "checkpoint"]


def test_a_slow_write_that_cost_little_puts_the_next_one_off_for_a_little() -> None:
    slow, stuck = Priced(write_s=0.01, takes_s=0.5), Priced(write_s=0.01, takes_s=100.0)
    slow.make_one(beside=True)
    stuck.make_one(beside=True)

    assert not slow.due_after(0.9)
    assert slow.due_after(1.1)
    assert not stuck.due_after(LONGEST_S - 0.1)
    assert stuck.due_after(LONGEST_S + 0.1)


def test_no_cost_puts_one_off_for_ever_nor_memory_grow() -> None:
    priced = Priced(build_s=50.0, write_s=100.0)
    priced.make_one()

    assert not priced.due_after(LONGEST_BEHIND_S - 0.1)
    assert priced.due_after(LONGEST_BEHIND_S + 0.1)
    assert not priced.due_after(1.0, events=FURTHEST * 5_000 - 1)
    assert priced.due_after(1.0, events=FURTHEST * 5_000)


def test_a_dear_one_puts_the_next_one_off_for_longer_only_behind_a_backlog() -> None:
    priced = Priced(build_s=50.0, write_s=100.0)
    priced.make_one()

    assert not priced.due_after(LONGEST_S - 0.1, events=400_000)
    assert priced.due_after(LONGEST_S + 0.1, events=400_000)


def test_time_without_anything_to_make_true_is_rest() -> None:
    priced = Priced(build_s=1.0, write_s=1.0)
    priced.make_one()

    priced.now += LONGEST_BEHIND_S
    priced.points.rested()

    assert not priced.due_after(LONGEST_BEHIND_S + 0.9, events=1)
    assert priced.due_after(LONGEST_BEHIND_S + 1.1, events=1)


def test_events_kept_whole_wait_in_bounded_number() -> None:
    priced, pending = Priced(build_s=1.0, write_s=1.0), Pending(events=1)
    priced.make_one()

    pending.keeping.whole = MOST_WHOLE - 1
    assert not priced.points.due(pending, 1.0, 5_000)
    pending.keeping.whole = MOST_WHOLE
    assert priced.points.due(pending, 1.0, 5_000)
