"""The only place that wires: it builds the daemon, starts what runs beside the loop, closes all."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import structlog

import watchkeeper
from watchkeeper.daemon import heap, sdnotify
from watchkeeper.daemon.actions.commander import OutboxCommander
from watchkeeper.daemon.actions.executor import Executor
from watchkeeper.daemon.actions.jobs import JobRunner
from watchkeeper.daemon.actions.timers import Timers
from watchkeeper.daemon.actions.traffic import StoredExamples, StreamTraffic
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.forgetting import Forgetting
from watchkeeper.daemon.gauging import Gauging
from watchkeeper.daemon.home import holder_of, home_of
from watchkeeper.daemon.last_resort import LastResort
from watchkeeper.daemon.loop import Loop
from watchkeeper.daemon.lull import Lull, Resting
from watchkeeper.daemon.paging import policies
from watchkeeper.daemon.remedies import Remedies
from watchkeeper.daemon.reporting.metrics import Metrics
from watchkeeper.daemon.reporting.reporter import StepReporter
from watchkeeper.daemon.reporting.sentry import SentryReporter
from watchkeeper.daemon.reporting.topics import order
from watchkeeper.daemon.spreading import Counting, Spreading
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.outbox import Deliver, Outbox
from watchkeeper.daemon.storage.retention import Most
from watchkeeper.daemon.storage.shelf import Shelf
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Channel, OutboxRow
from watchkeeper.daemon.telling import audience_of, channels_of
from watchkeeper.daemon.topics import kinds_of, topic_names
from watchkeeper.daemon.transport.ports import Sink, Source
from watchkeeper.daemon.web.app import STALE_S, Probe
from watchkeeper.detectors.types import moment
from watchkeeper.handlers.rules import RULES
from watchkeeper.handlers.types import Handler

log = structlog.get_logger()

_NO_DATABASE = "the database is away: nothing is read, nothing is acted on"
_UNREST = "the group finds no rest: partitions come and go all the time"
_BLIND = "Kafka cannot be read: nothing is watched, nothing is acted on"
RENEW_S, RETENTION_S, GAUGES_S = 10.0, 600.0, 5.0


@dataclass
class Daemon:
    """Everything that runs, built but not started. `clock` is the wall clock, or the demo's.

    With `beside` routine checkpoints are written while the loop reads on; by default where the
    clock is the wall clock, as a simulated one waits for nobody. `source` and `sink` belong to
    the daemon from here on and are closed by it.
    """

    config: Config
    source: Source
    sink: Sink
    clock: Callable[[], float] = time.time
    beside: bool | None = None
    store: Store = field(init=False)
    loop: Loop = field(init=False)
    reporter: StepReporter = field(init=False)
    executor: Executor = field(init=False)
    outbox: Outbox = field(init=False)
    metrics: Metrics = field(init=False)
    timers: Timers = field(init=False)
    jobs: JobRunner = field(init=False)
    _home: IO[str] = field(init=False)
    _channels: dict[Channel, Deliver] = field(init=False)
    _pages: list[LastResort] = field(default_factory=list)
    _woken: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        config, daemon = self.config, self.config.daemon
        self._home = home_of(Path(daemon.state_dir), daemon.instance)
        migrate.upgrade(config.database.url)
        lull = self._lull()
        self.store = Store(config.database.url, (lull or Lull()).pause)
        self.metrics = Metrics(watchkeeper.__version__)
        self._channels = channels_of(config, self.sink)
        self.outbox = self._outbox()
        known = policies(config.policy, self.store.calibrations.of())
        state = State(known, config.daemon.join_memory_mb << 20)
        commander = self._commander()
        self.jobs = self._jobs()
        remedies = self._remedies(state, commander)
        self.executor = self._executor(remedies)
        self.reporter = StepReporter(
            state, audience_of(config), self.metrics, lambda: self.loop.waiting, self.outbox.wake,
            commander.answered, self.clock, self._last_resort(_NO_DATABASE),
            self._last_resort(_BLIND), self._last_resort(_UNREST, after_s=0.0),
        )  # fmt: skip
        self.loop = self._loop(Pipeline(state, RULES, remedies), lull)
        self.timers = self._timers()

    def start(self) -> None:
        """Starts all that runs beside the loop."""
        self.outbox.start()
        self.timers.start()

    def turn(self, timeout: float = 0.0) -> Step:
        """One turn of the loop, for those who drive it by hand."""
        return self.loop.turn(timeout)

    def close(self) -> None:
        """Waits for actions in hand, tells what is due, and frees everything.

        Commits nothing: only a loop that came to its end in order may. So a database that is down
        is no obstacle, and what cannot be closed keeps nothing else open.
        """
        limit = float(self.config.daemon.stop_timeout)
        with ExitStack() as last:
            last.callback(self._home.close)  # from here up: what comes last stands first
            last.callback(self.store.close)
            for channel in self._channels.values():
                close = getattr(channel, "close", None)
                if close is not None:
                    last.callback(close)
            for page in self._pages:
                last.callback(page.finish, limit / 6)
            last.callback(self.sink.close, limit / 6)
            last.callback(self.loop.close, limit / 6)
            last.callback(self.source.close, limit / 6)
            last.callback(self.outbox.stop, limit / 3)
            last.callback(self.timers.stop, limit / 6)
            last.callback(self.executor.drain, limit / 3)
            last.callback(self.jobs.stop)

    def tell_crash(self, error: Exception) -> None:
        """Tells Sentry of a failure of our own; whatever comes of it must not hide the failure."""
        pager = self._channels.get("sentry")
        if isinstance(pager, SentryReporter):
            said = pager.crash(error)
            if said.outcome != "ok":
                log.error("the crash could not be told", reason=said.reason)

    def probe(self) -> Probe:
        """How the loop is, for the web server."""
        idle = self.loop.idle_s
        age = time.monotonic() - self._woken if idle is None else idle
        trouble = self.loop.trouble
        if idle is None:
            trouble = trouble or "the first turn has not ended"
        elif not self.loop.owns:
            trouble = trouble or "no partition is assigned yet"
        return Probe(max(age, 0.0), trouble, bool(self.loop.owns))

    def _remedies(self, state: State, commander: OutboxCommander) -> list[Handler]:
        return Remedies(
            self.config,
            Shelf(self.store.registry, self.clock),
            commander,
            StreamTraffic(state),
            StoredExamples(self.store),
            self.jobs,
            self.clock,
        ).handlers()

    def _executor(self, remedies: Sequence[Handler]) -> Executor:
        daemon = self.config.daemon
        holder = holder_of(f"{daemon.instance}:{daemon.state_dir}", self._home)
        return Executor(
            {handler.name: handler for handler in remedies},
            self.store.claims(holder),
            limits_s={"retrain": self.config.retrain.seconds + 300.0},
            clock=self.clock,
        )

    def _lull(self) -> Lull | None:
        """Where latency counts: when nothing is kept waiting by what is done beside the loop.

        Not where members with names of their own, as workers have, share a file of SQLite: who is
        held up while it writes keeps all others from writing.
        """
        kafka, url = self.config.kafka, self.config.database.url
        alone = kafka.group_instance_id is None or not url.startswith("sqlite")
        quick = kafka.profile == "low_latency" and alone
        return self.source.lull if quick and isinstance(self.source, Resting) else None

    def _loop(self, pipeline: Pipeline, lull: Lull | None) -> Loop:
        config, real = self.config, self.clock is time.time
        return Loop(
            self.source,
            kinds_of(config),
            pipeline,
            self.store,
            self.executor,
            self.reporter,
            self.clock,
            config.checkpoint.seconds,
            config.checkpoint.events,
            models_limit=config.daemon.max_models,
            # A simulated clock steps evenly; the wall clock may be set.
            steady=time.monotonic if real else None,
            beside=real if self.beside is None else self.beside,
            spreading=self._spreading(),
            lull=lull,
        )

    def _outbox(self) -> Outbox:
        bounds = self.config.outbox
        return Outbox(
            self.store.letters,
            self._channels,
            most=bounds.messages,
            letters_most=Most(bounds.dead_letters, bounds.dead_letters_mb << 20),
            dead_most=Most(bounds.refused, bounds.refused_mb << 20),
            clock=self.clock,
        )

    def _last_resort(self, what: str, after_s: float = 120.0) -> LastResort | None:
        pager = self._channels.get("sentry")
        if not isinstance(pager, SentryReporter):
            return None
        self._pages.append(LastResort(pager.alarm, what, after_s))
        return self._pages[-1]

    def _spreading(self) -> Spreading | None:
        config, source = self.config, self.source
        if not config.spreads:
            return None
        if not isinstance(source, Counting):
            raise ValueError("this source cannot say how many partitions a spread model has")
        events = config.topics.name("predictions")
        return Spreading(
            config.topics.name("partials"),
            events,
            lambda: source.partitions(events),
            lambda model: config.model(model).spread,
        )

    def _commander(self) -> OutboxCommander:
        names = topic_names(self.config)
        return OutboxCommander(
            lambda key, model, verb, args, expires_at: order(
                key, model, verb, args, names, moment(self.clock()), moment(expires_at)
            ),
            self._put,
            self.clock,
        )

    def _put(self, rows: Sequence[OutboxRow]) -> None:
        self.store.letters.add(rows)
        self.outbox.wake()

    def _jobs(self) -> JobRunner:
        retrain = self.config.retrain
        return JobRunner(
            self.store.jobs,
            Path(self.config.daemon.state_dir) / "jobs",
            wall_s=float(retrain.seconds),
            cpu_s=retrain.seconds,
            memory=retrain.memory_mb << 20,
            nice=retrain.niceness,
            clock=self.clock,
        )

    def _timers(self) -> Timers:
        forgetting = Forgetting(self.config, self.store, self.loop, self.jobs, self.clock)
        gauging = Gauging(self.store, self.outbox, self.source, self.metrics, self.clock)
        timers = Timers()
        timers.every(RENEW_S, "renew leases", self.executor.renew)
        timers.every(RETENTION_S, "retention", forgetting.forget)
        timers.every(GAUGES_S, "gauges", gauging.gauge)
        timers.every(GAUGES_S, "reap jobs", self.jobs.reap)
        timers.every(GAUGES_S, "watchdog", self._watchdog)
        timers.every(heap.TRIM_S, "give memory back", heap.trim)
        if self.config.collect.host:
            timers.every(float(self.config.collect.every), "collect", self._collecting())
        return timers

    def _collecting(self) -> Callable[[], object]:
        """The measurement of the host; its modules are loaded only where it is wanted."""
        from watchkeeper.daemon.collecting import Collector, Host

        config = self.config
        collector = Collector(
            Host(config.daemon.state_dir),
            self.sink,
            config.topics.name("metrics"),
            socket.gethostname(),
            config.collect.models,
        )
        return lambda: collector.collect(self.clock(), time.monotonic())

    def _watchdog(self) -> None:
        if self.probe().loop_age_s < STALE_S:
            sdnotify.notify("WATCHDOG=1")
