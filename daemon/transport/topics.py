"""Makes the topics, and looks whether they are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from watchkeeper.daemon.transport.kafka_client import connected
from watchkeeper.daemon.transport.settings import KafkaSettings


class TopicSpec(msgspec.Struct, frozen=True):
    """A topic as it should be. A compacted one has no retention of its own."""

    name: str
    partitions: int = 1
    compacted: bool = False
    retention_ms: int | None = None


class Reach(msgspec.Struct, frozen=True):
    """What a look at the cluster found; `error` says why it could not be looked at, `partitions`
    how many each topic has that is there."""

    brokers: int = 0
    present: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    error: str | None = None
    partitions: dict[str, int] = {}


Created = Literal["created", "exists"]


def create_topics(
    settings: KafkaSettings, specs: Sequence[TopicSpec]
) -> list[tuple[str, Created | str]]:
    """Makes what is missing; for each topic `created`, `exists`, or why it could not be made."""
    from kafka.errors import KafkaError

    try:
        admin = _admin(settings)
    except KafkaError as error:
        return [(spec.name, _said(error)) for spec in specs]
    try:
        return [(spec.name, _create(admin, spec)) for spec in specs]
    finally:
        admin.close()


def reach(settings: KafkaSettings, topics: Sequence[str]) -> Reach:
    """Looks whether the brokers answer and which of the topics exist; never raises for it."""
    from kafka.errors import KafkaError

    try:
        admin = _admin(settings)
    except (KafkaError, OSError, ValueError) as error:
        return Reach(missing=tuple(topics), error=_said(error))
    try:
        brokers = _brokers(admin)
        there = set(admin.list_topics())
        present = tuple(topic for topic in topics if topic in there)
        found = admin.describe_topics(list(present)) if present else []
    except KafkaError as error:
        return Reach(missing=tuple(topics), error=_said(error))
    finally:
        admin.close()
    missing = tuple(topic for topic in topics if topic not in there)
    counts = {str(each["name"]): len(each["partitions"]) for each in found}
    return Reach(brokers, present, missing, partitions=counts)


def _brokers(admin: Any) -> int:
    """How many brokers there are; at least the one that answers where it is too old to tell."""
    try:
        return len(admin.describe_cluster()["brokers"])
    except KeyError:
        # kafka-python takes a field out of the answer that older brokers do not put in.
        return 1


def _create(admin: Any, spec: TopicSpec) -> str:
    from kafka.errors import KafkaError, TopicAlreadyExistsError

    wanted = {
        "num_partitions": spec.partitions,
        "replication_factor": -1,
        "configs": _configs(spec),
    }
    try:
        admin.create_topics({spec.name: wanted}, timeout_ms=10_000, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return "exists"
    except KafkaError as error:
        return _said(error)
    return "created"


def _configs(spec: TopicSpec) -> dict[str, str]:
    configs = {"cleanup.policy": "compact" if spec.compacted else "delete"}
    if spec.retention_ms is not None and not spec.compacted:
        configs["retention.ms"] = str(spec.retention_ms)
    return configs


def _admin(settings: KafkaSettings) -> Any:
    from kafka import KafkaAdminClient

    return connected(KafkaAdminClient, settings)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
