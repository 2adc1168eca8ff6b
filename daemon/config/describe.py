"""What there is to set, told in four forms: an example file, a JSON Schema, Markdown, and the
values that hold."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from watchkeeper.daemon.config import units
from watchkeeper.daemon.config.check import bare, choices, hints, metas, section_in
from watchkeeper.daemon.config.config import Config
from watchkeeper.daemon.config.layers import Key, dotted
from watchkeeper.daemon.config.load import BUILT_IN, Loaded
from watchkeeper.daemon.config.secrets import masked
from watchkeeper.daemon.config.section import Section
from watchkeeper.daemon.config.units import Duration, Secret

MODEL = "NAME"  # stands for a model's name in keys


@dataclass(frozen=True)
class Setting:
    """One setting: its place, what it means, and what it is without being set."""

    section: str
    name: str
    kind: Any
    default: Any
    text: str
    unit: str
    example: Any

    @property
    def key(self) -> str:
        """How people call it."""
        return f"{self.section}.{self.name}"

    @property
    def shown(self) -> str:
        """The default, or an example where there is none, as it is written in the file."""
        empty = self.default is None or self.default in ("", [], {})
        if not empty:
            return toml(self.default)
        return toml(self.example if self.example is not None else next(choices(self.kind), None))


@dataclass(frozen=True)
class Group:
    """One table of the file and its settings."""

    heading: str
    text: str
    settings: tuple[Setting, ...]


def groups() -> Iterator[Group]:
    """All tables of the file, in the order in which one reads them."""
    for name, kind in hints(Config).items():
        section, how = section_in(kind)
        assert section is not None  # the root holds tables only
        if how == "one":
            yield from _groups(name, section)


def _groups(name: str, section: type[Section], *, listed: bool = False) -> Iterator[Group]:
    inner = []
    settings = []
    fields = {field.name: field for field in msgspec.structs.fields(section)}
    for field_name, kind in hints(section).items():
        nested, how = section_in(kind)
        if nested is not None:
            inner.append((f"{name}.{field_name}", nested, how))
        else:
            settings.append(_setting(name, fields[field_name], kind))
    heading = f"[[{name}]]" if listed else f"[{name}]"
    yield Group(heading, _sentence(section), tuple(settings))
    for inner_name, nested, how in inner:
        yield from _groups(inner_name, nested, listed=how == "list")


def _sentence(section: type[Section]) -> str:
    return " ".join((section.__doc__ or "").split())


def _setting(section: str, field: msgspec.structs.FieldInfo, kind: Any) -> Setting:
    notes: dict[str, Any] = {}
    text = ""
    for meta in metas(kind):
        notes |= meta.extra or {}
        text = meta.description or text
    default = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    return Setting(
        section=section,
        name=field.name,
        kind=kind,
        default=None if default is msgspec.NODEFAULT else default,
        text=text,
        unit=notes.get("unit", ""),
        example=notes.get("example"),
    )


def written(value: Any) -> Any:
    """A value in the types of TOML and JSON, secrets masked."""
    if isinstance(value, Duration | Enum | Secret):
        return str(value)
    if isinstance(value, Section):
        value = msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        return {str(name): written(each) for name, each in value.items()}
    return [written(each) for each in value] if isinstance(value, list | tuple) else value


def toml(value: Any) -> str:
    """A value as it is written in the file; nothing is "" there."""
    value = written(value)
    if isinstance(value, dict):
        inner = ", ".join(f"{dotted((name,))} = {toml(each)}" for name, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(each) for each in value) + "]"
    return '""' if value is None else json.dumps(value, ensure_ascii=False)


def example() -> str:
    """A file that sets nothing and shows everything, each setting with its default."""
    lines = [
        "# Watchkeeper. Every setting below is commented out and shows its default, or an example",
        "# where there is none. Check the file with: watchkeeper config check",
    ]
    for group in groups():
        lines += ["", f"# {group.text}", f"#{group.heading}"]
        for each in group.settings:
            if bare(each.kind) is Secret and each.example is None:
                continue  # it may not stand in a file
            lines += [f"# {_meaning(each)}", f"#{each.name} = {each.shown}"]
        if "defaults" in group.heading:
            lines.append(f"# For one model: {group.heading.replace('defaults', 'models.NAME')}")
    return "\n".join(lines) + "\n"


def _meaning(setting: Setting) -> str:
    table = typing.get_origin(bare(setting.kind)) is dict
    allowed = [] if table else list(choices(setting.kind))
    words = f" ({' | '.join(allowed)})" if allowed else ""
    unit = f", in {setting.unit}" if setting.unit.lower() not in setting.text.lower() else ""
    return f"{setting.text}{unit}{words}."


def markdown() -> str:
    """The reference of all settings."""
    lines: list[str] = []
    for group in groups():
        lines += [f"## `{group.heading}`", "", group.text, ""]
        for each in group.settings:
            lines += [f"### `{each.key}`", "", _meaning(each), ""]
            lines += [f"Type: {kind_text(each)}. {_default_text(each)}", ""]
    return "\n".join(lines).rstrip() + "\n"


def _default_text(setting: Setting) -> str:
    if setting.default is None or setting.default in ("", [], {}):
        return f"Example: `{setting.shown}`." if setting.example is not None else "Default: none."
    return f"Default: `{toml(setting.default)}`."


def kind_text(setting: Setting) -> str:
    """The type of a setting and its bounds, for people."""
    text = _kind(bare(setting.kind))
    bounds = []
    for meta in metas(setting.kind):
        notes = meta.extra or {}
        if "low" in notes:
            bounds.append(f"{notes['low']} to {notes['high']}")
        if meta.ge is not None:
            bounds.append(f"{meta.ge:g} to {meta.le:g}" if meta.le is not None else f"≥ {meta.ge}")
    return f"{text}, {', '.join(bounds)}" if bounds else text


def _kind(kind: Any) -> str:
    kind = bare(kind)
    names = {bool: "true or false", int: "whole number", float: "number", str: "text"}
    names |= {Duration: "duration", Secret: "secret text"}
    if kind in names:
        return names[kind]
    if any(True for _ in choices(kind)) and typing.get_origin(kind) is not dict:
        return "one of " + ", ".join(f"`{each}`" for each in choices(kind))
    arguments = [each for each in typing.get_args(kind) if each is not types.NoneType]
    if typing.get_origin(kind) is list:
        return f"list of {_kind(arguments[0])}"
    if typing.get_origin(kind) is dict:
        return "table"
    return " or ".join(_kind(each) for each in arguments)


def config_schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Watchkeeper"}
    return title | _object(Config)


def _object(section: type[Section]) -> dict[str, Any]:
    fields = {field.name: field for field in msgspec.structs.fields(section)}
    schema: dict[str, Any] = {
        "type": "object",
        "description": _sentence(section),
        "additionalProperties": False,
        "properties": {n: _property(fields[n], kind) for n, kind in hints(section).items()},
    }
    required = [field.name for field in fields.values() if field.required]
    return schema | ({"required": required} if required else {})


def _property(field: msgspec.structs.FieldInfo, kind: Any) -> dict[str, Any]:
    section, how = section_in(kind)
    if section is not None:
        inner = _object(section)
        if how == "dict":
            return {"type": "object", "additionalProperties": inner}
        return {"type": "array", "items": inner} if how == "list" else inner
    schema = msgspec.json.schema(kind, schema_hook=units.schema)
    setting = _setting("", field, kind)
    if setting.default is not None:
        schema["default"] = written(setting.default)
    return schema


@dataclass(frozen=True)
class Value:
    """One setting as it holds, and where it came from."""

    key: str
    value: Any
    origin: str


def values(loaded: Loaded) -> Iterator[Value]:
    """Every setting that holds, secrets masked."""
    for name, kind in hints(Config).items():
        held = getattr(loaded.config, name)
        _, how = section_in(kind)
        tables = {(name,): held} if how == "one" else {(name, n): t for n, t in held.items()}
        for key, table in tables.items():
            yield from _values(loaded, key, table)


def _values(loaded: Loaded, key: Key, table: Section) -> Iterator[Value]:
    for field in table.__struct_fields__:
        value = getattr(table, field)
        here = (*key, field)
        if isinstance(value, Section):
            yield from _values(loaded, here, value)
            continue
        text = masked(value) if here == ("database", "url") else value
        yield Value(dotted(here), written(text), _origin(loaded, here))


def _origin(loaded: Loaded, key: Key) -> str:
    origin = loaded.origin(key)
    if origin == BUILT_IN and key[0] == "models":
        return loaded.origin(("defaults", *key[2:]))
    return origin
