from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compiled import needs_kernels
from tests.daemon.transport.codec import mutants
from tests.daemon.transport.codec.beside import KINDS, Counted, assert_same, records_of, take_none
from tests.examples import examples
from watchkeeper.daemon.transport.codec.bulk import Learned
from watchkeeper.daemon.transport.codec.fast_json import MOST_NAMES, MOST_NEW, Compiled
from watchkeeper.daemon.transport.codec.router import decode
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.texts import Spans

pytestmark = needs_kernels


def kernels() -> Counted[Compiled]:
    return Counted(Compiled(take_none))


@pytest.fixture(scope="module")
def bulk() -> Counted[Compiled]:
    return kernels()


@pytest.mark.parametrize("topic", ["predictions", "labels"])
def test_kernels_and_decoder_agree_on_events_and_mutants(topic: str) -> None:
    rng, bulk = random.Random(20_261_122), kernels()
    make = mutants.prediction if topic == "predictions" else mutants.label

    for _ in range(10):
        whole = [mutants.written(make(rng), rng) for _ in range(2_000)]
        values = [mutants.mutant(raw, rng) if rng.random() < 0.85 else raw for raw in whole]
        assert_same(topic, values, bulk)

    assert bulk.taken > 1_000


def test_plain_events_are_all_taken() -> None:
    rng, bulk = random.Random(7), kernels()
    features = {"age": 31, "income": 1234.5, "city": "Bern", "ratio": 0.123456789012345678}
    values = []
    for i in range(1_000):
        event = mutants.prediction(rng)
        event |= {"features": features | {"age": i}, "prediction": {"score": rng.random()}}
        kept = {name: event[name] for name in ("id", "time", "model_name", "model_version")}
        kept |= {name: event[name] for name in ("request_id", "features", "prediction")}
        values.append(json.dumps(kept | {"model_name": "credit"}).encode())

    assert_same("predictions", values, bulk)

    assert bulk.taken == 1_000


def test_request_ids_stay_in_the_buffer(bulk: Counted[Compiled]) -> None:
    event = mutants.prediction(random.Random(1)) | {"model_name": "credit", "request_id": "r-1"}
    kept = ("id", "time", "model_name", "model_version", "request_id")
    value = json.dumps({name: event[name] for name in kept}).encode()

    taken = bulk("prediction", records_of("predictions", [value]), np.arange(1), np.full(1, np.inf))

    block = taken.blocks[0]
    assert isinstance(block, PredictionBlock)
    assert isinstance(block.request_id, Spans)
    assert block.request_id.texts().tolist() == ["r-1"]


@pytest.mark.parametrize("behind", ["", " ", "\n"])
def test_all_short_texts_of_the_signs_of_numbers(bulk: Counted[Compiled], behind: str) -> None:
    signs = ["".join(each) for n in range(1, 5) for each in itertools.product("059.-eE+", repeat=n)]
    whole = ["1234567", "123456.7", "0.123456", "12345678", "1234567.8", "-99999.9", "9999999e0"]
    event = '{"id":"1","time":"2026-03-01T12:00:00Z","model_name":"m","model_version":"1",'
    event += '"request_id":"r","features":{"x":1},"prediction":{"score":'

    assert_same("predictions", [f"{event}{sign}{behind}}}}}".encode() for sign in signs], bulk)
    assert_same("predictions", [f"{event}{sign}{behind}}}}}".encode() for sign in whole], bulk)


@pytest.mark.parametrize("value", [*mutants.NUMBERS, *mutants.TEXTS, *mutants.OTHERS])
@pytest.mark.parametrize("place", ["feature", "score", "label", "entity_id", "unknown"])
def test_every_value_in_every_place(bulk: Counted[Compiled], value: str, place: str) -> None:
    event = (
        '{"id":"1","time":"2026-03-01T12:00:00Z","model_name":"m","model_version":"1",'
        '"request_id":"r","features":{"x":<feature>},'
        '"prediction":{"score":<score>,"label":<label>},'
        '"entity_id":<entity_id>,"unknown":<unknown>}'
    ).replace(f"<{place}>", value)
    for name in ("feature", "score", "label", "entity_id", "unknown"):
        event = event.replace(f"<{name}>", "null")

    assert_same("predictions", [event.encode(errors="surrogatepass")] * 2, bulk)


@pytest.mark.parametrize("time", mutants.TIMES)
def test_every_time(bulk: Counted[Compiled], time: str) -> None:
    value = json.dumps({"id": "1", "time": time, "model_name": "m", "request_id": "r"}).encode()

    assert_same("labels", [value], bulk)


