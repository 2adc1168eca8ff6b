"""The topics of a configuration: those that are read, and those that are written."""

from __future__ import annotations

from watchkeeper.daemon.config import Config
from watchkeeper.daemon.messages import READ
from watchkeeper.daemon.reporting.topics import TopicNames
from watchkeeper.detectors.types import EventKind


def kinds_of(config: Config) -> dict[str, EventKind]:
    """The kind of event by topic that is read."""
    return {config.topics.name(topic): kind for topic, kind in READ.items()}


def topics_of(config: Config) -> list[str]:
    """The topics that are read: those of events, and that of partials where it is needed."""
    between = [config.topics.name("partials")] if config.spreads else []
    return [*kinds_of(config), *between]


def topic_names(config: Config) -> TopicNames:
    """The topics that are written."""
    topics = config.topics
    return TopicNames(
        incidents=topics.name("incidents"),
        incidents_state=topics.name("incidents_state"),
        actions=topics.name("actions"),
        models_state=topics.name("models_state"),
        dlq_prefix=topics.name("dlq") + ".",
    )
