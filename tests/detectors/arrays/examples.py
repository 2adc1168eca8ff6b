"""Random traffic of a few models, as frames and as blocks of all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from watchkeeper.detectors.blocks import Member, PredictionBlock
from watchkeeper.detectors.frames import ObjectArray, PredictionFrame
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import learn_profile

NUMBERS, WORDS = ("amount", "age", "rate"), ("country", "device")
COUNTRIES = ("de", "fr", "nl", "es")


def texts(values: list[str | None]) -> ObjectArray:
    """A column of text."""
    column = np.empty(len(values), dtype=np.object_)
    column[:] = values
    return column


def choice(
    random: np.random.Generator, n: int, words: tuple[str, ...], missing: float
) -> ObjectArray:
    """Words at random, some of them missing."""
    picked = random.integers(len(words), size=n)
    absent = random.random(n) < missing
    return texts([None if absent[i] else words[picked[i]] for i in range(n)])


def frame(random: np.random.Generator, model: str, n: int, shift: float = 0.0) -> PredictionFrame:
    """Predictions of a binary classifier; `shift` moves numbers, brings unknown words, and text
    where numbers were."""
    score = random.beta(2, 5, n).round(4)
    numeric = {name: random.normal(50 + shift, 10, n).round(2) for name in NUMBERS}
    for column in numeric.values():
        column[random.random(n) < 0.02] = np.nan
    countries = (*COUNTRIES, "xx") if shift else COUNTRIES
    categorical = {name: choice(random, n, countries, 0.02) for name in WORDS}
    if shift:
        categorical["rate"] = choice(random, n, ("low", "high"), 0.8)
    entity = choice(random, n, tuple(f"user-{i}" for i in range(40)), 0.1)
    duration = random.lognormal(-3, 0.5, n)
    duration[random.random(n) < 0.05] = np.nan
    score[random.random(n) < 0.02] = np.nan
    label = texts([None if s != s else ("yes" if s >= 0.5 else "no") for s in score.tolist()])
    return PredictionFrame(
        model=model,
        at=np.sort(random.uniform(0, 60, n)),
        seq=np.arange(n, dtype=np.int64),
        version="1",
        request_id=texts([f"{model}-{i}" for i in range(n)]),
        entity=entity,
        duration_s=duration,
        status=random.choice([0, 0, 0, 0, 1, 2], n).astype(np.int64),
        label=label,
        score=score,
        value=np.full(n, np.nan),
        output_valid=random.random(n) > 0.01,
        numeric=numeric,
        categorical=categorical,
    )


def profile(random: np.random.Generator, model: str, n: int = 1_500) -> Profile:
    """A reference learned from healthy traffic."""
    return learn_profile([frame(random, model, n)], model, "1", source="learned", positive="yes")


def block(frames: list[PredictionFrame], random: np.random.Generator) -> PredictionBlock:
    """The frames in one block, their rows shuffled."""
    members = tuple(Member(each.model, each.version) for each in frames)
    names = ("at", "request_id", "entity", "duration_s", "status", "label", "score", "value")
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(each, name) for each in frames])
        for name in (*names, "output_valid")
    }
    numeric = {n: np.concatenate([each.numeric[n] for each in frames]) for n in NUMBERS}
    words = sorted({name for each in frames for name in each.categorical})
    texts = {
        n: np.concatenate([each.categorical.get(n, np.full(len(each), None)) for each in frames])
        for n in words
    }
    seq = np.arange(sum(map(len, frames)), dtype=np.int64)
    merged = replace(frames[0], **columns, seq=seq, numeric=numeric, categorical=texts)
    member = np.repeat(np.arange(len(frames), dtype=np.int32), [len(each) for each in frames])
    order = random.permutation(len(member))
    made = PredictionBlock.of(merged)
    return replace(made, members=members, member=member).take(order)
