"""PostgreSQL from the system's packages, with its data in a temporary folder."""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from tests.services import base
from tests.services.process import Process, Service

_READY_SECONDS = 90.0  # it reads its log again after a kill, and syncs all its files


class Postgres(Service):
    """A server whose only user, `postgres`, needs no password."""

    name = "postgres"

    def __init__(self) -> None:
        self._bin = programs()
        super().__init__()
        (self.port,) = base.free_ports(1)
        self._numbers = itertools.count(1)

    def launch(self) -> Process:
        """Start the server, making its data folder the first time."""
        data = self.directory / "data"
        if not data.exists():
            self._initialise(data)
        # After kill -9 the old server's children hold its shared memory for a moment.
        return base.wait_until(lambda: self._try(data), _READY_SECONDS, "PostgreSQL")

    def crash(self) -> None:
        """End it at once without a checkpoint (`immediate`), so that it must recover."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """End it in the orderly way without waiting for clients (`fast`)."""
        self._end(signal.SIGINT)

    def close(self) -> None:
        """End it at once and delete its data, also its memory that others could see."""
        self.crash()
        super().close()

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of one database."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def fresh_database(self, like: str = "template1") -> str:
        """Create a database, empty or a copy of one that nobody uses, and return its URL."""
        name = f"test_{next(self._numbers)}"
        self._run("createdb", "-U", "postgres", "-T", like, name).check_returncode()
        return self.url(name)

    def _initialise(self, data: Path) -> None:
        user = _other_user()
        if user:
            shutil.chown(self.directory, user, user)
        options = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync"]
        command = [str(self._bin / "initdb"), *options, "-D", str(data)]
        log = self.directory / "initdb.log"
        process = Process(command, log, user=user)
        if process.wait(60) != 0:
            raise RuntimeError(f"initdb:\n{process.tail()}")

    def _try(self, data: Path) -> Process | None:
        options = ["-D", str(data), "-h", "127.0.0.1", "-p", str(self.port)]
        command = [str(self._bin / "postgres"), *options, "-k", str(self.directory)]
        log = self.directory / "postgres.log"
        process = Process(command, log, user=_other_user())
        try:
            process.wait_ready(self._accepts, _READY_SECONDS)
        except RuntimeError:
            if "shared memory block" not in process.tail():
                raise
            return None
        return process

    def _accepts(self) -> bool:
        return self._run("pg_isready").returncode == 0

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        where = ["-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(
            [self._bin / program, *where, *arguments],
            capture_output=True,
            timeout=30,
            check=False,
            cwd=self.directory,
        )


def _other_user() -> str:
    """Return whom to run the server as: PostgreSQL refuses to run as root."""
    return "postgres" if os.geteuid() == 0 else ""


def programs() -> Path:
    """Return the folder that has the server's programs."""
    if importlib.util.find_spec("psycopg") is None:
        raise base.Missing("psycopg is not installed: pip install 'psycopg[binary]'")
    # Debian keeps them apart by version and off the path.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_number, reverse=True)
    server = base.find_executable("initdb", "postgresql", folders)
    if os.geteuid() == 0:
        base.find_executable("setpriv", "util-linux")
    return server.resolve().parent


def _number(folder: Path) -> float:
    return float(folder.parent.name)


def version(install: bool) -> str:
    """Return the version of the server that would be started."""
    del install  # Debian packages are not ours to install.
    found = re.search(r"[\d.]+", base.first_line([programs() / "postgres", "--version"]))
    return found[0] if found else "unknown"


COMPONENT = base.Component("postgres", "initdb and postgres of the system's package", version)
