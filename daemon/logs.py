"""How the daemon writes its log: lines for people or JSON, harmless, and without secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Collection
from typing import IO, Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from watchkeeper.daemon.plain import plain

MASK = "***"
_SHORTEST = 4  # a shorter secret would mask half the log
_NAMES = re.compile(r"passw|secret|token$|dsn$|authorization|api_?key|credential", re.IGNORECASE)
_IN_URL = re.compile(r"(\w[\w+.-]*://[^\s:/@]*):[^\s@/]+@")


def configure(
    level: Literal["debug", "info", "warning", "error"],
    form: Literal["console", "json"],
    secrets: Collection[str] = (),
    stream: IO[str] | None = None,
) -> None:
    """Sets up structlog and the standard library's logging alike. `secrets` never appear."""
    out = stream if stream is not None else sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        Redact(secrets),
        harmless,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _handler(form, out, shared)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_number(level))
    _quieten(level)


def _handler(
    form: Literal["console", "json"], out: IO[str], shared: list[Processor]
) -> logging.Handler:
    """What writes the lines; those of libraries that know no structlog look the same."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(form, out),
            ],
        )
    )
    return handler


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def _quieten(level: str) -> None:
    """Libraries say much at INFO that is of no use to whoever runs the daemon."""
    least = logging.DEBUG if level == "debug" else max(_number(level), logging.WARNING)
    for name in ("kafka", "alembic", "apscheduler", "urllib3", "sentry_sdk", "uvicorn"):
        logging.getLogger(name).setLevel(least)
    if level != "debug":
        # Without a broker or a topic they write several lines a second; the daemon says it itself.
        for name in ("kafka.net", "kafka.cluster"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _renderer(form: str, out: IO[str]) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(
        colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


class Redact:
    """Masks known secrets wherever they stand, values under telling names, passwords in URLs."""

    def __init__(self, secrets: Collection[str]) -> None:
        known = sorted((s for s in secrets if len(s) >= _SHORTEST), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        for name, value in event.items():
            event[name] = MASK if _NAMES.search(name) and value else self._clean(value)
        return event

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            text = self._known.sub(MASK, value) if self._known else value
            return _IN_URL.sub(rf"\1:{MASK}@", text)
        if isinstance(value, dict):
            return {k: MASK if _NAMES.search(str(k)) else self._clean(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(each) for each in value]
        if value is None or isinstance(value, int | float | logging.LogRecord):
            return value
        return self._clean(str(value))


def harmless(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Writes control characters out, so that no event can forge or hide a line; a traceback
    keeps its line ends."""
    for name, value in event.items():
        if not isinstance(value, str):
            continue
        if name in ("exception", "stack"):
            event[name] = "\n".join(plain(line) for line in value.split("\n"))
        else:
            event[name] = plain(value)
    return event
