"""What no single value shows: settings that do not go together."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from watchkeeper.daemon.config.config import Config
from watchkeeper.daemon.config.layers import Key, Layer
from watchkeeper.daemon.config.models import ModelSettings, WatchSettings
from watchkeeper.daemon.config.problems import Problem, did_you_mean
from watchkeeper.daemon.config.topics import READ, WRITTEN
from watchkeeper.daemon.config.units import Duration
from watchkeeper.detectors import budget, registry
from watchkeeper.detectors.signals import NAMES

TOPIC_KINDS = (*READ, *WRITTEN, "dlq")
MOST_OPEN = 1_000  # windows of a model, each 1.3 kB and more: docs/operations.md, Bounds
_Complaint = tuple[Key, str]


def check(config: Config, layers: Sequence[Layer]) -> list[Problem]:
    """Every problem between settings, each at the one that should be changed."""
    problems = []
    for key, message in _complaints(config):
        problems.append(_holder(layers, key).problem(key, message))
    return problems


def _holder(layers: Sequence[Layer], key: Key) -> Layer:
    """The last layer that says something about a key, else the first one."""
    while key:
        for layer in reversed(layers):
            if key in layer.lines or key in layer.names:
                return layer
        key = key[:-1]
    return layers[0]


def _complaints(config: Config) -> Iterator[_Complaint]:
    yield from _fleet(config)
    yield from _web(config)
    yield from _kafka(config)
    yield from _notify(config)
    yield from _topics(config)
    yield from _database(config)
    yield from _sentry(config)
    common = list(_model(config.defaults, config))
    yield from ((("defaults", *key), message) for key, message in common)
    yield from _detectors(("defaults",), config.defaults.detectors)
    for name, settings in config.models.items():
        own = [each for each in _model(settings, config) if each not in common]
        yield from ((("models", name, *key), message) for key, message in own)
        kept = [each for each in settings.detectors if each in config.defaults.detectors]
        yield from _detectors(("models", name), settings.detectors[len(kept) :])


def _fleet(config: Config) -> Iterator[_Complaint]:
    if config.daemon.fleet_false_alarms is not None:
        try:
            budget.parse(config.daemon.fleet_false_alarms)
        except budget.BadBudget as error:
            yield ("daemon", "fleet_false_alarms"), str(error)


def _web(config: Config) -> Iterator[_Complaint]:
    host, _, port = config.web.listen.rpartition(":")
    if int(port) > 65_535:
        yield ("web", "listen"), f"{port} is no port: 0 to 65535"
    if not config.web.allow_public and not _is_local(host.strip("[]")):
        yield (
            ("web", "listen"),
            f"{host} can be reached from other hosts: listen on 127.0.0.1, "
            "or set web.allow_public = true",
        )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _kafka(config: Config) -> Iterator[_Complaint]:
    kafka = config.kafka
    for server in kafka.bootstrap_servers:
        host, _, port = server.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
            yield ("kafka", "bootstrap_servers"), f'"{server}" is not host:port'
    if kafka.security_protocol.startswith("SASL"):
        if not kafka.sasl_username:
            yield ("kafka", "sasl_username"), f"{kafka.security_protocol} needs it"
        if not kafka.sasl_password:
            yield ("kafka", "sasl_password_file"), f"{kafka.security_protocol} needs a password"
    elif kafka.sasl_username:
        yield ("kafka", "security_protocol"), "sasl_username has no effect: SASL_SSL is wanted"
    if kafka.ssl_certificate_file and not kafka.ssl_key_file:
        yield ("kafka", "ssl_certificate_file"), "goes only together with ssl_key_file"
    if kafka.ssl_key_file and not kafka.ssl_certificate_file:
        yield ("kafka", "ssl_key_file"), "goes only together with ssl_certificate_file"
    if kafka.ssl_ca_file and "SSL" not in kafka.security_protocol.replace("SASL", ""):
        yield ("kafka", "ssl_ca_file"), f"has no effect with {kafka.security_protocol}"


def _notify(config: Config) -> Iterator[_Complaint]:
    notify = config.notify
    for field, urls in (("webhooks", notify.webhooks), ("on_call", [notify.on_call])):
        if any(url and not re.fullmatch(r"https?://\S+", url.reveal()) for url in urls):
            yield ("notify", field), "must begin with http:// or https:// and hold no blank"


def _topics(config: Config) -> Iterator[_Complaint]:
    seen: dict[str, str] = {}
    # those that the file names come last, for they are the ones to change
    for kind in sorted(TOPIC_KINDS, key=lambda each: getattr(config.topics, each) is not None):
        name = config.topics.name(kind)
        if name in seen:
            yield ("topics", kind), f'"{name}" is already the topic of {seen[name]}'
        seen.setdefault(name, kind)


def _database(config: Config) -> Iterator[_Complaint]:
    scheme, _, rest = config.database.url.partition("://")
    if scheme.partition("+")[0] not in ("sqlite", "postgresql"):
        yield ("database", "url"), "must begin with sqlite:/// or postgresql+psycopg://"
    elif scheme == "sqlite" and rest in ("", "/", "/:memory:"):
        yield ("database", "url"), "an in-memory database would forget everything: name a file"


def _sentry(config: Config) -> Iterator[_Complaint]:
    reason = dsn_fault(config.sentry.dsn.reveal())
    if reason:
        yield ("sentry", "dsn"), reason


def dsn_fault(dsn: str) -> str:
    """What is wrong with the form of a Sentry DSN; "" where nothing is, or there is none."""
    if not dsn:
        return ""
    parts = urlsplit(dsn)
    whole = parts.scheme in ("http", "https") and parts.username and parts.hostname
    if not whole or not parts.path.rsplit("/", 1)[-1].isdigit():
        return "is no DSN: https://KEY@HOST/PROJECT_NUMBER is wanted"
    return ""


def _model(settings: ModelSettings, config: Config) -> Iterator[_Complaint]:
    if settings.recover_windows > settings.verify_windows:
        yield ("recover_windows",), f"more than verify_windows ({settings.verify_windows})"
    yield from _open_windows(settings.window, settings.lateness)
    try:
        budget.parse(settings.false_alarms)
    except budget.BadBudget as error:
        yield ("false_alarms",), str(error)
    if "mlflow" in settings.serving.target and not config.mlflow.uri:
        yield ("serving", "target"), f'"{settings.serving.target}" needs mlflow.uri'


def _open_windows(window: Duration, lateness: Duration) -> Iterator[_Complaint]:
    """A window stays open for as long as events may be late: those after it are open as well."""
    if lateness / window > MOST_OPEN + 1e-6:
        longest, narrowest = Duration(MOST_OPEN * window), Duration(math.ceil(lateness) / MOST_OPEN)
        yield (
            ("lateness",),
            f"{lateness} keeps {lateness / window:,.0f} windows of {window} open, and "
            f"{MOST_OPEN:,} are the most: it may be {longest}, or the window {narrowest}",
        )


def _detectors(key: Key, detectors: Sequence[WatchSettings]) -> Iterator[_Complaint]:
    """Detectors and their settings are checked by making them."""
    for index, each in enumerate(detectors):
        here = (*key, "detectors", index)
        if each.signal not in NAMES:
            hint = did_you_mean(each.signal, NAMES)
            yield (*here, "signal"), f'"{each.signal}" is unknown; {hint}'
        try:
            registry.make(each.detector, each.settings, each.severity)
        except registry.UnknownName as error:
            yield (*here, "detector"), str(error)
        except registry.BadSetting as error:
            yield (*here, "settings"), str(error)
