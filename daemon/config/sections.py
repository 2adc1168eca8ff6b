"""The sections of the configuration file. The description beside a field is its documentation:
the commented example, the JSON Schema and the reference page are made from it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from watchkeeper.daemon.config.section import MODEL_NAME, Section, Url, doc, span
from watchkeeper.daemon.config.units import Duration, Secret


class Daemon(Section, frozen=True, kw_only=True):
    """This instance of Watchkeeper."""

    instance: Annotated[
        str,
        Meta(max_length=128),
        doc("Name of this instance in reports. Default: the host's name", example="watchkeeper-1"),
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], doc("Least severe log lines that are written")
    ] = "info"
    log_format: Annotated[
        Literal["console", "json"], doc("Log lines for people, or one JSON object a line")
    ] = "console"
    state_dir: Annotated[
        str,
        doc(
            "Folder of the database, job logs and artefacts. Default: $STATE_DIRECTORY, else "
            "$XDG_STATE_HOME/watchkeeper, else ~/.local/state/watchkeeper",
            example="/var/lib/watchkeeper",
        ),
    ] = ""
    workers: Annotated[
        int,
        Meta(ge=1, le=64),
        doc("Processes of this instance that share the work, as one consumer group", "processes"),
    ] = 1
    max_models: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        doc("Most models that are watched; events of further ones are refused", "models"),
    ] = 2_000
    join_memory_mb: Annotated[
        int,
        Meta(ge=16, le=131_072),
        doc(
            "Where predictions and labels that wait for each other take more, the models with the "
            "most keep fewer than `join_capacity`. Memory of each process",
            "MiB",
        ),
    ] = 2_048
    fleet_false_alarms: Annotated[
        Annotated[str, Meta(max_length=64)] | None,
        doc(
            "How many false pages of all models together are accepted, in what time: each may then "
            "cause a `max_models`-th of them at most. Default: each has its own budget alone",
            example="1 per 7 days",
        ),
    ] = None
    stop_timeout: Annotated[
        Duration, span("How long a stop waits for work in hand", "1s", "10m")
    ] = Duration(30)


class Kafka(Section, frozen=True, kw_only=True):
    """The cluster that events are read from and answers are written to."""

    bootstrap_servers: Annotated[
        list[str], Meta(min_length=1), doc("First brokers to ask, each host:port")
    ] = msgspec.field(default_factory=lambda: ["localhost:9092"])
    group_id: Annotated[
        str, Meta(min_length=1, max_length=255), doc("Consumer group that instances share")
    ] = "watchkeeper"
    group_instance_id: Annotated[
        str | None,
        doc(
            "Static membership: a name that is this instance's own. Restarts then move nothing",
            example="watchkeeper-1",
        ),
    ] = None
    client_id: Annotated[str, Meta(min_length=1), doc("Name shown in the broker's logs")] = (
        "watchkeeper"
    )
    offset_reset: Annotated[
        Literal["earliest", "latest"], doc("Where a partition without a stored offset begins")
    ] = "earliest"
    assignor: Annotated[
        Literal["range", "cooperative-sticky"],
        doc(
            "How instances share partition numbers: anew at each change, or keeping what they "
            "have. All of a group must have the same; stop them all to change it"
        ),
    ] = "range"
    session_timeout: Annotated[
        Duration, span("Silence after which the group gives up on an instance", "6s", "5m")
    ] = Duration(45)
    max_poll_records: Annotated[
        int, Meta(ge=1, le=100_000), doc("Most records one poll returns", "records")
    ] = 20_000
    profile: Annotated[
        Literal["default", "low_latency"],
        doc(
            "How records are fetched: `default` lets brokers collect 64 KiB for at most 50 ms, "
            "`low_latency` takes each record at once, for more CPU time and one more connection "
            "to each broker"
        ),
    ] = "default"
    batches: Annotated[
        bool,
        doc(
            "Reads whole record batches at a fraction of the CPU time; off: record by record, "
            "as also when the installed kafka-python turns out to be unfit for it"
        ),
    ] = True
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        doc("How to talk to the brokers"),
    ] = "PLAINTEXT"
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], doc("How to log in, with SASL")
    ] = "SCRAM-SHA-512"
    sasl_username: Annotated[str | None, doc("User name, with SASL", example="watchkeeper")] = None
    sasl_password: Annotated[
        Secret,
        doc("Password, with SASL: by environment only; in files use sasl_password_file"),
    ] = Secret("")
    sasl_password_file: Annotated[
        str | None,
        doc(
            "File that holds the password. Also read: the credential `kafka-password`",
            example="/etc/watchkeeper/kafka-password",
        ),
    ] = None
    ssl_ca_file: Annotated[
        str | None,
        doc(
            "Certificates that brokers are checked against",
            example="/etc/ssl/certs/ca-certificates.crt",
        ),
    ] = None
    ssl_certificate_file: Annotated[
        str | None, doc("This client's certificate", example="/etc/watchkeeper/kafka.crt")
    ] = None
    ssl_key_file: Annotated[
        str | None, doc("Key of this client's certificate", example="/etc/watchkeeper/kafka.key")
    ] = None


class Database(Section, frozen=True, kw_only=True):
    """The one record of what is true. SQLite needs nothing; PostgreSQL the extra `postgres`."""

    url: Annotated[
        str,
        doc(
            "sqlite:///… or postgresql+psycopg://user@host/name. "
            "Default: watchkeeper.db in daemon.state_dir",
            example="postgresql+psycopg://watchkeeper@db.example.org/watchkeeper",
        ),
    ] = ""
    password_file: Annotated[
        str | None,
        doc(
            "File that holds the password. Also read: the credential `database-password`",
            example="/etc/watchkeeper/database-password",
        ),
    ] = None


class Checkpoint(Section, frozen=True, kw_only=True):
    """When state and offsets are committed: at whichever comes first."""

    seconds: Annotated[
        float, Meta(ge=0.01, le=60), doc("Longest time between two commits", "seconds")
    ] = 1.0
    events: Annotated[
        int, Meta(ge=1, le=1_000_000), doc("Most events between two commits", "events")
    ] = 5_000


class Web(Section, frozen=True, kw_only=True):
    """/metrics, /livez and /readyz."""

    listen: Annotated[
        str, Meta(pattern=r"^\S+:\d{1,5}$"), doc("Address and port; port 0 takes a free one")
    ] = "127.0.0.1:8321"
    external_url: Annotated[
        Url | None,
        doc("How people reach it, for links in pages", example="https://watchkeeper.example.org"),
    ] = None
    allow_public: Annotated[
        bool, doc("Must be true to listen on an address that is not the host's own")
    ] = False


class Collect(Section, frozen=True, kw_only=True):
    """What this instance measures itself, and publishes to the topic that metrics are read from."""

    host: Annotated[
        bool,
        doc(
            "Measures the host: processors, memory, disk, network; with the extra `gpu` also "
            "graphics cards of NVIDIA"
        ),
    ] = False
    every: Annotated[Duration, span("Time between two measurements", "1s", "1h")] = Duration(15)
    models: Annotated[
        list[Annotated[str, Meta(pattern=MODEL_NAME)]],
        Meta(min_length=1, max_length=100),
        doc("Models that run on this host; each is told of it", example=["fraud", "churn"]),
    ] = msgspec.field(default_factory=lambda: ["watchkeeper"])


class Retrain(Section, frozen=True, kw_only=True):
    """How a new version is trained: in a process of its own, with limits."""

    trainer: Annotated[
        Literal["built-in"] | Annotated[list[str], Meta(min_length=1)],
        doc('"built-in" (extra `train`) or the command to run, as a list of words'),
    ] = "built-in"
    memory_mb: Annotated[int, Meta(ge=64, le=1_048_576), doc("Most memory", "MB")] = 4_096
    seconds: Annotated[int, Meta(ge=1, le=604_800), doc("Longest running time", "seconds")] = 3_600
    niceness: Annotated[int, Meta(ge=0, le=19), doc("Priority given up to other work, 0 to 19")] = (
        10
    )


class Mlflow(Section, frozen=True, kw_only=True):
    """The MLflow server that holds models with serving target `mlflow`."""

    uri: Annotated[
        Url | None, doc("Address of the tracking server", example="https://mlflow.example.org")
    ] = None
    token: Annotated[Secret, doc("Bearer token: by environment only; else token_file")] = Secret("")
    token_file: Annotated[
        str | None,
        doc(
            "File that holds the token. Also read: the credential `mlflow-token`",
            example="/etc/watchkeeper/mlflow-token",
        ),
    ] = None
