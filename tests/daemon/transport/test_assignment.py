from __future__ import annotations

from watchkeeper.daemon.transport.assignment import Assignment
from watchkeeper.daemon.transport.ports import Partition

A, B = Partition("t", 0), Partition("t", 1)


def test_a_change_is_told_once() -> None:
    assignment = Assignment()
    assignment.assign([B, A])

    assert assignment.changes() == ((A, B), (), ())
    assert assignment.changes() == ((), (), ())


def test_taken_and_given_back_is_both() -> None:
    assignment = Assignment()
    assignment.assign([A, B])
    assignment.changes()

    assignment.revoke([A, B])
    assignment.assign([A])

    assert assignment.changes() == ((A,), (A, B), ())
    assert assignment.ours == {A}


def test_come_and_gone_unseen_is_nothing() -> None:
    assignment = Assignment()

    assignment.assign([A])
    assignment.lose([A])

    assert assignment.changes() == ((), (), ())


def test_leaving_the_group_loses_everything() -> None:
    assignment = Assignment()
    assignment.assign([A])
    assignment.changes()

    assignment.lose_all()

    assert assignment.changes() == ((), (), (A,))
