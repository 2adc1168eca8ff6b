"""Shapes: which fields and features events of one kind have, and a decoder made for just these.

A decoder that knows the features beforehand reads them into fixed places, which is three times as
fast as reading them into a dictionary. It refuses what has anything else: that is read the general
way (`json.DECODE`), and may become a shape of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from watchkeeper.daemon.transport.codec.features import MOST_FEATURES, wrong_names
from watchkeeper.daemon.transport.codec.json import KNOWN_FIELDS, ROW_TYPES, DecodeErrors
from watchkeeper.detectors.events import PredictionValue

BulkKind = Literal["prediction", "label"]
MOST_KNOWN = 512  # features of one shape; what has more is read the general way

NULL, NUMBER, WORD, BOTH = 0, 1, 2, 3
_HINTS: Mapping[int, Any] = {
    NULL: None,
    # An integer becomes a double here; those beyond 64 bits are looked for afterwards.
    NUMBER: float | bool | None,
    WORD: str | None,
    BOTH: float | bool | str | None,
}
_NAN = float("nan")
_ABSENT: Mapping[int, Any] = {NULL: None, NUMBER: _NAN, WORD: None, BOTH: None}
_ANSWERS = frozenset(PredictionValue.__struct_fields__)
_ALWAYS: Mapping[BulkKind, frozenset[str]] = {
    kind: frozenset(f.name for f in msgspec.structs.fields(ROW_TYPES[kind]) if f.required)
    for kind in ("prediction", "label")
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What the events of one decoder have: names in the order in which they come.

    With `open`, fields that nobody knows may be among them, and so may every known one.
    """

    kind: BulkKind
    fields: tuple[str, ...]
    answers: tuple[str, ...] = ()
    features: tuple[tuple[str, int], ...] = ()
    open: bool = False

    def covers(self, other: Shape) -> bool:
        """Whether every event of the other's shape is one of this."""
        known = dict(self.features)
        return (
            self.open >= other.open
            and (self.open or set(other.fields) <= set(self.fields))
            and (self.open or set(other.answers) <= set(self.answers))
            and all(
                type_ | known.get(name, -1) == known.get(name) for name, type_ in other.features
            )
        )

    def akin(self, other: Shape) -> bool:
        """Whether at least half of the features of either are in both, and of one type."""
        mine, others = dict(self.features), dict(other.features)
        shared = mine.keys() & others.keys()
        return 2 * len(shared) >= max(len(mine), len(others)) and not any(
            mine[name] | others[name] == BOTH for name in shared
        )

    def joined(self, other: Shape) -> Shape | None:
        """The shape of the events of both; None where that were too many features."""
        features = dict(self.features)
        for name, type_ in other.features:
            features[name] = features.get(name, NULL) | type_
        if len(features) > MOST_KNOWN:
            return None
        return Shape(
            self.kind,
            tuple(dict.fromkeys(self.fields + other.fields)),
            tuple(dict.fromkeys(self.answers + other.answers)),
            tuple(features.items()),
            self.open or other.open,
        )


def look(kind: BulkKind, value: bytes) -> Shape | None:
    """The shape of one event, None where it has none that may be learned."""
    try:
        event = _anything(value)
    except DecodeErrors:
        return None
    if not isinstance(event, dict) or not _ALWAYS[kind] <= event.keys():
        return None
    answer, features = event.get("prediction", {}), event.get("features", {})
    if not isinstance(answer, dict) or not isinstance(features, dict):
        return None
    if kind == "label":
        answer = features = {}
    if len(features) > min(MOST_KNOWN, MOST_FEATURES) or wrong_names(features) is not None:
        return None
    types = {name: _type_of(each) for name, each in features.items()}
    if None in types.values() or any(map(_unfit, types)):
        return None
    return Shape(
        kind,
        tuple(name for name in event if name in KNOWN_FIELDS[kind]),
        tuple(name for name in answer if name in _ANSWERS),
        tuple(types.items()),  # type: ignore[arg-type]
        not (event.keys() <= KNOWN_FIELDS[kind] and answer.keys() <= _ANSWERS),
    )


_anything = msgspec.json.Decoder().decode


def _type_of(value: object) -> int | None:
    if value is None:
        return NULL
    if isinstance(value, float | int):
        return NUMBER
    return WORD if isinstance(value, str) else None


def _unfit(name: str) -> bool:
    """Whether msgspec cannot name a field so."""
    return '"' in name or "\\" in name


@dataclass(frozen=True, slots=True)
class Reader:
    """The decoder of a shape. What it gives are Structs with these fields, in this order."""

    shape: Shape
    decode: Callable[[bytes], Any]
    fields: tuple[str, ...]
    answers: tuple[str, ...]


@functools.lru_cache(maxsize=256)
def reader_of(shape: Shape) -> Reader:
    """The decoder of a shape. It gives an answer only to what the general one accepts, too."""
    answers = PredictionValue.__struct_fields__ if shape.open else shape.answers
    inner = {"features": _features(shape), "prediction": _answer(shape, answers)}
    infos = {info.name: info for info in msgspec.structs.fields(ROW_TYPES[shape.kind])}
    names = tuple(dict.fromkeys((*shape.fields, *infos) if shape.open else shape.fields))
    fields: list[Any] = []
    for name in names:
        info = infos[name]
        if name in inner:
            fields.append((name, inner[name], msgspec.field(default_factory=inner[name])))
        elif name == "time":
            fields.append((name, str))
        elif info.required:
            fields.append((name, info.type))
        elif info.default_factory is not msgspec.NODEFAULT:
            fields.append((name, info.type, msgspec.field(default_factory=info.default_factory)))
        else:
            fields.append((name, info.type, info.default))
    row = msgspec.defstruct(
        "Row", fields, gc=False, kw_only=True, forbid_unknown_fields=not shape.open
    )
    return Reader(shape, msgspec.json.Decoder(row).decode, names, answers)


def _features(shape: Shape) -> type[msgspec.Struct]:
    names = {f"f{i}": name for i, (name, _) in enumerate(shape.features)}
    fields = [
        (f"f{i}", _HINTS[type_], _ABSENT[type_]) for i, (_, type_) in enumerate(shape.features)
    ]
    return msgspec.defstruct("Features", fields, gc=False, forbid_unknown_fields=True, rename=names)


def _answer(shape: Shape, answers: tuple[str, ...]) -> type[msgspec.Struct]:
    infos = {info.name: info for info in msgspec.structs.fields(PredictionValue)}
    fields = [(name, infos[name].type, infos[name].default) for name in answers]
    return msgspec.defstruct("Answer", fields, gc=False, forbid_unknown_fields=not shape.open)
