"""Every starter is really used: the component does what tests will rely on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
import sentry_sdk
import sqlalchemy
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from prometheus_client import CollectorRegistry, Gauge, start_http_server
from sqlalchemy import text

from tests.conftest import StartPrometheus, running, unavailable
from tests.services import rest
from tests.services.base import Missing, free_ports, wait_until
from tests.services.brokers import Broker
from tests.services.bugsink import Project
from tests.services.fallback_broker import FallbackBroker
from tests.services.kafka import Kafka
from tests.services.mlflow import Mlflow
from tests.services.postgres import Postgres
from tests.services.prometheus import promtool_check_metrics

pytestmark = pytest.mark.service


def _create_topic(broker: Broker) -> str:
    topic = f"services-{uuid.uuid4().hex}"
    with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:
        admin.create_topics([NewTopic(topic, 1, 1)])
    return topic


def _produce(broker: Broker, topic: str, values: list[bytes]) -> None:
    with closing(KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")) as producer:
        for sent in [producer.send(topic, value) for value in values]:
            sent.get(timeout=30)


def _consume(broker: Broker, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap,
        group_id=f"group-{topic}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    found: list[bytes] = []

    def enough() -> bool:
        for records in consumer.poll(timeout_ms=200).values():
            found.extend(record.value for record in records)
        return len(found) >= count

    with closing(consumer):
        wait_until(enough, 30, f"{count} records")
    return found


@pytest.fixture
def fallback() -> Iterator[FallbackBroker]:
    with running(FallbackBroker) as broker:
        yield broker


def test_broker_returns_what_was_produced(kafka: Broker) -> None:
    topic = _create_topic(kafka)

    _produce(kafka, topic, [b"1", b"2", b"3"])

    assert _consume(kafka, topic, 3) == [b"1", b"2", b"3"]


def test_broker_keeps_acknowledged_records_over_kill(durable_kafka: Broker) -> None:
    topic = _create_topic(durable_kafka)
    values = [str(number).encode() for number in range(500)]
    _produce(durable_kafka, topic, values)

    durable_kafka.kill()
    durable_kafka.start()

    assert _consume(durable_kafka, topic, 500) == values


def test_broker_takes_settings_of_the_test() -> None:
    with running(lambda: Kafka({"message.max.bytes": "2000"})) as broker:
        topic = _create_topic(broker)

        with pytest.raises(Exception, match="MessageSizeTooLarge"):
            _produce(broker, topic, [b"x" * 4000])


def test_fallback_broker_keeps_records_over_an_orderly_restart(fallback: FallbackBroker) -> None:
    topic = _create_topic(fallback)
    _produce(fallback, topic, [b"kept"])

    fallback.stop()
    fallback.start()

    assert _consume(fallback, topic, 1) == [b"kept"]


@pytest.mark.parametrize("end", ["crash", "kill", "stop"])
def test_postgres_keeps_committed_rows(postgres: Postgres, postgres_url: str, end: str) -> None:
    engine = sqlalchemy.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE kept (number integer)"))
        connection.execute(text("INSERT INTO kept SELECT generate_series(1, 100)"))
    engine.dispose()

    getattr(postgres, end)()
    postgres.start()

    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM kept")).scalar() == 100
    engine.dispose()


def test_postgres_gives_each_test_an_empty_database(postgres: Postgres, postgres_url: str) -> None:
    first = sqlalchemy.create_engine(postgres_url)
    with first.begin() as connection:
        connection.execute(text("CREATE TABLE here (number integer)"))
    first.dispose()

    second = sqlalchemy.create_engine(postgres.fresh_database())

    assert sqlalchemy.inspect(second).get_table_names() == []
    second.dispose()


def test_bugsink_stores_an_event_id_once(bugsink: Project) -> None:
    event_id = uuid.uuid4().hex
    with closing(sentry_sdk.Client(dsn=bugsink.dsn, default_integrations=False)) as client:
        for _ in range(2):
            client.capture_event({"event_id": event_id, "message": "drift", "tags": {"model": "m"}})
            client.flush(timeout=10)

    wait_until(bugsink.issues, 10, "the issue")

    (issue,) = bugsink.issues()
    (event,) = bugsink.events(issue)
    assert event.event_id.replace("-", "") == event_id
    assert bugsink.event(event).data["tags"] == {"model": "m"}


def test_bugsink_gives_each_test_an_empty_project(bugsink: Project) -> None:
    assert bugsink.issues() == []


@pytest.fixture
def exporter() -> Iterator[str]:
    """A tiny exporter with one gauge at 7."""
    registry = CollectorRegistry()
    Gauge("watchkeeper_test_level", "A level.", registry=registry).set(7)
    (port,) = free_ports(1)
    server, thread = start_http_server(port, "127.0.0.1", registry)
    yield f"127.0.0.1:{port}"
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


def test_prometheus_scrapes_an_exporter(prometheus: StartPrometheus, exporter: str) -> None:
    server = prometheus([exporter])

    (sample,) = wait_until(lambda: server.query("watchkeeper_test_level"), 15, "a scrape")

    assert sample.metric["instance"] == exporter
    assert sample.value[1] == "7"


def test_prometheus_judges_rules(
    prometheus: StartPrometheus, exporter: str, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(
        """
groups:
  - name: tests
    rules:
      - {alert: High, expr: watchkeeper_test_level > 5}
      - {alert: VeryHigh, expr: watchkeeper_test_level > 50}
"""
    )
    server = prometheus([exporter], [rules])

    alerts = wait_until(lambda: server.query('ALERTS{alertstate="firing"}'), 15, "an alert")

    assert [alert.metric["alertname"] for alert in alerts] == ["High"]


def _check(text: str) -> list[str]:
    try:
        return promtool_check_metrics(text)
    except Missing as reason:
        unavailable(str(reason))


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n", "_total"),
        ("# TYPE a gauge\na 1\n", "help text"),
        ("# HELP a A.\n# TYPE a gauge\na one\n", "error"),
    ],
    ids=["total on a gauge", "no help", "no number"],
)
def test_promtool_finds_faults(text: str, finding: str) -> None:
    findings = _check(text)

    assert any(finding in each for each in findings)


def test_promtool_finds_no_fault_in_good_metrics() -> None:
    assert _check("# HELP a_total A.\n# TYPE a_total counter\na_total 1\n") == []


class _Version(msgspec.Struct):
    version: str


class _Found(msgspec.Struct):
    model_version: _Version


def test_mlflow_moves_an_alias(mlflow: Mlflow) -> None:
    name = f"model-{uuid.uuid4().hex}"
    mlflow.create_model(name, versions=2)
    alias = {"name": name, "alias": "champion"}
    where = f"{mlflow.url}/api/2.0/mlflow/registered-models/alias?{urlencode(alias)}"

    def move(version: str) -> str:
        mlflow.post("registered-models/alias", {**alias, "version": version}, object)
        return rest.request("GET", where, _Found).model_version.version

    assert [move("2"), move("1")] == ["2", "1"]
