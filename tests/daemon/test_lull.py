"""The moments in which others may have the interpreter."""

from __future__ import annotations

import threading

from watchkeeper.daemon.lull import Lull

A_WHILE_S = 30.0


def test_nobody_is_held_up_who_may_not_be() -> None:
    lull = Lull()
    lull.end()

    assert lull.pause() == 0.0


def test_who_works_beside_goes_on_once_there_is_nothing_to_do() -> None:
    lull, done = Lull(A_WHILE_S), threading.Event()
    lull.end()
    lull.allow()

    def work() -> None:
        lull.pause()
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    assert not done.wait(0.1)

    lull.begin()
    worker.join(A_WHILE_S)
    assert done.is_set()


def test_one_piece_of_work_is_held_up_for_so_long_in_all() -> None:
    lull = Lull(0.05)
    lull.end()
    lull.allow()

    held = sum(lull.pause() for _ in range(20))

    assert 0.05 <= held < A_WHILE_S
    assert lull.pause() == 0.0
    lull.allow()
    assert lull.pause() > 0.0


def test_work_that_somebody_waits_for_is_held_up_no_more() -> None:
    lull = Lull(A_WHILE_S)
    lull.end()
    lull.allow()

    lull.release()
    lull.end()  # as when the loop turns to something else for a moment

    assert lull.pause() == 0.0
