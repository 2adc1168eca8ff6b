"""Whether examples are fit to learn from: enough of them, of every class, and not made up."""

from __future__ import annotations

from collections import Counter

import numpy as np

from watchkeeper.handlers.examples import Examples

_EXAMPLES_MIN = 200
_CLASS_MIN = 20
_DUPLICATES_MAX = 0.5
_CONTRADICTIONS_MAX = 0.2


def objection(examples: Examples) -> str:
    """Why nothing should be learned from these examples; empty when they are fit."""
    if len(examples) < _EXAMPLES_MIN:
        return f"only {len(examples)} labelled examples, {_EXAMPLES_MIN} are needed"
    if not examples.numeric and not examples.categorical:
        return "the examples have no features"
    truths = _truths(examples)
    if examples.classes:
        rare = [c for c, n in Counter(truths).items() if n < _CLASS_MIN]
        if rare or len(examples.classes) < 2:
            return f"too few examples of a class: {dict(Counter(truths))}"
    elif not np.isfinite(examples.value).all():
        return "some truths are missing"
    return _repetition(examples, truths)


def _repetition(examples: Examples, truths: list[str]) -> str:
    inputs = _inputs(examples)
    distinct = len(set(inputs))
    share = 1 - distinct / len(inputs)
    if share > _DUPLICATES_MAX:
        return f"{share:.0%} of the inputs are repetitions of others"
    if not examples.classes:
        return ""
    contradicting = len(set(zip(inputs, truths, strict=True))) - distinct
    if contradicting > _CONTRADICTIONS_MAX * distinct:
        return f"{contradicting} inputs came with contradicting labels"
    return ""


def _truths(examples: Examples) -> list[str]:
    if examples.classes:
        return [str(label) for label in examples.label]
    return [repr(value) for value in examples.value.tolist()]


def _inputs(examples: Examples) -> list[tuple[object, ...]]:
    # NaN differs from itself, which would make repeated rows with a gap look distinct.
    numbers = [np.nan_to_num(c, nan=-1.7e308).tolist() for c in examples.numeric.values()]
    words = [column.tolist() for column in examples.categorical.values()]
    return list(zip(*numbers, *words, strict=True))
