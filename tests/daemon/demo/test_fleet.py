from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from watchkeeper.daemon.demo.faults import MINUTE, standard_script
from watchkeeper.daemon.demo.fleet import KINDS, Fleet, Sent
from watchkeeper.daemon.demo.models import fleet_models
from watchkeeper.daemon.transport.codec import decode
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.detectors.types import EVENT_TYPES, EventKind, Label, Log, Metric, Prediction

START = 1_772_463_600.0
TOPICS: dict[EventKind, str] = {kind: f"demo.{kind}" for kind in KINDS}
VERSIONS = {model.name: model.version for model in fleet_models()}


def fleet(seed: int = 3) -> Fleet:
    script = standard_script(START)
    return Fleet(seed, fleet_models(), script, TOPICS, lambda model, at: VERSIONS[model])


def events(sent: Sequence[Sent], kind: EventKind) -> list[object]:
    wanted = [s.message.value for s in sent if s.message.topic == TOPICS[kind]]
    return [msgspec.json.decode(v, type=EVENT_TYPES[kind]) for v in wanted if v is not None]


def test_messages_come_in_order_of_time_and_date_themselves() -> None:
    sent = fleet().advance(START + 10 * MINUTE)
    times = [s.at for s in sent]

    assert times == sorted(times)
    assert times[0] >= START
    assert times[-1] < START + 10 * MINUTE
    for s in sent[:2_000]:
        document = msgspec.json.decode(s.message.value or b"", type=dict[str, object])
        stated = msgspec.convert(document["time"], datetime)
        assert abs(stated.timestamp() - s.at) < 1e-3


@settings(max_examples=examples(15), deadline=None)
@given(cuts=st.lists(st.floats(0.5, 5 * MINUTE), max_size=6))
def test_the_cut_of_time_does_not_matter(cuts: list[float]) -> None:
    whole = fleet().advance(START + 5 * MINUTE)
    pieces = fleet()

    parts = [s for cut in sorted(cuts) for s in pieces.advance(START + cut)]
    parts += pieces.advance(START + 5 * MINUTE)

    assert parts == whole


def test_another_seed_gives_other_traffic() -> None:
    assert fleet(3).advance(START + MINUTE) != fleet(4).advance(START + MINUTE)


def test_the_daemon_can_read_every_message() -> None:
    sent = fleet().advance(START + 6 * MINUTE)
    records = [
        Record(s.message.topic, 0, i, s.at, s.message.key, s.message.value, s.message.headers)
        for i, s in enumerate(sent)
    ]

    decoded = decode(records, {topic: kind for kind, topic in TOPICS.items()})

    assert decoded.dead == []
    assert decoded.unknown_fields == 0
    assert sum(len(frame) for frame in decoded.frames) == len(records)


def test_ids_are_unique_and_labels_answer_requests_that_were_made() -> None:
    sent = fleet().advance(START + 15 * MINUTE)
    predictions = [e for e in events(sent, "prediction") if isinstance(e, Prediction)]
    labels = [e for e in events(sent, "label") if isinstance(e, Label)]
    asked = {p.request_id: p for p in predictions}

    assert len(asked) == len(predictions)
    assert len({label.request_id for label in labels}) == len(labels) > 1_000
    for label in labels:
        prediction = asked[label.request_id]
        assert label.time > prediction.time
        assert label.model_name == prediction.model_name


def test_hosts_report_memory_and_cpu_of_every_model() -> None:
    sent = fleet().advance(START + MINUTE)
    metrics = [e for e in events(sent, "metric") if isinstance(e, Metric)]

    assert {m.model_name for m in metrics} == set(VERSIONS)
    assert {m.name for m in metrics} == {
        "system.cpu.utilization",
        "system.memory.utilization",
    }
    assert all(0.2 < m.value < 0.6 for m in metrics)


def test_a_failed_request_leaves_an_error_line() -> None:
    sent = fleet().advance(START + 15 * MINUTE)
    failed = {
        e.request_id
        for e in events(sent, "prediction")
        if isinstance(e, Prediction) and e.status != "ok"
    }
    lines = [e for e in events(sent, "log") if isinstance(e, Log)]

    assert failed
    assert {line.body.split()[1] for line in lines} == failed
    assert all(line.severity_number == 17 for line in lines)
