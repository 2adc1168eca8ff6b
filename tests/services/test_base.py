"""Finding, installing and ending components, on small stand-ins that need no component."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.conftest import running
from tests.patience import patient
from tests.programs import ended
from tests.services import base
from tests.services.base import Missing, wait_until
from tests.services.process import Process, Service


class Absent(Service):
    """A component whose program nobody has."""

    name = "absent"

    def __init__(self) -> None:
        base.find_executable("no-such-program", "no-such-package")
        super().__init__()


class Idle(Service):
    """A component that only waits."""

    name = "idle"

    def launch(self) -> Process:
        return Process(
            [sys.executable, "-c", "import signal; signal.pause()"], self.directory / "log"
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WATCHKEEPER_TEST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _alive(pid: int) -> bool:
    """Say whether a process runs; one that waits for its parent's look no longer does."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_missing_component_skips_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHKEEPER_REQUIRE_SERVICES", raising=False)

    with pytest.raises(pytest.skip.Exception, match="apt-get install no-such-package"):
        running(Absent).__enter__()


def test_missing_component_fails_where_all_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHKEEPER_REQUIRE_SERVICES", "1")

    with pytest.raises(pytest.fail.Exception, match="apt-get install no-such-package"):
        running(Absent).__enter__()


def test_cache_is_not_filled_unless_allowed(cache: Path) -> None:
    with pytest.raises(Missing, match="run this"):
        base.filled("thing", lambda folder: None, False, "run this")

    assert not (cache / "thing").exists()


def test_interrupted_installation_is_begun_anew(cache: Path) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        base.filled("thing", interrupted, True, "")
    folder = base.filled("thing", lambda folder: (folder / "whole").touch(), True, "")

    assert [file.name for file in folder.iterdir()] == ["whole"]


def test_filled_cache_is_used_again(cache: Path) -> None:
    base.filled("thing", lambda folder: (folder / "first").touch(), True, "")
    folder = base.filled("thing", lambda folder: (folder / "second").touch(), True, "")

    assert [file.name for file in folder.iterdir()] == ["first"]


def test_failing_installer_is_a_missing_component() -> None:
    with pytest.raises(Missing, match="thing could not be installed: no network"):
        base.install([sys.executable, "-c", "raise SystemExit('no network')"], "thing")


def test_component_that_ends_early_shows_its_output(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", "raise SystemExit('bad option')"], tmp_path / "log")

    with pytest.raises(RuntimeError, match="bad option"):
        process.wait_ready(lambda: False, 30)


def test_ending_a_component_ends_its_children(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys, signal;"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']);"
        "print(child.pid, flush=True); signal.pause()"
    )
    process = Process([sys.executable, "-c", parent], tmp_path / "log")
    child = int(wait_until(process.tail, 30, "the child"))

    process.end(signal.SIGTERM)

    assert not _alive(process.pid)
    wait_until(lambda: not _alive(child), 10, "the end of the child")


def test_component_that_died_by_itself_is_started_again() -> None:
    with Idle() as service:
        first = service.pid
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: not _alive(first), 10, "the end of the component")

        service.start()

        assert service.pid != first
        assert _alive(service.pid)


def test_closed_component_leaves_no_data() -> None:
    with Idle() as service:
        assert service.directory.is_dir()

    assert not service.directory.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends orphans for us")
def test_killed_test_run_leaves_no_component(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path;"
        "from tests.services.process import Process;"
        "command = [sys.executable, '-c', 'print(1, flush=True); import signal; signal.pause()'];"
        f"process = Process(command, Path({str(tmp_path / 'log')!r}));"
        "process.wait_ready(lambda: bool(process.tail()), 30);"
        "print(process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = ended(script)

    assert run.returncode == -signal.SIGKILL
    wait_until(lambda: not _alive(int(run.stdout)), 10, "the end of the component")


@pytest.mark.parametrize(
    ("worker", "count", "first"),
    [("gw0", 1, 20_000), ("gw1", 2, 26_000), ("gw2", 2, 20_000), ("gw39", 40, 31_700)],
)
def test_every_process_of_a_test_run_has_ports(
    monkeypatch: pytest.MonkeyPatch, worker: str, count: int, first: int
) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", str(count))

    (port,) = base.free_ports(1)

    assert port in range(first, first + 12_000 // count)


def test_waiting_says_for_what_and_how_long_it_waited() -> None:
    waited = re.escape(f"waited {patient(0.1):g} s for godot")
    with pytest.raises(TimeoutError, match=waited):
        wait_until(lambda: False, 0.1, "godot")
