"""Parts of windows as messages: exact, refused when damaged, and merged once however they come."""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.examples import examples
from watchkeeper.daemon.storage import snapshots
from watchkeeper.daemon.transport import partials
from watchkeeper.daemon.transport.partials import (
    BadPartials,
    Chains,
    Link,
    Part,
    Partials,
    Span,
    decode,
    encode,
    message,
)
from watchkeeper.daemon.transport.ports import Partition

ARRAYS = arrays.arrays(
    dtype=st.sampled_from([np.int64, np.int32, np.uint64, np.float64, np.bool_]),
    shape=arrays.array_shapes(max_dims=3, max_side=5),
)
PARTS = st.builds(
    Part,
    version=st.text(max_size=10),
    signal=st.text(max_size=10),
    window=st.integers(-(2**62), 2**62),
    width=st.floats(0.001, 1e9),
    reference=st.text(max_size=10),
    arrays=st.dictionaries(st.text(max_size=8), ARRAYS, max_size=3),
)


def span(end: int, after: int | None = None, *, number: int = 3, mark: float = 0.0) -> Span:
    return Span("predictions", number, after, end, mark)


def said(*spans: Span, epoch: int = 1, parts: Sequence[Part] = ()) -> Partials:
    return Partials("fraud", epoch, spans, tuple(parts))


def part(n: int, size: int = 4) -> Part:
    return Part("1", "errors", 10, 60.0, "abc", {"status": np.full(size, n, dtype=np.int64)})


@settings(max_examples=examples(100), deadline=None)
@given(parts=st.lists(PARTS, max_size=4), epoch=st.integers(0, 2**62))
def test_what_is_written_is_read_to_the_last_bit(parts: list[Part], epoch: int) -> None:
    written = said(span(7, 2, mark=-math.inf), epoch=epoch, parts=parts)

    found = decode(encode(written))

    assert (found.model, found.epoch, found.spans) == ("fraud", epoch, written.spans)
    for mine, theirs in zip(found.parts, parts, strict=True):
        assert msgspec.structs.replace(mine, arrays={}) == msgspec.structs.replace(
            theirs, arrays={}
        )
        assert {n: (a.dtype, a.shape, a.tobytes()) for n, a in mine.arrays.items()} == {
            n: (a.dtype, a.shape, a.tobytes()) for n, a in theirs.arrays.items()
        }


@pytest.mark.parametrize("size", [4, 4_000])
def test_a_changed_byte_is_refused(size: int) -> None:
    whole = encode(said(span(7), parts=[part(1, size)]))
    chance = random.Random(5)

    for _ in range(200):
        at, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        broken = bytearray(whole)
        broken[at] ^= bit
        with pytest.raises(BadPartials):
            decode(bytes(broken))
    for cut in range(0, len(whole), max(len(whole) // 50, 1)):
        with pytest.raises(BadPartials):
            decode(whole[:cut])


def test_another_layout_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "LAYOUT", 2)
    newer = encode(said(span(7)))
    monkeypatch.undo()

    with pytest.raises(BadPartials, match="layout 2: this program reads 1"):
        decode(newer)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "LARGEST", 10_000)

    with pytest.raises(BadPartials, match="more than 10000 bytes"):
        decode(snapshots.seal(b"\x01" + zlib.compress(bytes(50_000_000)), partials.LAYOUT))


def test_text_in_place_of_an_array_is_refused() -> None:
    odd = {**msgspec.structs.asdict(part(1)), "arrays": {"status": "no array"}}
    written = {**msgspec.structs.asdict(said(span(7))), "parts": [odd]}
    body = snapshots.encode(written, partials.LAYOUT)

    with pytest.raises(BadPartials, match="cannot be read"):
        decode(snapshots.seal(b"\x00" + body, partials.LAYOUT))


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (Partials("", 1, (span(7),)), "no model"),
        (Partials("fraud", 1, ()), "no partition"),
        (said(span(7), span(9)), "twice"),
        (said(span(7, 7)), "no records"),
        (said(span(7, 9)), "no records"),
        (said(span(7, -1)), "no records"),
        (said(span(0)), "no records"),
        (said(span(7, mark=math.nan)), "a mark of nan"),
        (said(span(7, mark=math.inf)), "a mark of inf"),
        (said(span(7), parts=[msgspec.structs.replace(part(1), width=0.0)]), "windows of 0"),
    ],
)
def test_nonsense_is_refused(bad: Partials, why: str) -> None:
    with pytest.raises(BadPartials, match=why):
        decode(encode(bad))


