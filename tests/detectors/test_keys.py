"""Keys of texts are the same however many are made at once."""

from __future__ import annotations

import numpy as np
import pytest

from watchkeeper.detectors.keys import key_of, keys_of, keys_of_bytes, keys_of_known

TEXTS = ["", "a", "a" * 8, "a" * 9, "é", "\udc80", "r" + "0" * 12, "many words " * 30, "\0", "\0\0"]


def test_one_key_is_that_of_many() -> None:
    random = np.random.default_rng(1)
    raw = [random.bytes(length) for length in random.integers(0, 40, 500)]

    assert [key_of(each) for each in raw] == keys_of_bytes(raw).tolist()


@pytest.mark.parametrize("count", [1, 3, 8, 9, 100])
def test_texts_have_the_same_keys_in_any_company(count: int) -> None:
    company: list[str | None] = [None, *(f"other {i}" for i in range(count - 1))]

    for text in TEXTS:
        assert keys_of([text, *company])[0] == keys_of([text])[0]
        assert keys_of([text, *company])[1] == 0


def test_different_texts_have_different_keys_and_none_is_0() -> None:
    keys = keys_of(TEXTS)

    assert len(set(keys.tolist())) == len(TEXTS)
    assert keys.all()


@pytest.mark.parametrize("count", [0, 2, 64, 65])
def test_keys_of_what_comes_again_are_the_same(count: int) -> None:
    texts = tuple(f"category {i}" for i in range(count))

    assert keys_of_known(texts).tolist() == keys_of(texts).tolist()
