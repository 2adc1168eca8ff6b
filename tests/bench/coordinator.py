"""What the replay broker answers to everything but fetches: metadata, offsets, settings of topics,
and groups of one member, packed by kafka-python's own message classes. What is produced to it is
refused: that it could be is what librdkafka takes for the sign of a broker with record batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from kafka.protocol import admin, consumer, metadata, producer

_LATEST = -1
_UNKNOWN_TOPIC, _ILLEGAL_GENERATION, _NOT_ALLOWED, _INVALID_REQUEST = 3, 22, 29, 42
_OF_TOPIC, _OWN_SETTING, _NO_OFFSET, _ONLY_PRODUCER = 2, 1, -1, 1
_SETTINGS = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
Spoken = Mapping[int, tuple[int, int]]
Ends = Mapping[str, list[int]]


class Groups:
    """Generations, assignments and committed offsets by group. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._generations: dict[str, int] = {}
        self._joined: dict[str, float] = {}
        self._offsets: dict[tuple[str, str, int], int] = {}

    def join(self, group: str) -> tuple[int, str]:
        """A new generation, and the name of its only member."""
        with self._lock:
            generation = self._generations[group] = self._generations.get(group, 0) + 1
        return generation, f"member-{generation}"

    def synced(self, group: str) -> None:
        """The member got its partitions."""
        with self._lock:
            self._joined[group] = time.time()

    def joined(self, group: str) -> float | None:
        """When it did, on the wall clock."""
        return self._joined.get(group)

    def current(self, group: str, generation: int) -> bool:
        """Whether no other has joined since."""
        return self._generations.get(group) == generation

    def commit(self, group: str, topic: str, partition: int, offset: int) -> None:
        """Keeps the next offset of a partition."""
        with self._lock:
            self._offsets[group, topic, partition] = offset

    def committed(self, group: str, topic: str, partition: int) -> int:
        """The next offset of a partition; -1 before one was kept."""
        return self._offsets.get((group, topic, partition), -1)


def answers(
    key: int, version: int, body: bytes, groups: Groups, port: int, ends: Ends, spoken: Spoken
) -> bytes:
    """The body of the response to one request."""
    kinds: dict[int, tuple[Any, Any]] = {
        0: (producer.ProduceRequest, _produce),
        2: (consumer.ListOffsetsRequest, lambda r: _list_offsets(r, ends)),
        3: (metadata.MetadataRequest, lambda r: _metadata(r, port, ends)),
        8: (consumer.OffsetCommitRequest, lambda r: _commit(r, groups)),
        9: (consumer.OffsetFetchRequest, lambda r: _offset_fetch(r, groups)),
        10: (metadata.FindCoordinatorRequest, lambda _: _coordinator(port)),
        11: (consumer.JoinGroupRequest, lambda r: _join(r, groups)),
        12: (consumer.HeartbeatRequest, lambda r: _heartbeat(r, groups)),
        13: (consumer.LeaveGroupRequest, _leave),
        14: (consumer.SyncGroupRequest, lambda r: _sync(r, groups)),
        18: (metadata.ApiVersionsRequest, lambda _: _api_versions(spoken)),
        22: (producer.InitProducerIdRequest, lambda _: _producer_id()),
        32: (admin.DescribeConfigsRequest, lambda r: _describe(r, ends)),
    }
    kind, answer = kinds[key]
    response: bytes = answer(kind.decode(body, version=version)).encode(version=version)
    return response


def _api_versions(spoken: Spoken) -> Any:
    kind = metadata.ApiVersionsResponse
    keys = [
        kind.ApiVersion(api_key=key, min_version=low, max_version=high)
        for key, (low, high) in spoken.items()
    ]
    return kind(error_code=0, api_keys=keys, throttle_time_ms=0)


def _metadata(request: Any, port: int, ends: Ends) -> Any:
    kind = metadata.MetadataResponse
    broker = kind.MetadataResponseBroker(node_id=0, host="127.0.0.1", port=port, rack=None)
    named = [each.name for each in request.topics] if request.topics is not None else list(ends)
    return kind(
        throttle_time_ms=0,
        brokers=[broker],
        cluster_id="replay",
        controller_id=0,
        topics=[_topic(kind.MetadataResponseTopic, name, ends.get(name)) for name in named],
    )


def _topic(kind: Any, name: str, ends: list[int] | None) -> Any:
    parts = [
        kind.MetadataResponsePartition(
            error_code=0,
            partition_index=number,
            leader_id=0,
            leader_epoch=-1,
            replica_nodes=[0],
            isr_nodes=[0],
            offline_replicas=[],
        )
        for number in range(len(ends or ()))
    ]
    error = 0 if ends is not None else _UNKNOWN_TOPIC
    return kind(error_code=error, name=name, is_internal=False, partitions=parts)


