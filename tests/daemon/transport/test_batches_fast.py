"""The compiled splitter next to the specification."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compiled import needs_kernels
from tests.daemon.transport import crafted
from tests.daemon.transport.drawn import Batch, Row, lasts_before_batches
from tests.daemon.transport.test_batches import same
from tests.examples import examples
from watchkeeper.daemon.transport import batches, batches_fast
from watchkeeper.daemon.transport.batches import Cursor

pytestmark = needs_kernels


def assert_same(data: bytes, most: int, floor: int, stops: int, check: bool) -> None:
    """That both say the same, call by call, until nothing more comes."""
    cursor = Cursor(0)
    for _ in range(50):
        piece = batches.split(data, cursor, len(data), most, floor, stops, check)
        same(piece, batches_fast.split(data, cursor, len(data), most, floor, stops, check))
        cursor = piece.cursor
        if piece.stop != "full":
            return


@settings(max_examples=examples(200), deadline=None)
@given(lasts_before_batches(), st.integers(1, 40), st.booleans(), st.data())
def test_it_says_the_same_of_right_and_broken_bytes(
    drawn: list[Batch], most: int, check: bool, draw: st.DataObject
) -> None:
    data = bytearray(b"".join(batch.encoded() for batch in drawn))
    for _ in range(draw.draw(st.integers(0, 3))):
        at = draw.draw(st.integers(0, len(data) - 1))
        data[at] = draw.draw(st.sampled_from([0, 1, 2, 127, 128, 255, data[at] ^ 1]))
    floor = draw.draw(st.sampled_from([0, drawn[0].base + 3]))
    stops = draw.draw(st.sampled_from([0, batches.PLAIN]))

    assert_same(bytes(data), most, floor, stops, check)


def drawn_row(rng: random.Random, delta: int) -> Row:
    key = rng.choice((None, b"", b"model-1", rng.randbytes(rng.randrange(200))))
    value = rng.choice((None, b"", rng.randbytes(rng.choice((3, 70, 9_000)))))
    headers = (("name", rng.choice((None, b"", b"x" * 70))),) if rng.random() < 0.1 else ()
    return Row(delta, rng.randrange(-(10**6), 10**9), key, value, headers)


def test_it_says_the_same_of_thousands_of_mutants() -> None:
    rng = random.Random(20_261_122)
    for _ in range(1_500):
        base, whole = rng.randrange(2**40), b""
        for _ in range(rng.choice((1, 3, 9))):
            deltas = sorted(rng.sample(range(40), rng.choice((0, 1, 4, 20))))
            rows = [drawn_row(rng, delta) for delta in deltas]
            whole += Batch(rows, base, 39).encoded()
            base += 40
        data = bytearray(whole)
        for _ in range(rng.choice((0, 0, 1, 2))):
            near_start = rng.randrange(min(len(data), 90))
            at = rng.choice((near_start, rng.randrange(len(data))))
            data[at] = rng.choice((0, 1, 127, 128, 255, data[at] ^ 1, rng.randrange(256)))
        cut = len(data) - rng.choice((0, 0, 1, 20, 70))

        assert_same(bytes(data[: max(cut, 1)]), rng.choice((1, 7, 1_000)), 0, batches.PLAIN, False)


def test_the_earliest_numbers_there_can_be() -> None:
    rows = [Row(i, i - 20, None, b"%d" % i, ()) for i in range(40)]
    for first, base in ((-(1 << 63), 0), (0, -(1 << 63)), (-(1 << 53), 0), (1 << 53, 0)):
        data = Batch(rows, base, 39, first=first).encoded()

        assert_same(data, 100, 0, batches.PLAIN, True)


def test_values_stay_in_the_buffer() -> None:
    rows = [Row(i, i, None, b"value %d" % i, ()) for i in range(9)]
    data = Batch(rows, 5, 8).encoded()

    piece = batches_fast.split(data, Cursor(0), len(data), 100)

    assert piece.values is None
    assert piece.span is not None
    assert piece.span.buffer is data
    assert piece.span.values() == [row.value for row in rows]


def test_a_bad_header_below_the_floor_is_a_fault() -> None:
    header = crafted.varint(4) + b"name"
    bad = crafted.record(0, b"v", [(b"name", b"x")]).replace(header, crafted.varint(-4) + b"name")
    data = crafted.batch(bad + crafted.record(1, b"v"), 2)

    piece = batches_fast.split(data, Cursor(0), len(data), 10, 1)

    assert piece.stop == "fault"
    assert_same(data, 10, 1, batches.PLAIN, True)


def test_batches_of_one_record_are_split_at_once() -> None:
    data = b"".join(Batch([Row(0, i, b"k", b"value", ())], i, 0).encoded() for i in range(500))

    piece = batches_fast.split(data, Cursor(0), len(data), 300)

    assert piece.span is not None
    assert piece.offset.tolist() == list(range(300))
    assert (piece.stop, piece.position) == ("full", 300)
