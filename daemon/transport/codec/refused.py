"""Why a record was refused, as it travels up through the codec."""

from __future__ import annotations

from watchkeeper.daemon.transport.codec.deadletter import Reason


class Refused(Exception):
    """A record is not an event. `path` is the JSON path of what was wrong."""

    def __init__(self, reason: Reason, message: str, path: str = "$") -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.message = message
        self.path = path
