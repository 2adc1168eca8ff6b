"""Records say the same however their values and keys are held."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.daemon.transport.ports import Partition, Record
from watchkeeper.daemon.transport.records import Records
from watchkeeper.daemon.transport.spans import Span

texts = st.none() | st.binary(max_size=12)
rows = st.lists(st.tuples(texts, texts), min_size=1, max_size=12)
FORMS = ("lists", "apart", "together", "values in spans")


def records(pairs: list[tuple[bytes | None, bytes | None]], form: str, number: int) -> Records:
    """Keys and values in one of the forms in which they come."""
    keys, values = [key for key, _ in pairs], [value for _, value in pairs]
    n = len(pairs)
    held: tuple[list[bytes | None] | None, Span | None] = (values, None)
    kept: list[bytes | None] | Span = keys
    if form != "lists":
        held = (None, Span.of(values))
    if form == "apart":
        kept = Span.of(keys)
    if form == "together":
        both = Span.of([b"before", *(each for pair in pairs for each in pair), b"behind"])
        kept = Span(both.buffer, both.start[1:-1:2], both.end[1:-1:2])
        held = (None, Span(both.buffer, both.start[2:-1:2], both.end[2:-1:2]))
    place, offset = np.zeros(n, dtype=np.int32), np.arange(n, dtype=np.int64)
    return Records((Partition("t", number),), place, offset, np.zeros(n), *held, kept)


def told(found: Records) -> list[Record]:
    listed = list(found)
    assert [record.key for record in listed] == (found.keys or [None] * len(found))
    assert [record.value for record in listed] == found.values()
    return listed


@given(st.lists(st.tuples(rows, st.sampled_from(FORMS)), min_size=1, max_size=4))
def test_joined_and_chosen_records_are_those_that_were_given(
    drawn: list[tuple[list[tuple[bytes | None, bytes | None]], str]],
) -> None:
    parts = [records(pairs, form, i) for i, (pairs, form) in enumerate(drawn)]
    plain = [record for i, (pairs, _) in enumerate(drawn) for record in records(pairs, "lists", i)]

    joined = Records.joined(parts)
    order = np.array([i for i in range(len(plain)) if i % 3 != 1][::-1], dtype=np.int64)

    assert told(joined) == plain
    assert told(joined.take(order)) == [plain[i] for i in order]
    assert told(joined[1:]) == plain[1:]
    assert joined.size() == sum(len(r.key or b"") + len(r.value or b"") for r in plain)


@pytest.mark.parametrize("form", FORMS)
def test_a_small_rest_does_not_hold_a_large_buffer(form: str) -> None:
    pairs: list[tuple[bytes | None, bytes | None]] = [(b"key", b"x" * 1_000)] * 200
    whole = records(pairs, form, 0)

    rest = whole[-3:].compact()

    assert told(rest) == told(whole[-3:])
    assert not rest.in_buffer or len(rest.span().buffer) < 4_000
