"""Who is told what is found, and by which channels: as the configuration says."""

from __future__ import annotations

import watchkeeper
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.reporting.announce import Audience
from watchkeeper.daemon.reporting.links import Links
from watchkeeper.daemon.reporting.sentry import SentryReporter
from watchkeeper.daemon.reporting.topics import KafkaChannel
from watchkeeper.daemon.reporting.webhook import WebhookChannel
from watchkeeper.daemon.storage.outbox import Deliver
from watchkeeper.daemon.storage.values import Channel
from watchkeeper.daemon.topics import topic_names
from watchkeeper.daemon.transport.ports import Sink


def channels_of(config: Config, sink: Sink) -> dict[Channel, Deliver]:
    """How messages are delivered, by channel; those that are not wanted are left out."""
    channels: dict[Channel, Deliver] = {
        "kafka": KafkaChannel(sink),
        "dlq": KafkaChannel(sink, timeout=10.0),
    }
    dsn = config.sentry.dsn.reveal()
    if dsn:
        release = f"watchkeeper@{watchkeeper.__version__}"
        environment, instance = config.sentry.environment, config.daemon.instance
        channels["sentry"] = SentryReporter(dsn, environment, release, instance)
    if config.notify.webhooks:
        channels["webhook"] = WebhookChannel()
    return channels


def audience_of(config: Config) -> Audience:
    """Who is told of incidents and actions."""
    return Audience(
        topics=topic_names(config),
        sentry=bool(config.sentry.dsn),
        webhooks=tuple(each.reveal() for each in config.notify.webhooks),
        links=links_of(config),
    )


def links_of(config: Config) -> Links:
    """Where people are sent to."""
    return Links(external_url=config.web.external_url or "")
