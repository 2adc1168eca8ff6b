"""What every starter of a real component shares: finding, installing and waiting."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.patience import patient

T = TypeVar("T")

# Below the range from which Linux takes the source ports of outgoing connections, so that
# nobody takes a port away while the component that owns it is down for a restart.
_PORTS = range(20_000, 32_000)
_INSTALL_SECONDS = 900.0


class Missing(Exception):
    """A component is not on this machine; the message says what to install."""


@dataclass(frozen=True)
class Component:
    """One line of `python -m tests.services`.

    `version` returns the version that would be started, installing it first when told to,
    and raises Missing with what to do.
    """

    name: str
    how: str
    version: Callable[[bool], str]


def _flag(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def services_required() -> bool:
    """Say whether a missing component is a failure rather than a skipped test."""
    return _flag("WATCHKEEPER_REQUIRE_SERVICES")


def may_download() -> bool:
    """Say whether a test run may fetch the big components (MLflow, the Kafka jars)."""
    return services_required() or _flag("WATCHKEEPER_INSTALL_SERVICES")


def cache_dir() -> Path:
    """Return the folder that keeps installed components between test runs."""
    named = os.environ.get("WATCHKEEPER_TEST_CACHE")
    folder = Path(named) if named else Path.home() / ".cache" / "watchkeeper-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def find_executable(name: str, package: str, folders: Sequence[Path] = ()) -> Path:
    """Find a program on the path or in `folders`, or say which Debian package has it."""
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=path)
    if found is None:
        raise Missing(f"{name} is not installed: apt-get install {package}")
    return Path(found)


def first_line(command: Sequence[str | Path]) -> str:
    """Run a short command and return the first line it prints, on either stream."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return (done.stdout + done.stderr).strip().partition("\n")[0]


def free_ports(count: int) -> list[int]:
    """Return `count` different TCP ports that nobody on this machine listens on."""
    free: list[int] = []
    ports = _own_ports()
    for port in random.sample(ports, min(500, len(ports))):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            free.append(port)
        if len(free) == count:
            return free
    raise RuntimeError("no free ports")


def _own_ports() -> range:
    """Return this process's part of the ports, where tests run in several beside each other.

    One that took a dead one's place has a number of its own, beyond their count.
    """
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share, place = len(_PORTS) // count, number % count
    return _PORTS[place * share : (place + 1) * share]


def wait_until(condition: Callable[[], T | None], timeout: float, what: str) -> T:
    """Ask `condition` until its answer is true and return it; TimeoutError after `timeout` s, which
    are more where tests are to be patient."""
    timeout = patient(timeout)
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        pause.wait(0.05)


def accepts(port: int) -> bool:
    """Say whether somebody accepts connections on a local port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Keep other test runs on this machine from filling the same cache folder."""

    def taken() -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    with (cache_dir() / f"{name}.lock").open("w") as file:
        wait_until(taken, _INSTALL_SECONDS, f"another run that installs {name}")
        yield


def filled(name: str, fill: Callable[[Path], None], allowed: bool, missing: str) -> Path:
    """Return the folder `name` of the cache, filled once by `fill` if that is allowed.

    A folder counts as filled only when `fill` came to its end, so an interrupted
    installation is begun anew.
    """
    folder, done = cache_dir() / name, cache_dir() / f"{name}.done"
    if done.exists() and folder.is_dir():
        return folder
    if not allowed:
        raise Missing(missing)
    with lock(name):
        if not (done.exists() and folder.is_dir()):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fill(folder)
            done.touch()
    return folder


def install(command: Sequence[str | Path], what: str) -> None:
    """Run one installer; Missing with the end of its output when it does not succeed."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Missing(f"installing {what} took longer than {_INSTALL_SECONDS:g} s") from error
    if done.returncode:
        output = (done.stdout + done.stderr).strip().splitlines()
        raise Missing(f"{what} could not be installed: {' | '.join(output[-3:])}")


def venv(name: str, version: str, allowed: bool = True, requirements: Sequence[str] = ()) -> Path:
    """Return the `bin` folder of a virtual environment that has one package of PyPI."""

    def fill(folder: Path) -> None:
        install([sys.executable, "-m", "venv", folder], f"a virtual environment for {name}")
        pip: list[str | Path] = [
            folder / "bin" / "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
        ]
        install([*pip, f"{name}=={version}", *requirements], f"{name} {version} from PyPI")

    missing = f"{name} {version} is not in {cache_dir()}: run `make services`"
    return filled(f"{name}-{version}", fill, allowed, missing) / "bin"


def work_dir(name: str) -> Path:
    """Make a folder for the data of one running component.

    It lies under the system's temporary folder rather than pytest's, which another user
    (PostgreSQL refuses to run as root) may not enter.
    """
    return Path(tempfile.mkdtemp(prefix=f"watchkeeper-{name}-"))
