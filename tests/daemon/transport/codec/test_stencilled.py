"""What is read by stencils is, bit for bit, what the general way makes of the same records."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.transport.codec import mutants
from tests.daemon.transport.codec.beside import KINDS, Counted, assert_same, records_of, take_none
from tests.examples import examples
from watchkeeper.daemon.transport.codec.bulk import Learned
from watchkeeper.daemon.transport.codec.router import decode
from watchkeeper.daemon.transport.codec.stencilled import MOST_STENCILS, Stencilled
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.texts import Spans

HEAD = {"id": "1", "time": "2026-03-01T12:00:00Z", "model_name": "m", "model_version": "1"}


def stencils() -> Counted[Stencilled]:
    return Counted(Stencilled(take_none))


def compact(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def filled(value: str, place: str) -> bytes:
    """An event with a JSON value in one of its places."""
    event = (
        '{"id":"1","time":"2026-03-01T12:00:00Z","model_name":"m","model_version":"1",'
        '"request_id":"r","features":{"x":<number>,"w":<word>,"a,b":1},'
        '"prediction":{"score":<score>,"label":<label>},"entity_id":<entity_id>,'
        '"source":<source>,"duration_s":<duration_s>,"segment":{"land":<land>}}'
    ).replace(f"<{place}>", value)
    for name in ("number", "score", "duration_s"):
        event = event.replace(f"<{name}>", "0.5")
    for name in ("word", "label", "entity_id", "source", "land"):
        event = event.replace(f"<{name}>", '"some text"')
    return event.encode(errors="surrogatepass")


PLACES = ("number", "word", "score", "label", "entity_id", "source", "duration_s", "land")


@pytest.mark.parametrize("place", PLACES)
def test_every_value_in_every_place(place: str) -> None:
    bulk = stencils()
    good = filled("0.25" if place in ("number", "score", "duration_s") else '"other"', place)
    odd = [filled(value, place) for value in (*mutants.NUMBERS, *mutants.TEXTS, *mutants.OTHERS)]

    assert_same("predictions", [good] * 80 + odd, bulk)

    assert bulk.taken >= 80


@pytest.mark.parametrize("topic", ["predictions", "labels"])
def test_the_events_of_a_few_writers_and_their_mutants(topic: str) -> None:
    rng, taken = random.Random(20_261_123), 0
    for _ in range(12):
        writers = [writer(topic, rng) for _ in range(rng.choice((1, 2, 5)))]
        bulk = stencils()
        for _ in range(3):
            whole = [rng.choice(writers)(rng) for _ in range(400)]
            values = [mutants.mutant(raw, rng) if rng.random() < 0.2 else raw for raw in whole]
            assert_same(topic, values, bulk)
        taken += bulk.taken

    assert taken > 5_000


BOTH: dict[str, Any] = {
    "id": lambda r: f"{r.getrandbits(128):032x}",
    "time": lambda r: r.choice(mutants.TIMES[4:6]),
    "model_name": lambda r: r.choice(("credit", "fraud", "a/b.c-d_e")),
    "request_id": lambda r: f"r-{r.getrandbits(r.choice((4, 32, 64))):x}",
    "source": lambda r: r.choice(("eu-1", "a vendor's feed", "", None)),
}
FIELDS: dict[str, dict[str, Any]] = {
    "labels": BOTH
    | {
        "label": lambda r: r.choice(("yes", "no", "", None)),
        "value": lambda r: r.choice((1, 2.5, None)),
        "kind": lambda r: r.choice(("final", "proxy")),
    },
    "predictions": BOTH
    | {
        "model_version": lambda r: r.choice(("1", "2", "v10.3")),
        "features": lambda r: {},
        "prediction": lambda r: {"label": r.choice(("yes", "no")), "score": r.random()},
        "duration_s": lambda r: r.choice((r.random(), 3, 0, None)),
        "status": lambda r: r.choice(("ok", "ok", "error", "timeout")),
        "entity_id": lambda r: r.choice((f"user-{r.randrange(50)}", None)),
        "segment": lambda r: {"country": r.choice(("CH", "DE"))},
        "traceparent": lambda r: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    },
}
FEATURES: dict[str, Any] = {
    "city": lambda r: r.choice(("Bern", "Graz", "Basel-Landschaft", None)),
    "plan": lambda r: r.choice(("one", "two")),
    "age": lambda r: r.choice((31, 47, None)),
    "ratio": lambda r: r.random(),
    "income": lambda r: round(r.gauss(0, 9e4), 2),
    "member": lambda r: r.choice((True, False, None)),
}
NEEDED = {"id", "time", "model_name", "model_version", "request_id", "features"}


def writer(topic: str, rng: random.Random) -> Any:
    """Writes events with the same fields in the same order and with the same white space."""
    fields = FIELDS[topic]
    order = rng.sample([n for n in fields if n in NEEDED or rng.random() < 0.7], len(fields) // 2)
    order += [name for name in fields if name in NEEDED and name not in order]
    separators = rng.choice(((",", ":"), (", ", ": "), (" ,\n", "\t: ")))
    features = rng.sample(list(FEATURES), 4)

    def write(rng: random.Random) -> bytes:
        event = {name: fields[name](rng) for name in order}
        if "features" in event:
            event["features"] = {name: FEATURES[name](rng) for name in features}
        return json.dumps(event, separators=separators).encode()

    return write


@given(
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False)
        | st.integers()
        | st.floats(-1e6, 1e6).map(lambda x: round(x, 3)),
        min_size=1,
        max_size=60,
    )
)
@settings(max_examples=examples(150), deadline=None)
def test_any_number(numbers: list[float | int]) -> None:
    events = [HEAD | {"request_id": "r", "features": {"x": 1.5}}] * 64
    events += [HEAD | {"request_id": "r", "features": {"x": x}} for x in numbers]

    assert_same("predictions", [compact(event) for event in events], stencils())


def test_doubles_of_every_size() -> None:
    rng, bulk = random.Random(5), stencils()
    drawn = [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(4_000)]
    numbers = [x for x in drawn if x == x and abs(x) < 2**63] + [rng.random() for _ in range(6_000)]
    numbers += [rng.randrange(2**53, 2**63) / 10 ** rng.randrange(0, 19) for _ in range(4_000)]

    values = [compact(HEAD | {"request_id": "r", "features": {"x": x}}) for x in numbers]
    assert_same("predictions", values, bulk)

    assert bulk.taken > 0.99 * len(numbers)


def test_decimals_next_to_the_middle_of_two_doubles() -> None:
    rng, bulk, texts = random.Random(6), stencils(), ["1.5"] * 64
    for _ in range(3_000):
        whole = rng.randrange(2**53, 2**54) | 1  # the middle of two doubles
        digits = str(whole + rng.choice((-1, 0, 1)))
        texts.append(digits)
        point = rng.randrange(1, 15)
        texts.append(f"{digits[:point]}.{digits[point:]}")
    head = '{"id":"1","time":"2026-03-01T12:00:00Z","model_name":"m","model_version":"1",'

    values = [f'{head}"request_id":"r","features":{{"x":{text}}}}}'.encode() for text in texts]
    assert_same("predictions", values, bulk)

    assert bulk.taken > 0.9 * len(values)


@given(st.lists(st.text(max_size=80), min_size=1, max_size=40))
@settings(max_examples=examples(100), deadline=None)
def test_any_text(texts: list[str]) -> None:
    for plain in (True, False):
        values = [compact(HEAD | {"request_id": "r", "features": {"w": "one"}})] * 64
        for text in texts:
            event = HEAD | {"request_id": text, "features": {"w": text}}
            raw = json.dumps(event, separators=(",", ":"), ensure_ascii=plain)
            values.append(raw.encode("utf-8", "surrogatepass"))

        assert_same("predictions", values, stencils())


@pytest.mark.parametrize("time", mutants.TIMES)
def test_every_time(time: str) -> None:
    events = [{"id": "1", "time": "2026-03-01T12:00:00Z", "model_name": "m", "request_id": "r"}]
    events = events * 64 + [events[0] | {"time": time}]

    assert_same("labels", [compact(event) for event in events], stencils())


@pytest.mark.parametrize("digits", range(8))
def test_times_of_a_second_are_read_together(digits: int) -> None:
    """Their seconds are read once for all of them, also where some are none."""
    figures = random.Random(digits)
    times = []
    for i in range(400):
        second = f"2026-{1 + i // 80:02d}-03T12:{i // 50:02d}:{57 + i // 150:02d}"
        micros = "".join(figures.choices("0123456789", k=digits))
        times.append(f"{second}.{micros}Z" if digits else f"{second}Z")
    for i, odd in enumerate(("x", " ", "-", ":", "+")):
        place = 20 + i % max(digits, 1)
        times[40 * i + 7] = times[40 * i + 7][:place] + odd + times[40 * i + 7][place + 1 :]
    times[300] = times[300][:-1] + "z"
    times[310] = times[310].replace(".", ",")
    times[320] = times[320].replace("T", " ")
    for i in range(390, 395):
        times[i] = times[i].replace(":59", ":60")
    bulk = stencils()

    assert_same("labels", [labelled(time) for time in times], bulk)

    assert bulk.taken >= 385 or digits > 6


@pytest.mark.parametrize("zone", ["+00:00", "-05:30"])
@pytest.mark.parametrize("fraction", ["", ".5", ".123", ".123456"])
def test_times_with_an_offset_are_read_though_some_are_as_long_as_times_in_utc(
    zone: str, fraction: str
) -> None:
    bulk = stencils()

    times = [f"2026-03-01T12:{i // 100:02d}:00{fraction}{zone}" for i in range(400)]
    assert_same("labels", [labelled(time) for time in times], bulk)

    assert bulk.taken == 400


def labelled(time: str) -> bytes:
    event = {"id": "1", "time": time, "model_name": "m", "request_id": "r", "label": "a"}
    return compact(event)


def test_a_few_events_with_more_between_their_values_are_read_with_the_others() -> None:
    bulk = stencils()
    values = []
    for i in range(500):
        event: dict[str, Any] = HEAD | {"request_id": f"r{i}", "features": {"x": i + 0.5}}
        event["features"]["w"] = "a, b" if i == 400 else None if i % 7 == 0 else f"word {i % 3}"
        if i % 40 == 9:
            event["status"] = ("error", "timeout", "ok")[i % 3]
        if i % 90 == 11:
            event["kind"] = "a"
        values.append(compact(event | {"prediction": {"score": 0.25}}))

    for _ in range(2):
        assert_same("predictions", values, bulk)

    assert bulk.taken >= 970
    topic = bulk.bulk._topics["predictions", "prediction"]
    assert len(topic.plans) > len(topic.families)


def test_a_quote_within_a_text_is_no_event() -> None:
    good = compact(HEAD | {"request_id": "r", "features": {"w": "one"}})
    odd = good.replace(b'"one"', b'"o"e"')

    assert_same(
        "predictions", [good] * 64 + [odd, good.replace(b'"one"', b'"one" "two"')], stencils()
    )


def test_more_texts_than_are_remembered() -> None:
    bulk = stencils()
    for batch in range(3):
        events = [
            HEAD
            | {"model_name": f"model {i}" if i == 7 else f"model-{batch}-{i}", "request_id": "r"}
            | {"features": {"zip": f"{batch * i:06d}", "city": f"city number {i + batch}"}}
            for i in range(9_000)
        ]
        assert_same("predictions", [compact(event) for event in events], bulk)

    assert bulk.taken == 3 * 9_000 - 3


def test_features_that_are_left_out_share_a_block() -> None:
    bulk = Stencilled(take_none)
    names = [f"n{i}" for i in range(8)]
    events = []
    for i in range(1_000):
        features = {name: i + 0.5 for name in names if name != f"n{i % 3}" or i % 50}
        events.append(HEAD | {"request_id": str(i), "features": features})
    records = records_of("predictions", [compact(event) for event in events])

    for _ in range(3):
        taken = bulk("prediction", records, np.arange(1_000), np.full(1_000, np.inf))

    assert len(taken.left) == 0
    assert len(taken.blocks) == 1
    slow = decode(records, KINDS, blocks=True, bulk=take_none)
    assert mutants.rows_of(taken.blocks) == mutants.rows_of(slow.blocks)


def test_a_flood_of_writers_costs_little() -> None:
    bulk = stencils()
    for batch in range(8):
        events = [
            HEAD | {"request_id": "r", "features": {f"of {batch} {i} {j}": j for j in range(5)}}
            for i in range(200)
        ]
        assert_same("predictions", [compact(event) for event in events], bulk)

    topic = bulk.bulk._topics["predictions", "prediction"]
    assert len(topic.plans) <= MOST_STENCILS
    assert topic.pause > 1


def test_a_feature_that_was_null_at_first_is_a_number_later() -> None:
    bulk = stencils()
    for values in ([None] * 100, [None, 1.5] * 100, [2.5] * 100, ["text"] * 100):
        events = [HEAD | {"request_id": "r", "features": {"x": x, "y": 1}} for x in values]
        assert_same("predictions", [compact(event) for event in events], bulk)

    assert bulk.taken >= 100 + 100 + 100


def test_request_ids_stay_in_the_buffer() -> None:
    bulk = Stencilled(take_none)
    values = [compact(HEAD | {"request_id": f"r-{i}"}) for i in range(100)]
    records = records_of("predictions", values)

    block = bulk("prediction", records, np.arange(100), np.full(100, np.inf)).blocks[0]

    assert isinstance(block, PredictionBlock)
    assert isinstance(block.request_id, Spans)
    assert block.request_id.texts().tolist() == [f"r-{i}" for i in range(100)]


def test_what_stencils_leave_goes_the_next_way() -> None:
    values = [compact(HEAD | {"request_id": f"r-{i}"}) for i in range(100)]
    values[50] = compact(HEAD | {"request_id": "r\n50"})
    values[70] = b"{}"
    records = records_of("predictions", values)

    taken = Stencilled(Learned())("prediction", records, np.arange(100), np.full(100, np.inf))

    assert taken.left.tolist() == [70]
    assert sorted(len(block) for block in taken.blocks) == [1, 98]
