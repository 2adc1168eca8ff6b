"""Both splitters, next to what was put into the batches, and next to each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.transport.drawn import (
    APPEND_TIME,
    Batch,
    Row,
    lasts_before_batches,
    plain_batches,
)
from tests.examples import examples
from watchkeeper.daemon.transport import batches, batches_arrays
from watchkeeper.daemon.transport.batches import Cursor, Split, Splitter
from watchkeeper.daemon.transport.ports import Headers
from watchkeeper.daemon.transport.spans import Span

SPLITTERS = pytest.mark.parametrize(
    "split", [batches.split, batches_arrays.split, batches.best()], ids=["loop", "arrays", "best"]
)
Found = tuple[int, float, bytes | None, bytes | None, Headers]


@pytest.fixture(autouse=True, scope="module", params=[0, 1 << 40], ids=["by zeros", "one by one"])
def _however_small(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches_arrays, "_WORTH_IT", 0)
        patch.setattr(batches_arrays, "_MANY", request.param)
        yield


def keys_of(piece: Split) -> list[bytes | None] | None:
    return piece.keys.values() if isinstance(piece.keys, Span) else piece.keys


def found(piece: Split) -> list[Found]:
    values = piece.span.values() if piece.span is not None else piece.values
    assert values is not None
    keys = keys_of(piece) or [None] * len(piece)
    headers = [()] * len(piece) if piece.headers is None else piece.headers
    offset, at = piece.offset.tolist(), piece.at.tolist()
    return list(zip(offset, at, keys, values, headers, strict=True))


def whole(data: bytes, split: Splitter, most: int, floor: int = 0) -> tuple[list[Found], Split]:
    """Everything, a part after the other, and the last part."""
    cursor, records = Cursor(0), []
    while True:
        piece = split(data, cursor, len(data), most, floor, batches.PLAIN, True)
        assert len(piece) <= most
        records += found(piece)
        if piece.stop != "full":
            return records, piece
        assert piece.cursor != cursor
        cursor = piece.cursor


def same(one: Split, other: Split) -> None:
    """That two splits say the same to the last bit."""
    assert found(one) == found(other)
    assert keys_of(one) == keys_of(other)
    for name in ("headers", "size", "stop", "cursor", "position", "epoch", "fault"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.at.tobytes() == other.at.tobytes()
    assert one.offset.dtype == other.offset.dtype == np.int64


@SPLITTERS
@settings(deadline=None)
@given(plain_batches(), st.integers(1, 40), st.data())
def test_what_was_put_in_comes_out(
    split: Splitter, drawn: list[Batch], most: int, draw: st.DataObject
) -> None:
    data = b"".join(batch.encoded() for batch in drawn)
    everything = [each for batch in drawn for each in batch.found()]
    floor = draw.draw(st.integers(0, drawn[-1].base + drawn[-1].last + 1))
    cut_off = drawn[0].encoded()[: draw.draw(st.integers(0, 70))][:-1]

    records, last = whole(data + cut_off, split, most, floor)

    assert records == [each for each in everything if each[0] >= floor]
    assert (last.stop, last.fault, last.cursor) == ("end", "", Cursor(len(data)))
    if last.position >= 0:
        assert last.position == drawn[-1].base + drawn[-1].last + 1
        assert last.epoch == 7


@settings(max_examples=examples(300), deadline=None)
@given(lasts_before_batches(), st.integers(1, 40), st.booleans(), st.data())
def test_both_splitters_say_the_same_of_broken_bytes(
    drawn: list[Batch], most: int, check: bool, draw: st.DataObject
) -> None:
    data = bytearray(b"".join(batch.encoded() for batch in drawn))
    for _ in range(draw.draw(st.integers(0, 4))):
        at = draw.draw(st.integers(0, len(data) - 1))
        data[at] = draw.draw(st.sampled_from([0, 1, 2, 127, 128, 255, data[at] ^ 1]))
    floor = draw.draw(st.sampled_from([0, drawn[0].base + 3]))
    stops = draw.draw(st.sampled_from([0, batches.PLAIN]))
    cursor, stop = Cursor(0), "full"
    for _ in range(20):
        given = (bytes(data), cursor, len(data), most, floor, stops, check)
        piece = batches.split(*given)
        same(piece, batches_arrays.split(*given))
        same(piece, batches.best()(*given))
        cursor, stop = piece.cursor, piece.stop
        if stop != "full":
            break


def batch_of(values: list[bytes], base: int = 0) -> Batch:
    rows = [Row(i, i, None, value, ()) for i, value in enumerate(values)]
    return Batch(rows, base, len(rows) - 1)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("flags", [0, 0x08])
def test_both_splitters_say_the_same_of_every_broken_head(check: bool, flags: int) -> None:
    batch = batch_of([b"%d" % i for i in range(4)], 100)._replace(flags=flags)
    good = batch.encoded()
    for at in range(batches.HEADER_SIZE + 4):
        for value in {0, 1, 2, 3, 127, 128, 255, good[at] ^ 1, good[at] ^ 2, good[at] ^ 128}:
            data = good[:at] + bytes([value]) + good[at + 1 :] + good
            for most in (2, 100):
                given = (data, Cursor(0), len(data), most, 0, batches.PLAIN, check)
                piece = batches.split(*given)
                same(piece, batches_arrays.split(*given))
                same(piece, batches.best()(*given))


@SPLITTERS
def test_what_is_before_a_broken_record_is_kept(split: Splitter) -> None:
    good = batch_of([b"%d" % i for i in range(30)])
    data = bytearray(good.encoded())
    broken = data.index(b"17")
    data[broken - 1] = 0xFF

    piece = split(bytes(data), Cursor(0), len(data), 100, 0, batches.PLAIN, False)

    assert [each[3] for each in found(piece)] == [b"%d" % i for i in range(17)]
    assert (piece.stop, piece.position) == ("fault", 17)
    assert "behind offset 16" in piece.fault


@SPLITTERS
def test_a_wrong_checksum_costs_its_batch_alone(split: Splitter) -> None:
    first, second = batch_of([b"a", b"b"]).encoded(), bytearray(batch_of([b"c"], 2).encoded())
    second[-2] ^= 1
    data = first + bytes(second)

    piece = split(data, Cursor(0), len(data), 100, 0, batches.PLAIN, True)

    assert [each[3] for each in found(piece)] == [b"a", b"b"]
    assert (piece.stop, piece.position, piece.cursor.batch) == ("fault", 2, len(first))
    assert piece.fault == "the batch at offset 2 has a wrong checksum"


@SPLITTERS
def test_it_stops_before_what_is_not_plain(split: Splitter) -> None:
    packed = batch_of([b"c"], 2)._replace(codec=1)
    data = batch_of([b"a", b"b"]).encoded() + packed.encoded()

    piece = split(data, Cursor(0), len(data), 100, 0, batches.PLAIN, True)

    assert len(piece) == 2
    assert piece.stop == "other"
    assert data[piece.cursor.batch :] == packed.encoded()


@SPLITTERS
@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_offsets_that_do_not_rise_are_refused(split: Splitter, most: int) -> None:
    rows = [Row(i, 0, b"k", b"v", ()) for i in (0, 1, 1, 2)]
    data = Batch(rows, 0, 3).encoded()

    records, last = whole(data, split, most)

    assert [each[0] for each in records] == [0, 1]
    assert last.stop == "fault"


@SPLITTERS
@pytest.mark.parametrize("last", [-2, -25, -(1 << 31)])
def test_a_batch_without_records_never_sends_back(split: Splitter, last: int) -> None:
    data = batch_of([b"%d" % i for i in range(30)]).encoded() + Batch([], 30, last).encoded()

    piece = split(data, Cursor(0), len(data), 100, 0, batches.PLAIN, True)

    assert len(piece) == 30
    assert (piece.stop, piece.position) == ("fault", 30)
    assert piece.fault == "the batch at offset 30 has a record behind its last offset"


@SPLITTERS
@pytest.mark.parametrize("flags", [0, APPEND_TIME])
def test_the_earliest_timestamp_there_can_be_is_none(split: Splitter, flags: int) -> None:
    rows = [Row(i, i - 20, None, b"%d" % i, ()) for i in range(40)]
    earliest = -(1 << 63)
    data = Batch(rows, 0, 39, flags=flags, first=earliest, newest=earliest).encoded()

    piece = split(data, Cursor(0), len(data), 100, 0, batches.PLAIN, True)

    assert piece.at.tolist() == [0.0] * 40


def test_a_packed_batch_becomes_a_plain_one() -> None:
    drawn = batch_of([b"a" * 100, b"b"])
    packed = drawn._replace(codec=1).encoded()
    records = drawn.encoded()[batches.HEADER_SIZE :]

    made = batches.plain(packed[: batches.HEADER_SIZE], records)

    piece = batches.split(made, Cursor(0), len(made), 100, check=False)
    assert found(piece) == drawn.found()
    assert piece.stop == "end"


def test_records_without_headers_are_found_by_the_zeros_around_their_lengths() -> None:
    rows = [Row(i, i // 3, b"key", b'{"n":%d}' % 10 ** (i % 90), ()) for i in range(300)]
    data = b"".join(Batch(rows, base, 299).encoded() for base in (0, 300, 900))

    for most in (40, 150, 450, 1_000):
        cursor = Cursor(0)
        heads = batches_arrays._heads(data, cursor, len(data), most, batches.PLAIN, True)
        found = batches_arrays._between_zeros(data, heads)

        if not batches_arrays._MANY:
            assert found is not None
            for one, other in zip(found, batches_arrays._one_by_one(data, heads), strict=True):
                assert one.tolist() == other.tolist()
        same(
            batches_arrays.split(data, cursor, len(data), most),
            batches.split(data, cursor, len(data), most),
        )
