"""Signs of life of a member that the library keeps to itself."""

from __future__ import annotations

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
