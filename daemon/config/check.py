"""Checks values against the types of the settings, and gives them their types."""

from __future__ import annotations

import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Annotated, Any

import msgspec

from watchkeeper.daemon.config import units
from watchkeeper.daemon.config.layers import Key, Layer
from watchkeeper.daemon.config.problems import Problem, did_you_mean
from watchkeeper.daemon.config.section import MODEL_NAME, Section
from watchkeeper.daemon.config.units import Duration, Secret

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}
_WHERE = re.compile(r" - at (`key` in )?`\$[^`]*`$")


def hints(section: type[Section]) -> dict[str, Any]:
    """The types of a section's fields, with their documentation."""
    return typing.get_type_hints(section, include_extras=True)


def bare(kind: Any) -> Any:
    """A type without its documentation."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind


def section_in(kind: Any) -> tuple[type[Section] | None, str]:
    """The section a type holds and how: as itself, as a "dict" by name, or as a "list"."""
    kind = bare(kind)
    if isinstance(kind, type) and issubclass(kind, Section):
        return kind, "one"
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (dict, list):
        inner = arguments[-1]
        if isinstance(inner, type) and issubclass(inner, Section):
            return inner, origin.__name__
    return None, ""


def metas(kind: Any) -> list[msgspec.Meta]:
    """The notes on a type: its limits and its documentation."""
    if typing.get_origin(kind) is not Annotated:
        return []
    return [each for each in typing.get_args(kind)[1:] if isinstance(each, msgspec.Meta)]


class Checked:
    """The typed values of one layer as nested dicts, and all problems found on the way."""

    def __init__(self, layer: Layer, root: type[Section]) -> None:
        self._layer = layer
        self.problems: list[Problem] = []
        self.data = self._table((), layer.data, root)

    def _problem(self, key: Key, message: str) -> None:
        self.problems.append(self._layer.problem(key, message))

    def _table(self, key: Key, data: object, section: type[Section]) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            self._problem(key, f"must be a table, not {_name_of(data)}")
            return {}
        known = hints(section)
        values: dict[str, Any] = {}
        for name, value in data.items():
            if name not in known:
                self._problem((*key, name), f"is unknown; {did_you_mean(name, known)}")
                continue
            checked = self._any((*key, name), value, known[name])
            if checked is not msgspec.UNSET:
                values[name] = checked
        return values

    def _any(self, key: Key, value: object, kind: Any) -> Any:
        section, how = section_in(kind)
        if section is None:
            return self._leaf(key, value, kind)
        if how == "one":
            return self._table(key, value, section)
        if how == "dict":
            return self._named(key, value, section)
        return self._items(key, value, section)

    def _named(self, key: Key, value: object, section: type[Section]) -> Any:
        if not isinstance(value, Mapping):
            self._problem(key, f"must hold a table by name, not {_name_of(value)}")
            return msgspec.UNSET
        for name in value:
            if not re.fullmatch(MODEL_NAME, name):
                self._problem((*key, name), f"is no name: {MODEL_NAME} is wanted")
        return {name: self._table((*key, name), inner, section) for name, inner in value.items()}

    def _items(self, key: Key, value: object, section: type[Section]) -> Any:
        if not isinstance(value, list):
            self._problem(key, f"must be a list of tables, not {_name_of(value)}")
            return msgspec.UNSET
        items = []
        for index, inner in enumerate(value):
            before = len(self.problems)
            item = self._table((*key, index), inner, section)
            missing = sorted(_required(section) - set(item))
            if not missing:
                items.append(item)
            elif len(self.problems) == before:
                self._problem((*key, index), f"needs {' and '.join(missing)}")
        return items

    def _leaf(self, key: Key, value: object, kind: Any) -> Any:
        if self._layer.loose and isinstance(value, str):
            value = _from_text(value, kind)
        try:
            typed = msgspec.convert(value, kind, dec_hook=units.decode)
            _within(typed, kind)
        except (msgspec.ValidationError, ValueError) as error:
            self._problem(key, _explain(kind, str(error)))
            return msgspec.UNSET
        return typed


def _required(section: type[Section]) -> set[str]:
    fields = msgspec.structs.fields(section)
    return {field.name for field in fields if field.required}


def _within(value: object, kind: Any) -> None:
    for meta in metas(kind):
        bounds = meta.extra or {}
        if "low" in bounds and isinstance(value, Duration):
            low, high = bounds["low"], bounds["high"]
            if not low <= value <= high:
                raise ValueError(f"{value} is outside {low} to {high}")


def _from_text(text: str, kind: Any) -> object:
    """Text of the environment as the value it stands for; the check of types comes after."""
    if bare(kind) in (Duration, Secret, str) or _is_optional_text(bare(kind)):
        return text
    if typing.get_origin(bare(kind)) is list and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _is_optional_text(kind: Any) -> bool:
    arguments = [bare(each) for each in typing.get_args(kind)]
    union = typing.get_origin(kind) in (types.UnionType, typing.Union)
    return union and set(arguments) == {str, type(None)}


def choices(kind: Any) -> Iterator[str]:
    """The words a type allows; none where it allows any."""
    kind = bare(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        yield from (str(each.value) for each in kind)
    elif typing.get_origin(kind) is typing.Literal:
        yield from (str(each) for each in typing.get_args(kind))
    elif typing.get_origin(kind) is dict:
        for each in typing.get_args(kind):
            yield from choices(each)


def _explain(kind: Any, message: str) -> str:
    message = _WHERE.sub("", message)
    found = re.search(r"Invalid enum value '(.*)'", message)
    if found:
        return f'"{found[1]}" is not allowed; {did_you_mean(found[1], list(choices(kind)))}'
    message = re.sub(r"`([a-z]+)", lambda m: "`" + _WORDS.get(m[1], m[1]), message)
    message = re.sub(r" \| ([a-z]+)", lambda m: " or " + _WORDS.get(m[1], m[1]), message)
    message = message.replace("`", "")
    return message[:1].lower() + message[1:] if message.startswith("Expected") else message


def _name_of(value: object) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list"}
    return names.get(type(value), "a table" if isinstance(value, Mapping) else "a date or time")