def test_counts_are_small_on_the_way() -> None:
    many = {f"x{n}:bins": np.arange(512, dtype=np.int64) % 7 for n in range(20)}
    whole = msgspec.structs.replace(part(1), arrays=many)

    assert len(encode(said(span(7), parts=[whole]))) < 20 * 512 * 8 / 10


def test_it_goes_to_the_models_key_under_a_name_of_its_own() -> None:
    sent = message(said(span(7, 2)), "watchkeeper.partials")

    headers = dict(sent.headers)
    assert (sent.topic, sent.key) == ("watchkeeper.partials", b"fraud")
    assert headers["ce_type"] == b"watchkeeper.partials.v1"
    assert headers["ce_id"] == b"fraud@predictions/3:7"
    assert sent.value is not None
    assert decode(sent.value).spans == (span(7, 2),)


@pytest.mark.parametrize(
    ("known", "next_one", "verdict"),
    [
        (None, said(span(7)), "merge"),
        (None, said(span(7, 2)), "gap"),
        (Link(7, 1, 0.0), said(span(9, 7)), "merge"),
        (Link(7, 1, 0.0), said(span(9, 7), epoch=4), "merge"),
        (Link(7, 4, 0.0), said(span(9, 7), epoch=1), "fenced"),
        (Link(7, 4, 0.0), said(span(7, 2), epoch=1), "seen"),
        (Link(7, 1, 0.0), said(span(12, 9)), "gap"),
        (Link(7, 1, 0.0), said(span(12, 2)), "torn"),
        (Link(7, 1, 0.0), said(span(12)), "torn"),
        (Link(7, 1, 0.0), said(span(9, 7), span(5, 2, number=4)), "gap"),
        (Link(7, 1, 0.0), said(span(7, 2), span(5, number=4)), "torn"),
    ],
)
def test_each_message_has_one_verdict(known: Link | None, next_one: Partials, verdict: str) -> None:
    chains = Chains({} if known is None else {Partition("predictions", 3): known})

    assert chains.judge(next_one) == verdict


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_messages_that_come_again_and_owners_that_crash_count_each_record_once(
    data: st.DataObject,
) -> None:
    """Each contributor sends its chain in order; links come again from anywhere before, and the
    owner goes back to what it has committed."""
    cuts = {
        number: data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=6))
        for number in range(data.draw(st.integers(1, 3)))
    }
    chains_sent: dict[int, list[Partials]] = {}
    for number, sizes in cuts.items():
        ends = np.cumsum(sizes).tolist()
        starts = [None, *ends[:-1]]
        chains_sent[number] = [
            said(span(end, after, number=number, mark=float(end)), parts=[part(size)])
            for size, after, end in zip(sizes, starts, ends, strict=True)
        ]
    at = dict.fromkeys(cuts, 0)
    chains, total = Chains(), 0
    stored = dict(chains.links), total
    while any(at[n] < len(chains_sent[n]) for n in cuts):
        number = data.draw(st.sampled_from([n for n in cuts if at[n] < len(chains_sent[n])]))
        sent = decode(encode(chains_sent[number][at[number]]))
        verdict = chains.judge(sent)
        assert verdict in ("merge", "seen")
        if verdict == "merge":
            chains.take(sent)
            total += int(sent.parts[0].arrays["status"][0])
        at[number] += 1
        what = data.draw(st.sampled_from(["go on", "again", "commit", "crash"]))
        if what == "again":
            at[number] = data.draw(st.integers(0, at[number]))
        elif what == "commit":
            stored = dict(chains.links), total
        elif what == "crash":
            chains, total = Chains(stored[0]), stored[1]
            at = dict.fromkeys(cuts, 0)

    assert total == sum(map(sum, cuts.values()))
    places = [Partition("predictions", n) for n in cuts]
    assert chains.mark(places) == min(sum(sizes) for sizes in cuts.values())


def test_event_time_waits_for_a_partition_that_said_nothing_yet() -> None:
    chains = Chains()
    chains.take(said(span(7, mark=100.0)))

    assert chains.mark([Partition("predictions", 3)]) == 100.0
    assert chains.mark([Partition("predictions", 3), Partition("predictions", 4)]) == -math.inf
