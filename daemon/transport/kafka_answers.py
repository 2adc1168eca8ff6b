"""Which batch of an answer to a fetch is being read: imported where kafka-python is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from watchkeeper.daemon.transport.batches import HEADER, HEADER_SIZE, MAGIC_AT
from watchkeeper.daemon.transport.kafka_whole import WholeBatches

_AFTER_LENGTH = 12


class Answer(Protocol):
    """The batches that came, and at which byte that begins which is being read."""

    data: bytes
    begun: int


def head_of(answer: Answer | None) -> bytes:
    """The head of the batch that is being read, which no other of the partition has; b"" where
    nothing came."""
    return answer.data[answer.begun : answer.begun + HEADER_SIZE] if answer is not None else b""


def end_in(head: bytes) -> int | None:
    """The offset behind the batch's last one by what its head says, None where it says nothing."""
    if len(head) <= MAGIC_AT:
        return None
    if len(head) < HEADER_SIZE or head[MAGIC_AT] < 2:
        # The older ones have the offset of their last record there.
        return int.from_bytes(head[:8], "big", signed=True) + 1
    base, _, _, _, _, _, last, *_ = HEADER.unpack(head)
    return int(base + last + 1)


def noting(made_by: Any, note: Callable[[Answer], None]) -> Any:
    """The class that reads an answer, where `note` gets each answer that it is given."""

    class Noting(made_by):  # type: ignore[misc]
        def _unpack_records(self, tp: Any, records: Any, *deserializers: object) -> Any:
            whole = isinstance(self, WholeBatches)
            answer = records if whole else _OneByOne(records)
            unpacked = super()._unpack_records(tp, answer, *deserializers)
            note(self if whole else answer)
            return unpacked

    return Noting


class _OneByOne:
    """An answer as the library takes its batches off it."""

    def __init__(self, records: Any) -> None:
        self.data = bytes(records._buffer)
        self.begun = 0
        self._records = records
        self._next = 0

    def next_batch(self) -> Any:
        """The next batch, None behind the last."""
        self.begun = self._next
        length = self.data[self.begun + 8 : self.begun + _AFTER_LENGTH]
        self._next += _AFTER_LENGTH + int.from_bytes(length, "big")
        return self._records.next_batch()
