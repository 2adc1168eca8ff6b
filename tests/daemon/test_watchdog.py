"""A loop that hangs ends the process, with its stacks in the log; one that waits does not."""

from __future__ import annotations

import threading
from pathlib import Path

from tests import programs
from tests.services.base import wait_until
from watchkeeper.daemon.exit_codes import TRY_AGAIN
from watchkeeper.daemon.watchdog import Watchdog

_HANGING = """
import sys
from pathlib import Path
from tests.daemon.test_service import made_in
from watchkeeper.daemon.transport.memory import MemoryBroker
from watchkeeper.daemon.watchdog import Watchdog

daemon = made_in(Path(sys.argv[1]), MemoryBroker())

def poll_that_never_returns(timeout):
    while True:
        pass

daemon.source.poll = poll_that_never_returns
Watchdog(daemon.reporter.busy_since, limit_s=0.5).start()
daemon.loop.run()
"""


def test_a_poll_that_never_returns_ends_the_process_with_its_stacks(tmp_path: Path) -> None:
    ended = programs.ended(_HANGING, str(tmp_path))

    assert ended.returncode == TRY_AGAIN
    assert "the loop hangs" in ended.stdout + ended.stderr
    assert "poll_that_never_returns" in ended.stderr


_STANDING = """
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.daemon.watchdog import Watchdog

class Standing:
    begun_anew = 0

    def break_off(self):
        return False

    def stalled(self, limit_s):
        return [Partition("t", 3)]

    def begin_anew(self, stalled):
        self.begun_anew += 1

watchdog = Watchdog(lambda: None, Standing(), limit_s=2.0, looks=100, most=3)
watchdog.start()
watchdog._stopping.wait(60)
"""


def test_a_partition_that_stands_still_again_and_again_ends_the_process() -> None:
    ended = programs.ended(_STANDING)

    assert ended.returncode == TRY_AGAIN
    assert "partitions stand still again and again" in ended.stdout + ended.stderr


def test_a_loop_in_no_stage_or_in_ever_new_ones_is_left_alone() -> None:
    looked = threading.Event()
    times = iter([None] * 30 + [float(each) for each in range(30)])

    def busy_since() -> float | None:
        try:
            return next(times)
        except StopIteration:
            looked.set()
            return None

    watchdog = Watchdog(busy_since, limit_s=0.02, looks=5)
    watchdog.start()

    wait_until(looked.is_set, 10.0, "sixty looks")
    watchdog.stop()
