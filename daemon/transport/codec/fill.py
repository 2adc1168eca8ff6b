"""Decoded rows of one shape to the columns of a block."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from watchkeeper.daemon.transport.codec.columns import EARLIEST, from_probabilities, is_distribution
from watchkeeper.daemon.transport.codec.dense import dense, without_empty
from watchkeeper.daemon.transport.codec.features import objects
from watchkeeper.daemon.transport.codec.filled import Column, Filled
from watchkeeper.daemon.transport.codec.json import NAME
from watchkeeper.daemon.transport.codec.times import seconds_of
from watchkeeper.detectors.blocks import Block, LabelBlock, Member, PredictionBlock
from watchkeeper.detectors.keys import Keys, keys_of, mixed
from watchkeeper.detectors.texts import Codes, Words
from watchkeeper.detectors.types import (
    STATUS_CODES,
    BoolArray,
    FloatArray,
    IntArray,
)

_INT64 = float(2**63)


def prediction_block(
    filled: Filled, seq: IntArray, latest: FloatArray
) -> tuple[list[Block], BoolArray | None]:
    """The block of predictions, and which rows are not in it; None: all are."""
    n = len(filled)
    at, good = _times(filled, latest)
    models, versions = filled.words("model_name"), filled.words("model_version")
    good &= named(models) & named(versions)
    members, member = members_of(models, versions)
    numeric, categorical = _features(filled, good)
    label, score, value, valid = _answers(filled, n)
    requests, entities = filled.kept("request_id") or [], filled.kept("entity_id")
    status = filled.kept("status")
    block = PredictionBlock(
        members=members,
        member=member,
        at=at,
        seq=seq,
        key=keys(requests),
        request_id=objects(requests),
        entity_key=np.zeros(n, dtype=np.uint64) if entities is None else keys_of(entities),
        entity=np.full(n, None) if entities is None else objects(entities),
        duration_s=filled.numbers("duration_s"),
        status=np.zeros(n, dtype=np.int64) if status is None else _status(status),
        label=label,
        score=score,
        value=value,
        output_valid=valid,
        numeric=numeric,
        categorical=categorical,
    )
    if good.all():
        return dense(block), None
    return (dense(without_empty(block.take(good))) if good.any() else []), ~good


def label_block(
    filled: Filled, seq: IntArray, latest: FloatArray
) -> tuple[list[Block], BoolArray | None]:
    """The block of labels, and which rows are not in it; None: all are."""
    at, good = _times(filled, latest)
    models = filled.words("model_name")
    good &= named(models)
    requests = filled.kept("request_id") or []
    block = LabelBlock(
        models=models.words,
        model=models.codes,
        at=at,
        seq=seq,
        key=keys(requests),
        request_id=objects(requests),
        label=filled.words("label"),
        value=filled.numbers("value"),
        source=filled.words("source").if_any(),
    )
    if good.all():
        return [block], None
    return ([block.take(good)] if good.any() else []), ~good


def _times(filled: Filled, latest: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Every row's time, and whether it can be right."""
    at = seconds_of(filled.kept("time") or [])
    return at, (at >= EARLIEST) & (at <= latest)  # NaN, no time, is neither


@functools.lru_cache(maxsize=65_536)
def _is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None


def named(words: Words) -> BoolArray | np.bool_:
    """Whether a row's text may be a name; each is looked at once."""
    right = np.fromiter(map(_is_name, words.words), np.bool_, len(words.words))
    return np.bool_(True) if right.all() else right[words.codes]


def members_of(models: Words, versions: Words) -> tuple[tuple[Member, ...], Codes]:
    """Each row's model and version as one code."""
    many = len(versions.words)
    if many == 1:
        return tuple(Member(model, versions.words[0]) for model in models.words), models.codes
    pair = models.codes.astype(np.int64) * many + versions.codes
    found, member = np.unique(pair, return_inverse=True)
    members = tuple(
        Member(models.words[each // many], versions.words[each % many]) for each in found.tolist()
    )
    return members, member.astype(np.int32)


def _status(values: Column) -> IntArray:
    return np.fromiter(map(STATUS_CODES.__getitem__, values), np.int64, len(values))


def _features(filled: Filled, good: BoolArray) -> tuple[dict[str, FloatArray], dict[str, Words]]:
    """The features that some row has. Rows with a number that may be beyond 64 bits are not
    good: a double no longer says whether it was an integer."""
    numeric, categorical = filled.features()
    for column in numeric.values():
        beyond = np.abs(column) >= _INT64
        if beyond.any():
            good &= ~beyond
    numeric = {name: column for name, column in numeric.items() if not np.isnan(column).all()}
    return numeric, {name: words for name, words in categorical.items() if words.words}


def _answers(filled: Filled, n: int) -> tuple[Words, FloatArray, FloatArray, BoolArray]:
    label, score, value = filled.words("label"), filled.numbers("score"), filled.numbers("value")
    valid = ~((score < 0) | (score > 1)) & ~np.isinf(value)
    probabilities = filled.kept("probabilities") or []
    if any(probabilities):
        texts = label.texts()
        for i, each in enumerate(probabilities):
            if each:
                valid[i] &= is_distribution(each)
                from_probabilities(each, i, texts, score)
        label = Words.of(texts)
    return label, score, value, valid


def keys(texts: Sequence[str]) -> Keys:
    """As `keys_of`, for texts none of which is missing; quick where all have one length."""
    whole = "".join(texts)
    size, rest = divmod(len(whole), max(len(texts), 1))
    if rest or not whole.isascii() or [*map(len, texts)].count(size) != len(texts):
        return keys_of(texts)
    padded = np.zeros((len(texts), -(-size // 8) * 8), dtype=np.uint8)
    padded[:, :size] = np.frombuffer(whole.encode(), dtype=np.uint8).reshape(-1, size)
    return mixed(padded.view("<u8"), np.full(len(texts), size))
