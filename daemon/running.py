"""One process that watches: begun in order, turned until it is asked to stop, ended in order."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING

import structlog

from watchkeeper.daemon import heap, kernels, logs, sdnotify
from watchkeeper.daemon.compiling import Compiling, quicken
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.exit_codes import INTERNAL, MISCONFIGURED, OK, TRY_AGAIN, UNAVAILABLE
from watchkeeper.daemon.service import Daemon
from watchkeeper.daemon.starting import CannotStart, make_ready
from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.daemon.telling import links_of
from watchkeeper.daemon.topics import topics_of
from watchkeeper.daemon.transport.ports import Replaced, SourceError
from watchkeeper.daemon.transport.settings import Profile
from watchkeeper.daemon.watchdog import Watchdog
from watchkeeper.daemon.web.app import make_app
from watchkeeper.daemon.web.server import BindError, WebServer
from watchkeeper.detectors import fast

if TYPE_CHECKING:
    from watchkeeper.daemon.transport.kafka import KafkaSource

log = structlog.get_logger()

_TURN_S = 0.000_05


def run(config: Config) -> int:
    """Runs until SIGTERM or SIGINT; the exit code says how it ended."""
    from watchkeeper.daemon.transport.kafka import KafkaSink, KafkaSource

    heap.use_one()
    logs.configure(config.daemon.log_level, config.daemon.log_format, config.secrets())
    if not config.sentry.dsn:
        log.warning("no Sentry DSN: nobody is paged; set sentry.dsn_file or SENTRY_DSN")
    settings = config.kafka_settings()
    try:
        source = KafkaSource(settings, topics_of(config))  # looks at the library first
        make_ready(config)
        compiling = _warm()
    except (CannotStart, SourceError) as error:
        log.error("cannot start", reason=str(error))
        return error.code if isinstance(error, CannotStart) else UNAVAILABLE
    daemon = Daemon(config, source, KafkaSink(settings))
    _on_signals(daemon.loop.stopping)
    spare_collections()
    take_turns(config.kafka.profile)
    app = make_app(daemon.metrics, daemon.store.records, daemon.probe, links_of(config))
    web = WebServer(app, config.web.listen, config.web.allow_public)
    try:
        web.start()
    except BindError as error:
        log.error("cannot start", reason=str(error))
        daemon.close()
        return UNAVAILABLE
    return _serve(daemon, source, web, compiling)


def _serve(daemon: Daemon, source: KafkaSource, web: WebServer, compiling: Compiling | None) -> int:
    """Takes turns until it is to stop, and closes all in order; gives the exit code."""
    if compiling is not None:
        state = daemon.loop.pipeline.state
        compiling.start(lambda: daemon.loop.take_up_anew(lambda: quicken(state)))
    source.arm()
    watchdog = Watchdog(daemon.reporter.busy_since, source)
    watchdog.start()
    code = turning(daemon, web.url)
    watchdog.stop()
    sdnotify.notify("STOPPING=1")
    try:
        daemon.close()
    finally:
        web.stop(5.0)
        if compiling is not None:
            compiling.stop()
    log.info("stopped", code=code)
    return code


def spare_collections() -> None:
    """Has garbage looked for less often, and not among what is there from the start.

    Batches make many short-lived objects: with Python's own threshold that costs a tenth of a
    core. But a search among many objects holds up the events behind it, so it is not put off long:
    what outlived one search is searched after ten more, not after fifty.
    """
    gc.freeze()
    gc.set_threshold(2_000, 10, 500)


def take_turns(profile: Profile) -> None:
    """Has threads that compute give way after 50 microseconds where that is what counts: after
    Python's own five milliseconds an event waits for a checkpoint that is written beside the loop,
    and at each of the handful of times that a poll changes threads."""
    if profile == "low_latency":
        sys.setswitchinterval(_TURN_S)


def _warm() -> Compiling | None:
    """Takes the kernels from the disk. Where they are not there yet they are put off, and what is
    given is to compile them: nobody shall wait for that."""
    if fast.forbidden():
        log.warning("kernels stay uncompiled: MemoryDenyWriteExecute, or the like, forbids code")
    if not fast.possible():
        return None
    if fast.folder() is not None and not fast.complete():
        log.info("compiling kernels beside, for a minute or so: going on without them until then")
        fast.put_off()
        return Compiling()
    if not fast.complete():
        log.warning("compiling kernels, for a minute or so: there is no folder to keep them in")
        sdnotify.notify("EXTEND_TIMEOUT_USEC=300000000")
    begun = time.monotonic()
    kernels.warm()
    log.info("kernels are compiled", seconds=round(time.monotonic() - begun, 1))
    return None


def turning(daemon: Daemon, url: str) -> int:
    """Starts the daemon and turns its loop to the end; the exit code says how it ended."""
    daemon.start()
    brokers = ", ".join(daemon.config.kafka.bootstrap_servers)
    log.info("watching", kafka=brokers, web=url, database=daemon.config.database.url,
             pid=os.getpid())  # fmt: skip
    sdnotify.notify("READY=1")
    try:
        daemon.loop.run()
    except SourceError as error:
        log.error("the source cannot go on", reason=str(error))
        return MISCONFIGURED if isinstance(error, Replaced) else TRY_AGAIN
    except DatabaseDown as error:
        log.error("the database stayed away", reason=str(error))
        return TRY_AGAIN
    except Exception as error:
        # Unknown failure: stop cleanly, the supervisor starts us again from the last checkpoint.
        log.exception("the loop failed")
        daemon.tell_crash(error)
        return INTERNAL
    return OK


def _on_signals(stopping: threading.Event) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
