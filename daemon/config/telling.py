"""Who is told: pages, webhooks, and how much may wait for them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from watchkeeper.daemon.config.section import Section, doc
from watchkeeper.daemon.config.units import Secret


class Sentry(Section, frozen=True, kw_only=True):
    """Who is paged. Without a DSN nobody is, and a warning says so."""

    dsn: Annotated[
        Secret,
        doc(
            "Sentry project. Also read: $SENTRY_DSN and the credential `sentry-dsn`",
            example="https://key@sentry.example.org/1",
        ),
    ] = Secret("")
    dsn_file: Annotated[
        str | None, doc("File that holds the DSN", example="/etc/watchkeeper/sentry-dsn")
    ] = None
    environment: Annotated[
        str, Meta(pattern=r"^[^\s/]{1,64}$"), doc("Environment the pages are filed under")
    ] = "production"


class Notify(Section, frozen=True, kw_only=True):
    """A second way to tell people."""

    webhooks: Annotated[
        list[Secret],
        Meta(max_length=16),
        doc(
            "URLs that get each change of an incident by POST, as JSON. Shown nowhere: who knows "
            "one may post there",
            example=["https://example.org/incidents"],
        ),
    ] = msgspec.field(default_factory=list)
    on_call: Annotated[
        Secret,
        doc(
            "URL that is told, by POST, of an incident that no handler has a remedy for. Shown "
            "nowhere",
            example="https://example.org/on-call",
        ),
    ] = Secret("")


class Outbox(Section, frozen=True, kw_only=True):
    """How much may gather in the database while others cannot be told, or send what nobody can
    read."""

    messages: Annotated[
        int,
        Meta(ge=100, le=1_000_000),
        doc(
            "Most messages that wait of each channel: Kafka, webhooks, Sentry. Beyond it only the "
            "newest state of each incident waits"
        ),
    ] = 10_000
    dead_letters: Annotated[
        int,
        Meta(ge=100, le=1_000_000),
        doc("Most dead letters that wait to be sent to Kafka. Beyond it the oldest are skipped"),
    ] = 10_000
    dead_letters_mb: Annotated[
        int, Meta(ge=1, le=100_000), doc("Most that these dead letters carry", "MiB")
    ] = 64
    refused: Annotated[
        int,
        Meta(ge=100, le=10_000_000),
        doc(
            "Most refused records that are kept for `watchkeeper dlq`. Beyond it those go that "
            "were sent once more, then the oldest"
        ),
    ] = 100_000
    refused_mb: Annotated[
        int, Meta(ge=1, le=100_000), doc("Most that the kept refused records carry", "MiB")
    ] = 256
