"""A disk that fails, below SQLite: what it asks of the system to write goes wrong at times.

SQLite reaches the system through a table of functions, and lets it be changed. Where Python's own
module is linked to SQLite as a library, `ctypes` finds that table: nothing is mocked, and SQLite
meets what it would meet on a bad disk, numbered write by numbered write.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
import random
import signal
import threading
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p, cast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from watchkeeper.daemon import patience
from watchkeeper.daemon.storage.database import DatabaseDown

Kind = Literal["write", "torn", "full", "sync", "read-only"]
KINDS: tuple[Kind, ...] = ("write", "torn", "full", "sync", "read-only")
OK, FULL, CANNOT_OPEN = 0, 13, 14
WRITE_FAILED, SYNC_FAILED, TRUNCATE_FAILED = 10 | 3 << 8, 10 | 4 << 8, 10 | 6 << 8
_READ_ONLY, _READ_WRITE, _CREATE, _MAIN = 0x1, 0x2, 0x4, 0x100
_BETWEEN, _LASTS, _LASTS_READ_ONLY = (1, 250), (1, 3), (2, 6)  # calls

_PAUSES = (0.001, 0.05)  # seconds between tries: what is left does not hang on how long they are

_INSTALLED: list[object] = []  # for good: SQLite calls what they hold

# The name is a pointer: SQLite goes on using the memory that it is in.
_Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_Write = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
_Sync = CFUNCTYPE(c_int, c_void_p, c_int)


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods`: what SQLite does with an open file."""

    _fields_ = (
        ("version", c_int),
        ("close", c_void_p),
        ("read", c_void_p),
        ("write", c_void_p),
        ("truncate", c_void_p),
        ("sync", c_void_p),
        ("rest", c_void_p * 13),
    )


class _File(ctypes.Structure):
    """The beginning of `sqlite3_file`."""

    _fields_ = (("methods", POINTER(_Methods)),)


class _System(ctypes.Structure):
    """The beginning of `sqlite3_vfs`: how SQLite opens files."""

    _fields_ = (
        ("version", c_int),
        ("size", c_int),
        ("longest", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("own", c_void_p),
        ("open", c_void_p),
    )


def reachable() -> bool:
    """Whether SQLite's table of functions can be got at here."""
    return _library() is not None


def _library() -> Any:
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    return library if hasattr(library, "sqlite3_vfs_find") else None


@dataclass
class Weather:
    """When what goes wrong: for some calls nothing, then one kind of failure for a few of them."""

    seed: int
    note: Callable[[str], None]
    kind: Kind | None = None
    _left: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._left = self._chance.randint(*_BETWEEN)

    def of(self, *kinds: Kind) -> Kind | None:
        """What goes wrong with this call, which can fail in these ways."""
        with self._lock:
            if self.kind is not None and self.kind not in kinds:
                return None
            self._left -= 1
            if self._left <= 0:
                self._turn()
            return self.kind if self.kind in kinds else None

    def _turn(self) -> None:
        if self.kind is not None:
            self.kind, self._left = None, self._chance.randint(*_BETWEEN)
            return
        self.kind = kind = self._chance.choice(KINDS)
        lasts = _LASTS_READ_ONLY if self.kind == "read-only" else _LASTS
        self._left = self._chance.randint(*lasts) + 1
        self.note(kind)


class FailingDisk:
    """Puts itself between SQLite and the system, in this process and for good."""

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self._made: dict[int, tuple[_Methods, tuple[Any, ...]]] = {}
        find = _library().sqlite3_vfs_find
        find.restype, find.argtypes = POINTER(_System), (c_char_p,)
        system = find(None).contents
        self._system_open = _Open(system.open)
        self._open = _Open(self._opened)
        system.open = cast(self._open, c_void_p)
        _INSTALLED.append(self)

    def _opened(self, system: int, name: int, file: int, flags: int, out: int) -> int:
        if flags & _MAIN and self._weather.of("read-only"):
            # As the system's own way is where it may not write.
            flags = flags & ~(_READ_WRITE | _CREATE) | _READ_ONLY
        code = int(self._system_open(system, name, file, flags, out))
        handle = cast(file, POINTER(_File)).contents
        if code == OK and handle.methods:
            handle.methods = ctypes.pointer(self._failing(handle.methods.contents))
        return code

    def _failing(self, methods: _Methods) -> _Methods:
        """The same functions, but those that write fail at times."""
        place = ctypes.addressof(methods)
        if place not in self._made:
            made = _Methods.from_buffer_copy(methods)
            calls = self._write(methods), self._truncate(methods), self._sync(methods)
            made.write, made.truncate, made.sync = (cast(call, c_void_p) for call in calls)
            self._made[place] = made, calls
        return self._made[place][0]

    def _write(self, methods: _Methods) -> Any:
        write, weather = _Write(methods.write), self._weather

        def failing(file: int, data: int, size: int, at: int) -> int:
            kind = weather.of("write", "torn", "full", "read-only")
            if kind is None:
                return int(write(file, data, size, at))
            if kind in ("torn", "full"):
                write(file, data, size // 2, at)
            return FULL if kind == "full" else WRITE_FAILED

        return _Write(failing)

    def _truncate(self, methods: _Methods) -> Any:
        truncate, weather = _Truncate(methods.truncate), self._weather

        def failing(file: int, size: int) -> int:
            kind = weather.of("write", "read-only")
            return TRUNCATE_FAILED if kind else int(truncate(file, size))

        return _Truncate(failing)

    def _sync(self, methods: _Methods) -> Any:
        sync, weather = _Sync(methods.sync), self._weather

        def failing(file: int, flags: int) -> int:
            return SYNC_FAILED if weather.of("sync", "read-only") else int(sync(file, flags))

        return _Sync(failing)


def live_on_a_failing_disk(
    folder: Path, seed: int, say: Callable[[str], None], live: Callable[[], int]
) -> int:
    """A life on such a disk; one that gives up ends as one that is killed, to be born again."""

    def note(kind: str) -> None:
        with (folder / "notes").open("a") as notes:
            notes.write(f"{kind}\n")

    patience.SHORTEST_PAUSE_S, patience.LONGEST_PAUSE_S = _PAUSES
    FailingDisk(Weather(seed, note))
    try:
        return live()
    except DatabaseDown as error:
        note(f"gave up: {error}")
        say("gave up")
        os.kill(os.getpid(), signal.SIGKILL)
        raise
