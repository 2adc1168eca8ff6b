"""A stage: one application and one installation of Watchkeeper around topics of their own."""

from __future__ import annotations

import signal
import sys
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.e2e.application import ENDED, Feed
from tests.e2e.daemon import Watchkeeper, python_path
from tests.e2e.scenario import Scenario
from tests.services.process import Process
from watchkeeper.daemon.transport.ports import Partition

_RECORD_S = 120.0


@dataclass
class Stage:
    """Starts what a test asks for, and ends it all."""

    folder: Path
    bootstrap: str
    data_dir: Path
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _installed: list[Watchkeeper] = field(default_factory=list)
    _applications: list[Process] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """What the names of all topics begin with."""
        return f"e2e.{self.name}."

    @property
    def model(self) -> str:
        """The model's name, for MLflow one that no other test uses."""
        return f"census-{self.name}"

    def install(self, database: str, settings: object, **sections: object) -> Watchkeeper:
        """An installation with its topics and its database; the daemon is not started yet."""
        watch = Watchkeeper(
            folder=self.folder,
            bootstrap=self.bootstrap,
            prefix=self.prefix,
            database=database,
            model=self.model,
            settings=msgspec.convert(settings, dict[str, object]),
            sections=msgspec.convert(sections, dict[str, dict[str, object]]),
        )
        self._installed.append(watch)
        watch.install()
        return watch

    def play(self, scenario: Scenario, watch: Watchkeeper, mlflow: str = "") -> Process:
        """Starts the application; it plays as fast as `watch` reads."""
        feed = Feed(
            scenario=scenario,
            data_dir=str(self.data_dir),
            folder=str(self.folder),
            prefix=self.prefix,
            bootstrap=self.bootstrap,
            group=watch.group,
            mlflow=mlflow,
        )
        application = self._application(feed)
        self._applications.append(application)
        return application

    def record(self, scenario: Scenario) -> Path:
        """The whole scenario in a file, an event a line, by the same application."""
        file = self.folder / "recording.jsonl"
        feed = Feed(
            scenario=scenario,
            data_dir=str(self.data_dir),
            folder=str(self.folder),
            prefix=self.prefix,
            recording=str(file),
        )
        recorder = self._application(feed)
        assert recorder.wait(_RECORD_S) == 0, recorder.tail()
        return file

    def wait_end(
        self, watch: Watchkeeper, timeout: float, besides: Mapping[str, int] | None = None
    ) -> Counter[str]:
        """Waits until the scenario is over and the daemon has made all of it true.

        `besides` counts, by topic, what others than the application have published. Returns how
        many events were published, by topic.
        """
        ended = self.folder / ENDED

        def over() -> Counter[str] | None:
            dead = [each.tail() for each in self._applications if each.ended()]
            assert not dead, f"the application has ended:\n{dead[0]}"
            if not ended.exists():
                return None
            sent = Counter(msgspec.json.decode(ended.read_bytes(), type=dict[str, int]))
            sent.update(besides or {})
            read = watch.store.records.offsets()
            if any((read.get(Partition(t, 0)) or 0) < n for t, n in sent.items()):
                return None
            return sent

        return watch.wait(over, timeout, "the end of the scenario")

    def close(self) -> None:
        """Ends every process."""
        for application in self._applications:
            application.end(signal.SIGTERM)
        for watch in self._installed:
            watch.close()

    def _application(self, feed: Feed) -> Process:
        file = self.folder / "feed.json"
        file.write_bytes(msgspec.json.encode(feed))
        command = [sys.executable, "-m", "tests.e2e.application", str(file)]
        return Process(command, self.folder / "application.log", env=python_path())
