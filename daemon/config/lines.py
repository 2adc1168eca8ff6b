"""Where each key of a TOML file stands, which the standard parser does not tell."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r'[ \t]*([A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\')[ \t]*')
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:\'{0,2})'
    r'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}#\n]*")


def key_lines(text: str) -> dict[Path, int]:
    """The line, from 1, of every key of a text that is valid TOML; list items by their index."""
    return _Scanner(text).scan()


class _Scanner:
    """Walks once over the text. It trusts the text, for tomllib has accepted it before."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0] + [m.end() for m in re.finditer("\n", text)]
        self._at = 0
        self._found: dict[Path, int] = {}
        self._tables: dict[Path, int] = {}  # arrays of tables: how many there are so far

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        self._blank()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._blank()
        return self._found

    def _blank(self) -> None:
        match = _BLANK.match(self._text, self._at)
        assert match is not None  # it matches the empty text
        self._at = match.end()

    def _note(self, path: Path, start: int) -> None:
        for length in range(1, len(path) + 1):
            self._found.setdefault(path[:length], bisect_right(self._starts, start))

    def _header(self) -> Path:
        start = self._at
        double = self._text.startswith("[[", start)
        self._at += 2 if double else 1
        names = self._names()
        self._at += 2 if double else 1
        path: Path = ()
        for i, name in enumerate(names):
            path = (*path, name)
            # the last name of [[...]] opens a new item, all others mean the newest one
            if path in self._tables and not (double and i == len(names) - 1):
                path = (*path, self._tables[path] - 1)
        if double:
            count = self._tables.get(path, 0)
            self._tables[path] = count + 1
            path = (*path, count)
        self._note(path, start)
        return path

    def _names(self) -> list[str]:
        names = []
        while match := _KEY.match(self._text, self._at):
            self._at = match.end()
            word = match[1]
            names.append(tomllib.loads(f"k={word}")["k"] if word[0] in "\"'" else word)
            if not self._text.startswith(".", self._at):
                break
            self._at += 1
        return names

    def _pair(self, table: Path) -> None:
        start = self._at
        path = (*table, *self._names())
        self._note(path, start)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._blank()
        opening = self._text[self._at : self._at + 1]
        if opening == "{":
            self._inside("}", path, named=True)
        elif opening == "[":
            self._inside("]", path, named=False)
        else:
            match = _STRING.match(self._text, self._at) or _PLAIN.match(self._text, self._at)
            assert match is not None  # the second matches the empty text
            self._at = match.end()

    def _inside(self, closing: str, path: Path, *, named: bool) -> None:
        self._at += 1
        index = 0
        self._blank()
        while not self._text.startswith(closing, self._at):
            if named:
                self._pair(path)
            else:
                self._note((*path, index), self._at)
                self._value((*path, index))
            index += 1
            self._blank()
            if self._text.startswith(",", self._at):
                self._at += 1
                self._blank()
        self._at += 1
