"""Secrets: by environment, by file, or by credential; never on the command line."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from watchkeeper.daemon.config.config import Config
from watchkeeper.daemon.config.layers import FLAGS, Key, Layer
from watchkeeper.daemon.config.problems import Problem
from watchkeeper.daemon.config.units import Secret

_LARGEST = 64_000


class Place(NamedTuple):
    """Where one secret may stand."""

    section: str
    field: str
    file_field: str
    credential: str
    variable: str = ""
    in_file: bool = False


PLACES = (
    # a DSN lets one send, not read: Sentry itself does not call it a secret
    Place("sentry", "dsn", "dsn_file", "sentry-dsn", "SENTRY_DSN", in_file=True),
    Place("kafka", "sasl_password", "sasl_password_file", "kafka-password"),
    Place("mlflow", "token", "token_file", "mlflow-token"),
)
_DATABASE = Place("database", "", "password_file", "database-password")


def resolve(
    config: Config, environment: Mapping[str, str], layers: Sequence[Layer]
) -> tuple[Config, list[Problem]]:
    """The configuration with its secrets read, and what kept them from being read."""
    reader = _Reader(environment, layers)
    for place in PLACES:
        section = getattr(config, place.section)
        own = getattr(section, place.field)
        if own and getattr(section, place.file_field):
            reader.problem((place.section, place.field), f"given twice: see {place.file_field}")
        elif own:
            reader.refuse_in_file(place)
        else:
            text = reader.read(place, getattr(section, place.file_field))
            section = msgspec.structs.replace(section, **{place.field: Secret(text)})
            config = msgspec.structs.replace(config, **{place.section: section})
    password = reader.read(_DATABASE, config.database.password_file)
    if password:
        url = with_password(config.database.url, password)
        database = msgspec.structs.replace(config.database, url=url)
        config = msgspec.structs.replace(config, database=database)
    return config, reader.problems


class _Reader:
    def __init__(self, environment: Mapping[str, str], layers: Sequence[Layer]) -> None:
        self._environment = environment
        self._layers = layers
        self.problems: list[Problem] = []

    def problem(self, key: Key, message: str) -> None:
        holding = [layer for layer in self._layers if _holds(layer, key)] or self._layers[-1:]
        self.problems.append(holding[-1].problem(key, message))

    def refuse_in_file(self, place: Place) -> None:
        """A secret in a file that is copied and committed is no secret."""
        for layer in self._layers:
            exposed = (not layer.loose and not place.in_file) or layer.source == FLAGS
            if exposed and _holds(layer, (place.section, place.field)):
                message = f"a secret may not stand here: use {place.file_field}"
                self.problems.append(layer.problem((place.section, place.field), message))

    def read(self, place: Place, file: str | None) -> str:
        """The text of a secret that was not given itself; "" where there is none."""
        if file:
            return self._text((place.section, place.file_field), Path(file))
        if place.variable and self._environment.get(place.variable):
            return self._environment[place.variable]
        folder = self._environment.get("CREDENTIALS_DIRECTORY")
        credential = Path(folder) / place.credential if folder else None
        if credential is not None and credential.is_file():
            return self._text((place.section, place.file_field), credential)
        return ""

    def _text(self, key: Key, path: Path) -> str:
        try:
            if _open_to_others(path):
                self.problem(key, f"{path} may be read by everybody: chmod o-rwx {path}")
                return ""
            with path.open("rb") as file:
                raw = file.read(_LARGEST + 1)
            text = raw.decode("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            self.problem(key, f"{path} cannot be read: {reason}")
            return ""
        if not text or len(raw) > _LARGEST or "\n" in text:
            self.problem(key, f"{path} must hold one line with the secret")
            return ""
        return text


def _holds(layer: Layer, key: Key) -> bool:
    table = layer.data.get(str(key[0]))
    return isinstance(table, Mapping) and key[1] in table


def _open_to_others(path: Path) -> bool:
    """True where other accounts may read it. A container's /run/secrets is nobody else's."""
    if path.is_relative_to("/run/secrets"):
        return False
    return bool(path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH))


def with_password(url: str, password: str) -> str:
    """A database URL with this password in it."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    user = user.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


def masked(url: str) -> str:
    """A URL that may be shown."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or ":" not in user:
        return url
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:***@{host}"))
