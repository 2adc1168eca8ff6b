"""A component that runs as a child process with a folder for its data."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.services.base import wait_until, work_dir

_STOP_SECONDS = 30.0


class Process:
    """One child process: its output in a file, its whole process group ended with it."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        user: str = "",
    ) -> None:
        self.command = [*_leash(user), *map(str, command)]
        self.log = log
        self.env = dict(os.environ) | dict(env or {})
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                env=self.env,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def tail(self) -> str:
        """Return the end of what the child has printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def wait(self, timeout: float) -> int:
        """Wait for a child that ends by itself and return its exit code."""
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.end(signal.SIGKILL)
            raise

    def wait_ready(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until `ready` says yes; RuntimeError with the output if the child ends first."""
        try:
            wait_until(lambda: self.ended() or ready(), timeout, self.command[-1])
            if self.ended():
                raise RuntimeError(f"{self.command} has ended:\n{self.tail()}")
        except BaseException as error:
            self.end(signal.SIGKILL)
            if isinstance(error, TimeoutError):
                raise RuntimeError(f"{self.command} is not ready:\n{self.tail()}") from error
            raise

    def end(self, how: signal.Signals) -> None:
        """Send a signal, wait for the end, and kill what is left of the process group.

        A child that ignores the signal is killed after half a minute. Ending twice does nothing.
        """
        if self._child.returncode is not None:
            return
        os.kill(self.pid, how)
        with contextlib.suppress(TimeoutError):
            wait_until(self.ended, _STOP_SECONDS, "the end of a component")
        # Not waited for yet, the child still owns its process id, so the group is surely ours.
        os.killpg(self.pid, signal.SIGKILL)
        self._child.wait(_STOP_SECONDS)

    def ended(self) -> bool:
        """Say whether the child has ended, without reaping it."""
        if self._child.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _leash(user: str) -> list[str]:
    """Return the prefix that ends the child with us, even if we are killed, and sets its user."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return []
    as_user = [f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
    return [setpriv, *as_user, "--pdeathsig", "TERM"]


class Service:
    """A component on free local ports that can be stopped, killed and started again.

    A restart keeps the ports and the data; `close` ends it for good and deletes the data.
    As a context manager it runs from `with` to the end of the block. Start it from a thread
    that lives as long as it shall run: Linux ends it together with that thread.
    """

    name = "service"

    def __init__(self) -> None:
        self.directory = work_dir(self.name)
        self._process: Process | None = None

    def launch(self) -> Process:
        """Start the process and return once it answers."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, or start it again; does nothing while it runs."""
        if self._process is not None and self._process.ended():
            self.kill()
        if self._process is None:
            self._process = self.launch()

    def stop(self) -> None:
        """End it in the orderly way."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would: kill -9."""
        self._end(signal.SIGKILL)

    @contextmanager
    def halted(self) -> Iterator[None]:
        """Freeze it to the end of the block: it answers nothing, and its connections stay open."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it at once and delete its data: nothing is left to be put in order."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end(how)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
