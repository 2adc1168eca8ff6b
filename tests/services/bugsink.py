"""Bugsink, a server that speaks Sentry's protocol, in its own virtual environment."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from tests.services import base, rest
from tests.services.process import Process, Service

T = TypeVar("T")

_VERSION = "2.6.1"
_READY_SECONDS = 60.0
_PAGES = 100
# The limits per project stay as delivered (1,000 events in 5 minutes, then 429); the one of the
# whole server goes up, for it would be used up by the projects of earlier tests.
_SETTINGS = """
from bugsink.settings.default import *

SECRET_KEY = "of no secret: the server lives as long as a test run"
SNAPPEA = {{"TASK_ALWAYS_EAGER": True}}
EMAIL_BACKEND = "bugsink.email_backends.QuietConsoleEmailBackend"
BUGSINK = {{
    "BASE_URL": "http://{address}",
    "SINGLE_USER": True,
    "USER_REGISTRATION": "CB_NOBODY",
    "PHONEHOME": False,
    "MAX_EVENTS_PER_5_MINUTES": 1_000_000,
    "MAX_EVENTS_PER_HOUR": 1_000_000,
}}
"""


class Issue(msgspec.Struct, frozen=True):
    """A group of events as Bugsink counts it."""

    id: str
    calculated_type: str
    calculated_value: str
    digested_event_count: int
    is_resolved: bool


class Event(msgspec.Struct, frozen=True):
    """One stored event; `data` is what the client sent, empty in a listing."""

    id: str
    event_id: str
    issue: str
    data: dict[str, object] = {}


class _Team(msgspec.Struct, frozen=True):
    id: str


class _Project(msgspec.Struct, frozen=True):
    id: int | str
    dsn: str = ""


class _Page(msgspec.Struct, frozen=True):
    results: list[msgspec.Raw]
    next: str | None


class Bugsink(Service):
    """A server with one user; each test takes a project of its own."""

    name = "bugsink"

    def __init__(self) -> None:
        self._bin = base.venv("bugsink", _VERSION)
        template = _template(self._bin)
        super().__init__()
        (port,) = base.free_ports(1)
        self._address = f"127.0.0.1:{port}"
        self._api = f"http://{self._address}/api/canonical/0"
        shutil.copytree(template, self.directory, dirs_exist_ok=True)
        _configure(self.directory, self._address)
        token = (self.directory / "token").read_text()
        self._headers = {"Authorization": f"Bearer {token}"}
        self._numbers = itertools.count(1)

    def launch(self) -> Process:
        """Start the server under gunicorn."""
        options = ["--bind", self._address, "--workers", "2", "--no-control-socket"]
        command = [str(self._bin / "gunicorn"), *options, "bugsink.wsgi"]
        log = self.directory / "bugsink.log"
        process = Process(command, log, env=_environment(self.directory))
        ready = f"http://{self._address}/health/ready"
        process.wait_ready(lambda: rest.healthy(ready), _READY_SECONDS)
        return process

    def project(self) -> Project:
        """Create an empty project."""
        name = f"test {next(self._numbers)}"
        team = self._create("teams", {"name": name}, _Team)
        made = self._create("projects", {"name": name, "team": team.id}, _Project)
        return Project(self, str(made.id), self.get(f"projects/{made.id}/", _Project).dsn)

    def get(self, path: str, kind: type[T]) -> T:
        """Read one thing of the REST interface."""
        return rest.request("GET", f"{self._api}/{path}", kind, headers=self._headers)

    def listing(self, path: str, kind: type[T]) -> list[T]:
        """Read all pages of a listing."""
        found: list[T] = []
        url = f"{self._api}/{path}"
        for _ in range(_PAGES):
            page = rest.request("GET", url, _Page, headers=self._headers)
            found += [msgspec.json.decode(each, type=kind) for each in page.results]
            if page.next is None:
                return found
            url = page.next
        raise RuntimeError(f"{path} has more than {_PAGES} pages")

    def _create(self, what: str, body: object, kind: type[T]) -> T:
        url = f"{self._api}/{what}/"
        return rest.request("POST", url, kind, body=body, headers=self._headers)


@dataclass(frozen=True)
class Project:
    """One project of a running server: where to send and what has arrived."""

    server: Bugsink
    id: str
    dsn: str

    def issues(self) -> list[Issue]:
        """Return the project's issues."""
        return self.server.listing(f"issues/?project={self.id}", Issue)

    def events(self, issue: Issue) -> list[Event]:
        """Return the stored events of one issue, without their data."""
        return self.server.listing(f"events/?issue={issue.id}", Event)

    def event(self, event: Event) -> Event:
        """Return one event with everything the client sent."""
        return self.server.get(f"events/{event.id}/", Event)


def _configure(folder: Path, address: str) -> None:
    (folder / "bugsink_conf.py").write_text(_SETTINGS.format(address=address))


def _environment(folder: Path) -> dict[str, str]:
    return {"DJANGO_SETTINGS_MODULE": "bugsink_conf", "PYTHONPATH": str(folder)}


def _template(programs: Path) -> Path:
    """Return a folder with migrated databases, a user and a token, made once."""

    def fill(folder: Path) -> None:
        _configure(folder, "127.0.0.1")
        manage(folder, "migrate")
        manage(folder, "migrate", "--database=snappea")
        manage(folder, "prestart")
        (folder / "token").write_text(manage(folder, "create_auth_token").strip())

    def manage(folder: Path, *arguments: str) -> str:
        user = {"CREATE_SUPERUSER": "tests@example.org:tests-only"}
        return subprocess.run(
            [programs / "bugsink-manage", *arguments],
            env=os.environ | _environment(folder) | user,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout

    return base.filled(f"bugsink-{_VERSION}-template", fill, True, "")


def version(install: bool) -> str:
    """Return the version of Bugsink that would be started."""
    programs = base.venv("bugsink", _VERSION, install)
    if install:
        _template(programs)
    return _VERSION


COMPONENT = base.Component("bugsink", "own venv, gunicorn, SQLite", version)
