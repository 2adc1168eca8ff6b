"""Periodic work: it comes again, does not overlap itself, and stops in time."""

from __future__ import annotations

import threading

from watchkeeper.daemon.actions.timers import Timers


def test_work_comes_again_even_when_it_fails() -> None:
    came = threading.Semaphore(0)

    def fail() -> None:
        came.release()
        raise ValueError("no luck")

    timers = Timers()
    timers.every(0.02, "failing", fail)

    timers.start()

    assert all(came.acquire(timeout=10) for _ in range(3))
    assert timers.stop(10)


def test_work_does_not_overlap_itself() -> None:
    inside, most, turns = 0, 0, threading.Semaphore(0)
    lock, never = threading.Lock(), threading.Event()

    def work() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        never.wait(0.05)
        with lock:
            inside -= 1
        turns.release()

    timers = Timers(threads=4)
    timers.every(0.01, "slow", work)

    timers.start()

    assert all(turns.acquire(timeout=10) for _ in range(4))
    assert timers.stop(10)
    assert most == 1


def test_stopping_waits_for_what_runs_but_not_for_ever() -> None:
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        assert leave.wait(10)

    timers = Timers()
    timers.every(0.01, "long", work)
    timers.start()
    assert entered.wait(10)

    in_vain = timers.stop(0.05)
    leave.set()
    stopped = timers.stop(10)

    assert (in_vain, stopped) == (False, True)


def test_stopping_before_the_start_is_fine() -> None:
    assert Timers().stop(1)
