"""The demo's set-up: options, configuration, the simulated world, and the play itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.models import ModelSettings, Serving
from watchkeeper.daemon.config.sections import Checkpoint, Daemon, Database, Kafka, Web
from watchkeeper.daemon.config.topics import Topics as TopicSection
from watchkeeper.daemon.demo.application import Application
from watchkeeper.daemon.demo.driver import Driver, Watch, Wire
from watchkeeper.daemon.demo.faults import Script, standard_script
from watchkeeper.daemon.demo.fleet import KINDS, Fleet, Topics
from watchkeeper.daemon.demo.models import SimulatedModel, fleet_models
from watchkeeper.daemon.demo.scorecard import ScoreCard, score, total
from watchkeeper.daemon.demo.screen import Screen
from watchkeeper.detectors.types import EventKind
from watchkeeper.handlers.types import Mode

START = 1_772_463_600.0  # an afternoon: Monday 2 March 2026, 15:00 UTC
_SECTIONS: dict[EventKind, str] = {
    "prediction": "predictions",
    "label": "labels",
    "log": "logs",
    "metric": "metrics",
    "change": "changes",
    "command": "commands",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the user asked for. `speed` is simulated seconds a second; None: as fast as it goes."""

    headless: bool = False
    json: bool = False
    seed: int = 1
    yes: bool = False
    kafka: str | None = None
    speed: float | None = None


@dataclass
class Stage:
    """The simulated world of one demo."""

    script: Script
    application: Application
    fleet: Fleet

    @classmethod
    def of(cls, seed: int, start: float, topics: Topics) -> Stage:
        """The standard script with its fleet, from `start` on."""
        models = fleet_models()
        script = standard_script(start)
        application = Application.of(models, script)
        return cls(script, application, Fleet(seed, models, script, topics, application.version_of))


def demo_config(folder: Path, prefix: str = "watchkeeper.", kafka: str | None = None) -> Config:
    """The defaults, with a rollback that asks first and everything kept in `folder`."""
    kinds = {model.name: _settings(model) for model in fleet_models()}
    servers = Kafka() if kafka is None else Kafka(bootstrap_servers=[kafka], group_id=prefix)
    return Config(
        daemon=Daemon(instance="demo", log_level="error", state_dir=str(folder)),
        kafka=servers,
        topics=TopicSection(prefix=prefix),
        database=Database(url=f"sqlite:///{folder / 'watchkeeper.db'}"),
        checkpoint=Checkpoint(seconds=60),  # of the demo's time: a quarter of the commits
        web=Web(listen="127.0.0.1:0"),
        models=kinds,
    )


def event_topics(config: Config) -> dict[EventKind, str]:
    """The topic of each kind of event."""
    return {kind: config.topics.name(_SECTIONS[kind]) for kind in KINDS}


def play(
    options: DemoOptions,
    stage: Stage,
    watch: Watch,
    wire: Wire,
    screen: Screen,
    clock: Callable[[], float] = time.monotonic,
) -> ScoreCard:
    """The whole script, and what came of it."""
    began = clock()
    driver = Driver(
        stage.script,
        stage.fleet,
        stage.application,
        watch,
        wire,
        screen,
        speed=options.speed or 0.0,
        clock=clock,
    )
    driver.run()
    faults, script = stage.script.faults, stage.script
    ends = {fault.name: script.end_of(fault) for fault in faults}
    cases, pages = score(faults, ends, *watch.recorded())
    return total(cases, pages, clock() - began, script.end - script.start)


def _settings(model: SimulatedModel) -> ModelSettings:
    positive = None if model.classes is None else model.classes[1]
    return ModelSettings(
        positive=positive,
        actions={"rollback": Mode.ASK},
        serving=Serving(target="application"),
    )