@given(
    numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(), max_size=30),
    text=st.text(max_size=300),
)
@settings(max_examples=examples(100), deadline=None)
def test_any_number_and_any_text(numbers: list[float | int], text: str) -> None:
    bulk = kernels()
    event = {"id": "1", "time": "2026-03-01T12:00:00Z", "model_name": "m", "model_version": "1"}
    features = {f"x{i}": number for i, number in enumerate(numbers)}
    more = {"request_id": text, "features": {**features, "word": text}}
    values = [
        json.dumps(event | more, ensure_ascii=plain).encode("utf-8", "surrogatepass")
        for plain in (True, False)
    ]

    assert_same("predictions", values, bulk)


def test_more_features_than_one_block_has_room_for(bulk: Counted[Compiled]) -> None:
    def event(i: int) -> bytes:
        features = {f"of {i} {j}": j for j in range(600)}
        head = {"id": "1", "time": "2026-03-01T12:00:00Z", "model_name": "m"}
        more = {"model_version": "1", "request_id": "r", "features": features}
        return json.dumps(head | more).encode()

    values = [event(i) for i in range(12)]

    assert_same("predictions", values, bulk)


def test_a_flood_of_names_is_not_remembered(bulk: Counted[Compiled]) -> None:
    head = {"id": "1", "time": "2026-03-01T12:00:00Z", "model_name": "m", "model_version": "1"}

    for batch in range(5):
        features = [{f"{batch} {i} {j}": j for j in range(2_000)} for i in range(8)]
        values = [json.dumps(head | {"request_id": "r", "features": f}).encode() for f in features]
        assert_same("predictions", values, bulk)
        # The table doubles as it grows.
        assert bulk.bulk._known.room <= 2 * (MOST_NAMES + MOST_NEW)


def test_events_of_many_schemas_stand_in_few_dense_blocks() -> None:
    rng, bulk = random.Random(8), kernels()
    values = []
    for i in range(3_000):
        schema = rng.randrange(120)
        features = {f"of {schema} {j}": rng.choice((j, 0.5, "text", None)) for j in range(14)}
        head = {"id": "1", "time": "2026-03-01T12:00:00Z", "model_name": f"m{schema}"}
        more = {"model_version": "1", "request_id": str(i), "features": features}
        values.append(json.dumps(head | more).encode())

    for _ in range(3):
        assert_same("predictions", values, bulk)

    taken = bulk.bulk(
        "prediction", records_of("p", values), np.arange(3_000), np.full(3_000, np.inf)
    )
    cells = sum(
        len(block) * (len(block.numeric) + len(block.categorical))
        for block in taken.blocks
        if isinstance(block, PredictionBlock)
    )
    assert len(taken.blocks) < 60
    assert cells < 60 * 65_536


def test_a_buffer_that_is_too_short_for_an_event(bulk: Counted[Compiled]) -> None:
    assert_same("predictions", [b"{}"], bulk)


def test_names_that_share_a_key_or_begin_alike(bulk: Counted[Compiled]) -> None:
    head = {"id": "1", "time": "2026-03-01T12:00:00Z", "model_name": "m", "model_version": "1"}
    names = ["a", "ab", "abcdefgh", "abcdefghi", "", "id", "score", "x" * 128, "é" * 64, "é" * 128]
    values = [
        json.dumps(head | {"request_id": "r", "features": dict.fromkeys(names[i:], i)}).encode()
        for i in range(len(names))
    ]

    assert_same("predictions", values * 2, bulk)


def test_what_the_kernels_leave_goes_the_next_way() -> None:
    head = {"id": "1", "time": "2026-03-01T12:00:00Z", "model_name": "m", "model_version": "1"}
    answers = [{"score": 0.5}, {"probabilities": {"0": 0.25, "1": 0.75}}, {"label": "\n"}, {}]
    events = [head | {"request_id": str(i), "prediction": each} for i, each in enumerate(answers)]
    records = records_of("predictions", [json.dumps(event).encode() for event in events])

    taken = Compiled(Learned())("prediction", records, np.arange(4), np.full(4, np.inf))

    assert len(taken.left) == 0
    assert [block.seq.tolist() for block in taken.blocks] == [[0, 3], [1, 2]]
    slow = decode(records, KINDS, blocks=True, bulk=take_none)
    assert mutants.rows_of(taken.blocks) == mutants.rows_of(slow.blocks)


def test_events_and_mutants_by_both_fast_ways() -> None:
    rng, bulk = random.Random(31), Counted(Compiled(Learned()))

    for _ in range(3):
        whole = [mutants.written(mutants.prediction(rng), rng) for _ in range(1_000)]
        values = [mutants.mutant(raw, rng) if rng.random() < 0.5 else raw for raw in whole]
        assert_same("predictions", values, bulk)

    assert bulk.taken > 1_000
