"""Signs of life of a member that the library keeps to itself."""

from __future__ import annotations

import functools
import time
from typing import Any, Literal

Pulse = Literal["beating", "dead", "stopped"]


def pulse(consumer: Any) -> Pulse:
    """How the heartbeat of a member is that has joined its group.

    "dead": its task ended with an error. The library tells of it once, begins it anew only at the
    next rebalance, and meanwhile the brokers give the member up. "stopped": the brokers know a
    newer member of the same static name; the library goes on reading for ever and says nothing.
    """
    coordinator = consumer._coordinator
    task = coordinator._heartbeat_loop_future
    if task is None or task.is_done:
        return "dead"
    return "beating" if coordinator._heartbeat_enabled else "stopped"


def share_anew(consumer: Any) -> None:
    """Makes a member join the group once more at its next poll.

    The leader of a group watches for new partitions. But a static leader that was restarted does
    not know that it still leads (KAFKA-13435): so each static member has to ask.
    """
    consumer._coordinator.request_rejoin()


def finish_joins(consumer: Any) -> None:
    """Has a member see a join through that it has begun.

    A leader joins anew when the topics have other partitions than it had dealt out, and its own
    dealing, while the join is under way, takes that reason away. When a poll ends just then, the
    library forgets that it has begun: it waits for no answer, has no partition and sends no
    heartbeat, until the brokers give the member up.
    """
    coordinator = consumer._coordinator
    needed = coordinator.need_rejoin

    @functools.wraps(needed)
    def needing() -> bool:
        return bool(coordinator.rejoining or needed())

    coordinator.need_rejoin = needing


def ignore_belated(consumer: Any) -> None:
    """Keeps answers to what was asked under a forgotten name from having the next one forgotten.

    Once the brokers have given a member up, the first of its requests to be told so makes the
    library join anew. When it is then told so by another one, it forgets the name it has just
    been given, and joins once more: the group waits for the forgotten one until that expires.
    """
    from kafka.errors import CommitFailedError

    coordinator, forgotten = consumer._coordinator, float("-inf")
    reset = coordinator.reset_generation
    heartbeat = coordinator._handle_heartbeat_response
    commit = coordinator._handle_offset_commit_response

    @functools.wraps(reset)
    def noting(*args: Any, **named: Any) -> None:
        nonlocal forgotten
        forgotten = time.monotonic()
        reset(*args, **named)

    def heartbeat_answered(answer: Any, sent: float) -> None:
        if sent > forgotten:
            heartbeat(answer, sent)

    def commit_answered(offsets: Any, sent: float, answer: Any) -> None:
        if sent <= forgotten:
            raise CommitFailedError("the member was given up meanwhile")
        commit(offsets, sent, answer)

    coordinator.reset_generation = noting
    coordinator._handle_heartbeat_response = heartbeat_answered
    coordinator._handle_offset_commit_response = commit_answered
