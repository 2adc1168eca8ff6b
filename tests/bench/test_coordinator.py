"""What the replay broker says of itself and of its topics, and that it takes no records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kafka.protocol.admin import DescribeConfigsRequest, DescribeConfigsResponse
from kafka.protocol.broker_version_data import BrokerVersionData
from kafka.protocol.consumer import FetchRequest, JoinGroupRequest, ListOffsetsRequest
from kafka.protocol.metadata import ApiVersionsRequest, ApiVersionsResponse, MetadataRequest
from kafka.protocol.producer import (
    InitProducerIdRequest,
    InitProducerIdResponse,
    ProduceRequest,
    ProduceResponse,
)

from tests.bench.broker import Broker, Spec, Topics
from tests.bench.coordinator import Groups
from tests.bench.traffic import Shape

_API_VERSIONS, _PRODUCE, _PRODUCER_ID, _DESCRIBE = 18, 0, 22, 32
_TOPIC, _BROKER = 2, 4  # kinds of resources


@pytest.fixture
def broker() -> Iterator[Broker]:
    """One that does not serve, but answers."""
    made = Broker(Topics(Spec({"small": Shape(alone=True)})), Groups())
    yield made
    made.server_close()


def _versions(broker: Broker, version: int = 0) -> dict[int, tuple[int, int]]:
    request = ApiVersionsRequest(client_software_name="x", client_software_version="1")
    body = broker.answer(_API_VERSIONS, version, request.encode(version=version))
    found = ApiVersionsResponse.decode(body, version=version)
    return {each.api_key: (each.min_version, each.max_version) for each in found.api_keys}


def _settings(broker: Broker, version: int, kind: int, name: str, keys: list[str] | None) -> Any:
    resource = DescribeConfigsRequest.DescribeConfigsResource(
        resource_type=kind, resource_name=name, configuration_keys=keys
    )
    request = DescribeConfigsRequest(resources=[resource])
    body = broker.answer(_DESCRIBE, version, request.encode(version=version))
    (found,) = DescribeConfigsResponse.decode(body, version=version).results
    return found


def test_kafka_python_takes_it_for_a_broker_of_2_1(broker: Broker) -> None:
    known = BrokerVersionData(api_versions=_versions(broker))

    assert known.broker_version == (2, 1)
    chosen = {each.API_KEY: known.api_version(each) for each in _OFTEN}
    assert chosen == {1: 10, 2: 4, 3: 7, 11: 5}


_OFTEN = (FetchRequest, ListOffsetsRequest, MetadataRequest, JoinGroupRequest)


def test_librdkafka_takes_it_for_a_broker_with_record_batches(broker: Broker) -> None:
    # Of other brokers it asks in a version of fetches that is not spoken, again and again.
    wanted = {_PRODUCE: 3, 1: 4}

    offered = _versions(broker)

    assert all(offered[key][0] <= version <= offered[key][1] for key, version in wanted.items())


def test_a_client_that_is_too_new_is_told_what_is_spoken(broker: Broker) -> None:
    body = broker.answer(_API_VERSIONS, 4, b"")

    found = ApiVersionsResponse.decode(body, version=0)

    assert found.error_code == 35
    assert [(each.api_key, each.max_version) for each in found.api_keys] == [(18, 2)]


@pytest.mark.parametrize("version", [1, 2])
def test_settings_of_a_topic_are_told(broker: Broker, version: int) -> None:
    whole = _settings(broker, version, _TOPIC, "small.predictions", None)
    one = _settings(broker, version, _TOPIC, "small.predictions", ["retention.ms", "unknown"])

    assert whole.error_code == one.error_code == 0
    assert {each.name: each.value for each in whole.configs}["cleanup.policy"] == "delete"
    assert {each.name: each.value for each in one.configs} == {"retention.ms": "-1"}


@pytest.mark.parametrize(
    ("kind", "name", "error"), [(_TOPIC, "other", 3), (_BROKER, "0", 42)], ids=["other", "broker"]
)
def test_what_has_no_settings_is_an_error(broker: Broker, kind: int, name: str, error: int) -> None:
    found = _settings(broker, 2, kind, name, None)

    assert (found.resource_name, found.error_code, found.configs) == (name, error, [])


@pytest.mark.parametrize("version", [3, 7])
def test_no_records_are_taken(broker: Broker, version: int) -> None:
    topic = ProduceRequest.TopicProduceData
    part = topic.PartitionProduceData(index=0, records=b"")
    data = [topic(name="small.labels", partition_data=[part])]
    request = ProduceRequest(acks=-1, timeout_ms=1_000, topic_data=data)

    body = broker.answer(_PRODUCE, version, request.encode(version=version))

    (found,) = ProduceResponse.decode(body, version=version).responses
    assert found.name == "small.labels"
    assert [each.error_code for each in found.partition_responses] == [29]


@pytest.mark.parametrize("version", [0, 1])
def test_a_producer_gets_an_id(broker: Broker, version: int) -> None:
    # Quix Streams always has one that asks for it, also where nothing is produced.
    request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1_000)

    body = broker.answer(_PRODUCER_ID, version, request.encode(version=version))

    found = InitProducerIdResponse.decode(body, version=version)
    assert (found.error_code, found.producer_epoch) == (0, 0)
    assert found.producer_id >= 0
