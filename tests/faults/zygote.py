"""A warm process that forks one life after another, and kills them when it is told to.

It has imported everything and has one thread, so that a fork is cheap and safe. Each line of its
input is a wish, each line of its output what became of it.
"""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, Self

import msgspec

from tests.e2e.daemon import python_path
from tests.faults.life import Life, live, stream_of
from tests.faults.member import Member, serve
from watchkeeper.daemon import kernels

_GONE_S = 60.0


class Birth(msgspec.Struct, frozen=True, tag=True):
    """A member of a group, which lives on beside others."""

    member: Member


class Death(msgspec.Struct, frozen=True, tag=True):
    """The wish to know how a member has ended; it is waited for at most `limit` seconds."""

    pid: int
    limit: float = _GONE_S


class Wish(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One life, and how long after its birth it is killed; never when that is None."""

    life: Life
    kill_after: float | None = None
    limit: float = 60.0


class Ended(msgspec.Struct, frozen=True):
    """How a life ended: whether it came to its own end, what it said, and what it printed if it
    failed."""

    done: bool
    said: list[str]
    failed: str = ""


class Zygote:
    """The process; as a context manager it is there to the end of the block."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote", str(self.log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | python_path(),
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        self._child.wait(70)
        self._child.stdout.close()

    def fulfil(self, wish: Wish) -> Ended:
        """Gives one life and waits for its end."""
        ended = msgspec.json.decode(self._ask(wish), type=Ended)
        assert not ended.failed, f"{ended.failed}\n{self.log.read_text()[-3000:]}"
        return ended

    def bear(self, member: Member) -> int:
        """Starts a member and gives its process id."""
        return msgspec.json.decode(self._ask(Birth(member)), type=int)

    def ended(self, pid: int, limit: float = _GONE_S) -> int | None:
        """How a member has ended: its exit code, None while it lives."""
        return msgspec.json.decode(self._ask(Death(pid, limit)), type=int | None)

    def _ask(self, wish: Birth | Death | Wish) -> bytes:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(msgspec.json.encode(wish) + b"\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        assert line, f"the zygote has ended:\n{self.log.read_text()[-3000:]}"
        return line


def _answer(wish: Birth | Death | Wish, log: IO[bytes]) -> Ended | int | None:
    if isinstance(wish, Wish):
        return _fulfil(wish, log)
    if isinstance(wish, Death):
        return _ended(wish)
    child = os.fork()
    if child == 0:
        with Path(wish.member.log).open("ab", buffering=0) as own:
            _run(own, lambda: serve(wish.member))
    return child


def _ended(wish: Death) -> int | None:
    handle = os.pidfd_open(wish.pid)
    try:
        if not select.select([handle], [], [], wish.limit)[0]:
            return None
    finally:
        os.close(handle)
    return os.waitstatus_to_exitcode(os.waitpid(wish.pid, 0)[1])


def _fulfil(wish: Wish, log: IO[bytes]) -> Ended:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        random.seed(wish.life.seed)
        _run(log, lambda: live(wish.life, lambda word: _say(writing, word)))
    os.close(writing)
    handle = os.pidfd_open(child)
    said: list[str] = []
    killed = failed = ""
    try:
        born = _read(reading, said, handle, wish.limit)
        wait = wish.limit if wish.kill_after is None or not born else wish.kill_after
        if not select.select([handle], [], [], wait)[0]:
            killed = "killed"
            if wish.kill_after is None:
                failed = f"it still lived after {wish.limit:g} s"
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        _rest(reading, said)
    finally:
        os.close(handle)
        os.close(reading)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGKILL):
        failed = f"it ended with {code}"
    return Ended(code == 0 and not killed, said, failed)


def _read(reading: int, said: list[str], handle: int, limit: float) -> bool:
    """Waits for the first word or the end."""
    ready = select.select([reading, handle], [], [], limit)[0]
    if reading in ready:
        said += os.read(reading, 4096).decode().split("\n")[:-1]
    return "born" in said


def _rest(reading: int, said: list[str]) -> None:
    os.set_blocking(reading, False)
    try:
        while data := os.read(reading, 4096):
            said += data.decode().split("\n")[:-1]
    except BlockingIOError:
        return


def _run(log: IO[bytes], what: Callable[[], int]) -> NoReturn:
    """What a forked process does, and nothing after it."""
    code = 70
    try:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        code = what()
    except Exception:  # noqa: BLE001 - its traceback is all that is left of a process
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(code)


def _say(writing: int, word: str) -> None:
    os.write(writing, word.encode() + b"\n")


def main() -> None:
    """Fulfils wishes until there are no more."""
    stream_of(0)
    kernels.warm()
    with Path(sys.argv[1]).open("ab", buffering=0) as log:
        for line in sys.stdin.buffer:
            answer = _answer(msgspec.json.decode(line, type=Birth | Death | Wish), log)
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
