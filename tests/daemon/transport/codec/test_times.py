"""Times read in bulk are those that msgspec reads one by one."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from watchkeeper.daemon.transport.codec.times import seconds_of
from watchkeeper.detectors.events import Time

_decode = msgspec.json.Decoder(Time).decode


def one_by_one(texts: list[str]) -> list[float]:
    found = []
    for text in texts:
        try:
            found.append(_decode(msgspec.json.encode(text)).timestamp())
        except msgspec.ValidationError:
            found.append(float("nan"))
    return found


likely = st.from_regex(
    r"(19|20|21|22|99)[0-9]{2}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]"
    r"(\.[0-9]{0,8})?(Z|z|[+-][0-2][0-9]:?[0-6][0-9])?",
    fullmatch=True,
)
moments = st.datetimes(timezones=st.timezones()).map(lambda t: t.isoformat())
odd = st.builds(
    lambda text, place, by: text[:place] + by + text[place + 1 :],
    likely,
    st.integers(0, 30),
    st.characters(codec="utf-8"),
)


@settings(deadline=None, max_examples=examples(500))
@given(st.lists(st.one_of(likely, likely, moments, odd, st.text(max_size=30)), max_size=9))
@example(["2026-03-01T12:00:00Z", "2026-03-01T12:00:00.5Z", "2026-03-01T12:00:00.25Z"] * 3)
@example(["2024-02-29T23:59:59.999999Z", "2023-02-29T23:59:59.999999Z"])
@example(["2026-03-01T12:00:0:Z", "2026-03-01T12:00:0/Z", "2026-03-01T12:00:60Z"])
@example(["2026-03-01T12:00:00+24:00", "2026-03-01T12:00:00-23:59", "2026-03-01T12:00:00+00:60"])
@example(["1970-01-01T00:00:00.000001+01:00", "2199-12-31T23:59:59.999999-12:00"])
def test_they_are_the_same_to_the_bit(texts: list[str]) -> None:
    np.testing.assert_array_equal(seconds_of(texts), one_by_one(texts))


@pytest.mark.parametrize("years", [range(1970, 2200)])
def test_every_day_is_known(years: range) -> None:
    texts = [
        f"{year}-{month:02}-{day:02}T00:00:00Z"
        for year in years
        for month in (1, 2, 3, 12)
        for day in range(33)
    ]

    np.testing.assert_array_equal(seconds_of(texts), one_by_one(texts))
