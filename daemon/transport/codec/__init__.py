"""Wire formats: records to columns or dead letters, and events to messages."""

from watchkeeper.daemon.transport.codec.deadletter import (
    DeadLetter,
    Reason,
    dead_letter_message,
    replayable,
)
from watchkeeper.daemon.transport.codec.decoded import Decoded, Settled
from watchkeeper.daemon.transport.codec.encode import encode, event_message
from watchkeeper.daemon.transport.codec.router import MOST_BYTES, decode

__all__ = [
    "MOST_BYTES",
    "DeadLetter",
    "Decoded",
    "Reason",
    "Settled",
    "dead_letter_message",
    "decode",
    "encode",
    "event_message",
    "replayable",
]
