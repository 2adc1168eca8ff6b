"""Events from and to files: JSON Lines, also compressed with gzip, and the standard input."""

from __future__ import annotations

import base64
import gzip
import os
import select
import sys
import threading
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import numpy as np

from watchkeeper.daemon.transport.ports import Message, Partition, Polled, SourceError
from watchkeeper.daemon.transport.records import Records

_CHUNK = 1 << 18
# A longer line is cut: it is beyond every limit of the codec and is refused there.
LONGEST_LINE = 16 * 1024 * 1024


class FileSource:
    """Reads a file of one event a line as the only partition of `topic`.

    `path` may end in `.gz` or be `-` for the standard input. The offset of a record is the number
    of its line, from 0; blank lines are passed over. Records have no timestamp (0.0).
    """

    def __init__(self, path: str | Path, topic: str, max_records: int = 500) -> None:
        self._path = str(path)
        self._partition = Partition(topic, 0)
        self._max_records = max_records
        self._file = _opened(self._path)
        self._assigned = self._started = self._exhausted = False
        self._line = 0
        self._from = 0
        self._rest = bytearray()
        self._lines: list[bytes] = []

    def poll(self, timeout: float) -> Polled:
        if not self._assigned:
            self._assigned = True
            return Polled(assigned=(self._partition,))
        if not self._started or self.ended():
            return Polled()
        if len(self._lines) < self._max_records:
            self._fill(timeout)
        lines = self._lines[: self._max_records]
        del self._lines[: self._max_records]
        first, self._line = self._line, self._line + len(lines)
        return Polled(self._records(first, lines))

    def idle(self, timeout: float) -> None:
        threading.Event().wait(timeout)  # there is no group to stay in

    def start(self, partition: Partition, offset: int | None, topic: str | None = None) -> None:
        if self._line and (offset or 0) < self._line:
            self._rewind()
        self._from = offset or 0
        self._started = True

    def caught_up(self) -> bool:
        return self.ended()

    def ended(self) -> bool:
        return self._exhausted and not self._lines

    def lag(self) -> Mapping[Partition, int]:
        """The lines read ahead, and one more while the file has not ended."""
        if not self._started:
            return {}
        return {self._partition: len(self._lines) + (not self._exhausted)}

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """A file keeps no offsets."""

    def close(self, timeout: float = 10.0) -> None:
        self._exhausted = True
        self._lines.clear()
        if self._path != "-":
            self._file.close()

    def _records(self, first: int, lines: list[bytes]) -> Records:
        rows = [n for n, line in enumerate(lines) if line.strip() and first + n >= self._from]
        return Records(
            (self._partition,),
            np.zeros(len(rows), dtype=np.int32),
            np.array(rows, dtype=np.int64) + first,
            np.zeros(len(rows)),
            [lines[n] for n in rows],
        )

    def _fill(self, timeout: float) -> None:
        chunk = self._read(timeout)
        if chunk is None:
            return
        self._exhausted = not chunk
        self._rest += chunk
        if len(self._rest) > LONGEST_LINE and b"\n" not in chunk:
            del self._rest[LONGEST_LINE:]
            return
        *lines, rest = bytes(self._rest).split(b"\n")
        if self._exhausted and rest:
            lines.append(rest)
        self._rest = bytearray(b"" if self._exhausted else rest)
        self._lines += lines

    def _read(self, timeout: float) -> bytes | None:
        """The next bytes, b"" at the end, None when none came in time."""
        try:
            if self._path != "-":
                return self._file.read(_CHUNK)
            if not select.select([self._file], [], [], timeout)[0]:
                return None
            return os.read(self._file.fileno(), _CHUNK)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{self._path}: cannot be read on: {error}") from error

    def _rewind(self) -> None:
        if self._path == "-":
            raise SourceError("the standard input cannot be read a second time")
        self._file.seek(0)
        self._line = 0
        self._exhausted = False
        self._rest.clear()
        self._lines.clear()


def _opened(path: str) -> BinaryIO:
    if path == "-":
        return sys.stdin.buffer
    try:
        if path.endswith(".gz"):
            return cast(BinaryIO, gzip.open(path, "rb"))  # it reads, seeks and closes as one does
        return Path(path).open("rb", buffering=0)
    except OSError as error:
        raise SourceError(f"{path}: cannot be opened: {error.strerror}") from error


class FileSink:
    """Appends one line a message: a CloudEvent in structured mode, or the bare value.

    A message with `ce_*` headers becomes an envelope, with `topic` and `partitionkey` as
    extensions; any other is written as it is, if it is JSON.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = Path(path).open("ab")  # noqa: SIM115 - it stays open until close()
        self._lock = threading.Lock()

    def publish(self, messages: Sequence[Message], timeout: float) -> list[str | None]:
        said: list[str | None] = []
        with self._lock:
            for message in messages:
                said.append(self._write(message))
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                return [str(error)] * len(messages)
        return said

    def close(self, timeout: float = 10.0) -> None:
        self._file.close()

    def _write(self, message: Message) -> str | None:
        try:
            self._file.write(line_of(message) + b"\n")
        except (ValueError, OSError) as error:
            return str(error)
        return None


def line_of(message: Message) -> bytes:
    """The message as one line of JSON; ValueError when it is neither CloudEvent nor JSON."""
    attributes = {n[3:]: _text(v) for n, v in message.headers if n.startswith("ce_")}
    if not attributes:
        if message.value is None:
            raise ValueError("a message without value is no line of JSON")
        return msgspec.json.format(message.value, indent=-1)
    envelope: dict[str, Any] = {**attributes, "topic": message.topic}
    if message.key is not None:
        envelope["partitionkey"] = _text(message.key)
    return msgspec.json.encode({**envelope, **_data(message.value)})


def _data(value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {}
    try:
        return {"data": msgspec.Raw(msgspec.json.format(value, indent=-1))}
    except msgspec.DecodeError:
        return {"data_base64": base64.b64encode(value).decode()}


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="backslashreplace")
