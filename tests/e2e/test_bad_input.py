"""Every kind of bad input, published in the middle of good traffic: each gets its answer."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.daemon.transport.codec.test_bad_input import CASES, GOOD, feature, with_field
from tests.daemon.transport.crafted import batch, varint
from tests.daemon.transport.rawproduce import produce
from tests.e2e.census import Versions
from tests.e2e.scenario import START, WINDOW_S, Scenario
from tests.e2e.stage import Stage
from tests.services.base import wait_until
from tests.services.prometheus import promtool_check_metrics
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.detectors.types import moment

pytestmark = [pytest.mark.service, pytest.mark.slow]

AT = START + 8 * WINDOW_S
_TIME = moment(AT).isoformat().replace("+00:00", "Z")
_MOST = 900_000  # bytes; a broker takes no longer messages by default
_NAMES = 1_200


class Sent(NamedTuple):
    """A record and the reason for which it must be refused; none: it must be taken."""

    topic: str
    value: bytes | None
    reason: str = ""


def _now(value: bytes) -> bytes:
    """The same bytes, dated as the traffic around them."""
    return value.replace(b"2026-03-01T12:00:00Z", _TIME.encode())


def refused() -> list[Sent]:
    """What must end as dead letters, with its reason."""
    found = [Sent("predictions", _now(v), why) for _, v, why, _ in CASES if len(v) < _MOST]
    keys = b'{"a":1' + b',"b":1' * 120_000 + b"}"
    for long in (keys, b'{"a":"' + b"x" * 600_000 + b'"}', b"[" + b"1," * 300_000 + b"1]"):
        found.append(Sent("predictions", long, "too_large"))
    found.append(Sent("labels", b'{"id":"l"}', "schema"))
    found.append(Sent("commands", b'{"command":"explode"}', "schema"))
    return found


def taken() -> list[Sent]:
    """What is odd but must be taken, counted or passed over without harm."""
    return [
        Sent("predictions", None),
        Sent("predictions", _now(with_field("zz", b'1,"model_name":"other"'))),
        Sent("predictions", _now(with_field("zz", b'{"deep":[1,2]}'))),
        Sent("predictions", _now(feature(b'"\\u001b[31m\\r\\n%n ${jndi:ldap://x}"'))),
        *(_prediction(f"many-{i}", model_name=f"model-{i}") for i in range(_NAMES)),
        *(_prediction(f"names-{i}", features=_named(i)) for i in range(40)),
        _prediction("late", time=moment(AT - 3600).isoformat()),
        _prediction("twice"),
        _prediction("twice"),
        _prediction("twice", features={"amount": 7.0}),
        _label("nobody"),
        _label("early"),
        _prediction("early"),
        *(_label("twice", id=f"l-{i}", label=str(i % 2)) for i in range(300)),
        _prediction("class", prediction={"label": "never seen", "score": 0.2}),
        _prediction("above", prediction={"label": "1", "score": 1.2}),
        _prediction("sum", prediction={"probabilities": {"0": 2.0, "1": 1.0}}),
        _prediction("other", features={"quite": 1.0, "different": "x"}),
        _prediction("nothing", features={}),
        *(_prediction(f"null-{i}", features={"amount": None, "country": None}) for i in range(50)),
        *(_prediction(f"same-{i}", features={"amount": 0.0}) for i in range(50)),
        _prediction("huge", features={"amount": 1e308}),
        _prediction("least", features={"amount": -1e308}),
    ]  # fmt: skip


def _named(number: int) -> dict[str, float]:
    return {f"feature-{number}-{i}": float(i) for i in range(40)}


def _prediction(request: str, **fields: Any) -> Sent:
    event = GOOD | {"id": f"p-{request}", "request_id": request, "time": _TIME} | fields
    return Sent("predictions", msgspec.json.encode(event))


def _label(request: str, **fields: Any) -> Sent:
    event = {"id": "l", "time": _TIME, "model_name": "fraud", "request_id": request, "label": "1"}
    return Sent("labels", msgspec.json.encode(event | fields))


def _publish(stage: Stage, records: list[Sent]) -> Counter[str]:
    """Sends all records; how many, by topic."""
    with closing(KafkaProducer(bootstrap_servers=stage.bootstrap, acks="all")) as producer:
        futures = [
            producer.send(stage.prefix + r.topic, r.value, b"fraud", timestamp_ms=round(AT * 1000))
            for r in records
        ]
        for future in futures:
            future.get(timeout=30)
    return Counter(stage.prefix + each.topic for each in records)


def _publish_nothing(stage: Stage) -> Counter[str]:
    """A record with neither key nor value, which decent producers refuse to send."""
    topic = f"{stage.prefix}logs"
    fields = b"\0" + varint(0) + varint(0) + varint(-1) + varint(-1) + varint(0)
    assert produce(stage.bootstrap, topic, batch(varint(len(fields)) + fields, 1)) is None
    return Counter([topic])


def _letters(stage: Stage, topic: str, count: int) -> list[str]:
    """The reasons on a dead-letter topic, once there are `count`."""
    found: list[str] = []
    consumer = KafkaConsumer(bootstrap_servers=stage.bootstrap, group_id=None)

    def arrived() -> bool:
        for records in consumer.poll(timeout_ms=200).values():
            for record in records:
                found.append(dict(record.headers)["watchkeeper.error.reason"].decode())
        return len(found) >= count

    with closing(consumer):
        partition = TopicPartition(f"{stage.prefix}dlq.{stage.prefix}{topic}", 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        wait_until(arrived, 30, f"{count} dead letters")
    return found


def test_bad_input_gets_its_answer_and_the_daemon_goes_on(
    stage: Stage, trained: Versions, tmp_path: Path
) -> None:
    watch = stage.install(f"sqlite:///{tmp_path / 'watchkeeper.db'}", {"positive": "1"})
    watch.start()
    played = Scenario(
        model=stage.model, versions={"1": str(trained.healthy)}, seconds=20 * WINDOW_S
    )
    stage.play(played, watch)
    predictions = Partition(f"{stage.prefix}predictions", 0)
    watch.wait(
        lambda: (watch.store.records.offsets().get(predictions) or 0) > 5 * 240,
        60,
        "good traffic",
    )

    bad = refused()
    besides = _publish(stage, [*bad[:30], *taken(), *bad[30:]]) + _publish_nothing(stage)
    stage.wait_end(watch, 120, besides)

    expected = Counter((f"{stage.prefix}{each.topic}", each.reason) for each in bad)
    expected[f"{stage.prefix}logs", "empty"] = 1
    listed = watch.table("dlq", "list", "--limit", "1000")
    assert Counter((each["topic"], each["reason"]) for each in listed) == expected
    reasons = [each.reason for each in bad if each.topic == "predictions"]
    assert Counter(_letters(stage, "predictions", len(reasons))) == Counter(reasons)
    assert watch.ready()
    metrics = watch.metrics()
    assert promtool_check_metrics(metrics) == []
    assert len(set(re.findall(r'[{,]model="([^"]+)"', metrics))) < _NAMES / 2
    assert [i for i in watch.incidents() if i.model == stage.model] == []
    assert {"other", "fraud", stage.model} <= set(watch.store.records.models())
