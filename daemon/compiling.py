"""Kernels that are compiled beside the loop, which goes on without them until they are there."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from watchkeeper.daemon import kernels
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.transport import batches, kafka_reading
from watchkeeper.daemon.transport.codec import bulk
from watchkeeper.detectors import fast

log = structlog.get_logger()

LONGEST_S = 1_800.0  # on a processor that has much else to do
END_S = 2.0


@dataclass
class Compiling:
    """Has a process of its own compile the kernels, and calls `done` once they can be used.

    They have to be put off until somebody calls `quicken`.
    """

    _process: subprocess.Popen[bytes] | None = None
    _thread: threading.Thread | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self, done: Callable[[], None]) -> None:
        """Begins; returns at once. `done` is called in another thread."""
        # -P: what lies in the folder it was started in is no part of the program.
        command = [sys.executable, "-P", "-m", "watchkeeper.daemon.kernels"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self._thread = threading.Thread(
            target=self._see, args=(self._process, done), name="kernels", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Compiles no more; what is on disk by now stays there. Idempotent."""
        self._stopping.set()
        if self._process is not None and self._thread is not None:
            self._process.kill()
            self._thread.join(END_S)

    def _see(self, process: subprocess.Popen[bytes], done: Callable[[], None]) -> None:
        try:
            code = process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait(END_S)
        if self._stopping.is_set():
            return
        if code:
            log.warning("kernels could not be compiled: going on without them", code=code)
            return
        kernels.warm()  # takes them from the disk, before the loop needs them
        log.info("kernels are compiled: going on with them")
        done()


def quicken(state: State) -> None:
    """From here on all is done by kernels. Only while the state holds no model: what is kept in
    arrays was made for one way of doing it."""
    fast.take_up()
    _quicken_reading()
    bulk.BULK.choose_again()
    state.renew()


def _quicken_reading() -> None:
    """A consumer that is connected goes on with what is chosen here: so it is tested first."""
    batches.choose_again()
    kafka_reading.why_not.cache_clear()
    reason = kafka_reading.why_not()
    if reason:
        log.warning("batches are read without kernels", reason=reason)
        batches.choose_again(compiled=False)
        kafka_reading.why_not.cache_clear()
