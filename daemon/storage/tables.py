"""The tables of the database. Times are seconds since the epoch, as double precision.

A change here needs a migration; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Words(TypeDecorator[str]):
    """Text from outside, made storable: PostgreSQL refuses NUL, UTF-8 lone surrogates."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if value.isascii() and "\x00" not in value:
            return value  # nearly all, and at once
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


# SQLite counts up by itself only in a column that is exactly INTEGER.
_Serial = BigInteger().with_variant(Integer, "sqlite")

offsets = Table(
    "offsets",
    metadata,
    Column("topic", Words, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger),  # null: owned, but nothing committed yet
    Column("topic_id", Words),  # of which topic it is; null: not known
    Column("owner_epoch", BigInteger, nullable=False),
)

states = Table(
    "states",
    metadata,
    Column("model", Words, primary_key=True),
    Column("partition", Integer, nullable=False, index=True),
    Column("owner_epoch", BigInteger, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Column("updated_at", Double, nullable=False),
)

states_lasting = Table(
    "states_lasting",
    metadata,
    Column("model", Words, primary_key=True),
    Column("blob", LargeBinary, nullable=False),
)

states_references = Table(
    "states_references",
    metadata,
    Column("model", Words, primary_key=True),
    Column("blob", LargeBinary, nullable=False),
)

states_set_aside = Table(
    "states_set_aside",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("model", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Column("at", Double, nullable=False),
)

profiles = Table(
    "profiles",
    metadata,
    Column("model", Words, primary_key=True),
    Column("version", Words, primary_key=True),
    Column("source", String(16), nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Column("at", Double, nullable=False),
)

findings = Table(
    "findings",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("model", Words, nullable=False),
    Column("version", Words, nullable=False),
    Column("signal", Words, nullable=False),
    Column("target", Words, nullable=False),
    Column("detector", Words, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("direction", String(8), nullable=False),
    Column("since", Double, nullable=False),
    Column("at", Double, nullable=False),
    # null stands for NaN, which SQLite cannot hold
    Column("value", Double),
    Column("expected", Double),
    Column("statistic", Double),
    Column("threshold", Double),
    Column("n", BigInteger, nullable=False),
    Column("statement", Words),  # null: none
    Index(None, "model", "at"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("model", Words, nullable=False),
    Column("state", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("title", Words, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("resolved_at", Double),
    Column("revision", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # the model while the incident is open: one open incident a model
    Column("open_key", Words, unique=True),
    Index(None, "opened_at"),
)

actions = Table(
    "actions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("incident_id", String(64), nullable=False, index=True),
    Column("model", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("reason", Words, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("planned_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

action_runs = Table(
    "action_runs",
    metadata,
    Column("action_id", String(64), primary_key=True),
    Column("step", String(16), primary_key=True),
    Column("model", Words, nullable=False),
    Column("holder", Words, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("started_at", Double, nullable=False),
)

kept = Table(
    "kept",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("from_at", Double, nullable=False),
    Column("to_at", Double, nullable=False),
    # how many rows there are of each model
    Column("models", LargeBinary, nullable=False),
    Column("digest", String(32), nullable=False, unique=True),
    Column("blob", LargeBinary, nullable=False),
    Index(None, "partition", "kind"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", _Serial, primary_key=True),
    Column("id", Words, nullable=False, unique=True),
    Column("channel", String(16), nullable=False),
    Column("topic", Words, nullable=False),
    Column("key", LargeBinary),
    Column("payload", LargeBinary),
    Column("headers", LargeBinary, nullable=False),
    Column("incident_id", String(64)),
    Column("created_at", Double, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_try", Double, nullable=False),
    Column("ended_at", Double),
    Column("last_reason", Words, nullable=False),
    Column("expires_at", Double),  # null: may be told at any time
    Column("collapsed", Integer, nullable=False, server_default="0"),
    Index(None, "state", "channel", "seq"),
    Index(None, "incident_id", "channel", "state"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Words, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("taken_at", Double, index=True),
    Column("answer", Words),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("topic", Words, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("reason", Words, nullable=False),
    Column("path", Words, nullable=False),
    Column("message", Words, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", LargeBinary, nullable=False),
    Column("at", Double, nullable=False),
    Column("replayed_at", Double),
    UniqueConstraint("topic", "partition", "offset"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("model", Words, nullable=False),
    Column("action_id", String(64), nullable=False, index=True),
    Column("kind", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("pid", Integer),
    Column("pid_started", Double),
    Column("token", BigInteger, nullable=False),
    Column("directory", Words, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("result", LargeBinary, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("model", Words, primary_key=True),
    Column("created_at", Double, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("model", Words, primary_key=True),
    Column("version", Words, primary_key=True),
    Column("status", String(16), nullable=False),
    Column("digest", Words, nullable=False),
    Column("uri", Words, nullable=False),
    Column("parent", Words),
    Column("dataset", Words, nullable=False),
    Column("metrics", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("by", Words, nullable=False),
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("model", Words, nullable=False),
    Column("version", Words, nullable=False),
    Column("from_at", Double, nullable=False),
    Column("to_at", Double),  # null: still live
    Column("by", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("key", Words, unique=True),
    Index(None, "model", "from_at"),
)

calibrations = Table(
    "calibrations",
    metadata,
    Column("model", Words, primary_key=True),
    Column("watch", String(32), primary_key=True),
    Column("windows", BigInteger, nullable=False),
    Column("runs", BigInteger, nullable=False),
    Column("observed", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Words, primary_key=True),
    Column("holder", Words, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", Double, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("at", Double, nullable=False, index=True),
    Column("actor", Words, nullable=False),
    Column("verb", String(64), nullable=False),
    Column("target", Words, nullable=False),
    Column("detail", Words, nullable=False),
)