def _list_offsets(request: Any, ends: Ends) -> Any:
    kind = consumer.ListOffsetsResponse
    topic_of = kind.ListOffsetsTopicResponse
    topics = []
    for topic in request.topics:
        parts = [
            topic_of.ListOffsetsPartitionResponse(
                partition_index=each.partition_index,
                error_code=0,
                timestamp=-1,
                leader_epoch=-1,
                offset=ends[topic.name][each.partition_index] if each.timestamp == _LATEST else 0,
            )
            for each in topic.partitions
        ]
        topics.append(topic_of(name=topic.name, partitions=parts))
    return kind(throttle_time_ms=0, topics=topics)


def _coordinator(port: int) -> Any:
    return metadata.FindCoordinatorResponse(
        throttle_time_ms=0, error_code=0, error_message=None, node_id=0, host="127.0.0.1", port=port
    )


def _join(request: Any, groups: Groups) -> Any:
    kind = consumer.JoinGroupResponse
    generation, member = groups.join(request.group_id)
    first = request.protocols[0]
    only = kind.JoinGroupResponseMember(
        member_id=member, group_instance_id=request.group_instance_id, metadata=first.metadata
    )
    return kind(
        throttle_time_ms=0,
        error_code=0,
        generation_id=generation,
        protocol_name=first.name,
        leader=member,
        member_id=member,
        members=[only],
    )


def _sync(request: Any, groups: Groups) -> Any:
    mine = [each.assignment for each in request.assignments]
    groups.synced(request.group_id)
    return consumer.SyncGroupResponse(
        throttle_time_ms=0, error_code=0, assignment=mine[0] if mine else b""
    )


def _heartbeat(request: Any, groups: Groups) -> Any:
    current = groups.current(request.group_id, request.generation_id)
    return consumer.HeartbeatResponse(
        throttle_time_ms=0, error_code=0 if current else _ILLEGAL_GENERATION
    )


def _leave(request: Any) -> Any:
    return consumer.LeaveGroupResponse(throttle_time_ms=0, error_code=0, members=[])


def _offset_fetch(request: Any, groups: Groups) -> Any:
    kind = consumer.OffsetFetchResponse
    topic_of = kind.OffsetFetchResponseTopic
    topics = []
    for topic in request.topics or ():
        parts = [
            topic_of.OffsetFetchResponsePartition(
                partition_index=number,
                committed_offset=groups.committed(request.group_id, topic.name, number),
                committed_leader_epoch=-1,
                metadata="",
                error_code=0,
            )
            for number in topic.partition_indexes
        ]
        topics.append(topic_of(name=topic.name, partitions=parts))
    return kind(throttle_time_ms=0, topics=topics, error_code=0)


def _commit(request: Any, groups: Groups) -> Any:
    kind = consumer.OffsetCommitResponse
    topic_of = kind.OffsetCommitResponseTopic
    topics = []
    for topic in request.topics:
        parts = []
        for each in topic.partitions:
            number = each.partition_index
            groups.commit(request.group_id, topic.name, number, each.committed_offset)
            parts.append(
                topic_of.OffsetCommitResponsePartition(partition_index=number, error_code=0)
            )
        topics.append(topic_of(name=topic.name, partitions=parts))
    return kind(throttle_time_ms=0, topics=topics)


def _describe(request: Any, ends: Ends) -> Any:
    kind = admin.DescribeConfigsResponse
    results = [_settings(kind.DescribeConfigsResult, each, ends) for each in request.resources]
    return kind(throttle_time_ms=0, results=results)


def _settings(kind: Any, asked: Any, ends: Ends) -> Any:
    """What one resource is set to: topics keep all that is written to them."""
    error = 0 if asked.resource_name in ends else _UNKNOWN_TOPIC
    if asked.resource_type != _OF_TOPIC:
        error = _INVALID_REQUEST
    names = _SETTINGS if asked.configuration_keys is None else asked.configuration_keys
    configs = [
        kind.DescribeConfigsResourceResult(
            name=name,
            value=_SETTINGS[name],
            read_only=True,
            config_source=_OWN_SETTING,
            is_sensitive=False,
            synonyms=[],
        )
        for name in names
        if name in _SETTINGS and not error
    ]
    return kind(
        error_code=error,
        error_message=None,
        resource_type=asked.resource_type,
        resource_name=asked.resource_name,
        configs=configs,
    )


def _producer_id() -> Any:
    return producer.InitProducerIdResponse(
        throttle_time_ms=0, error_code=0, producer_id=_ONLY_PRODUCER, producer_epoch=0
    )


def _produce(request: Any) -> Any:
    kind = producer.ProduceResponse
    topic_of = kind.TopicProduceResponse
    topics = []
    for topic in request.topic_data:
        parts = [
            topic_of.PartitionProduceResponse(
                index=each.index,
                error_code=_NOT_ALLOWED,
                base_offset=_NO_OFFSET,
                log_append_time_ms=-1,
                log_start_offset=0,
            )
            for each in topic.partition_data
        ]
        topics.append(topic_of(name=topic.name, partition_responses=parts))
    return kind(responses=topics, throttle_time_ms=0)
