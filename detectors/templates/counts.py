"""What one window's log lines said: how often each form came, and a line of each to show."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.templates.masks import form_of
from watchkeeper.detectors.templates.secrets import shown
from watchkeeper.detectors.types import IntArray, Partial

MOST_FORMS = 1_000  # different forms of one window that are counted apart
RECORDS = "records"  # all lines, and those that are errors
_FORM, _LINE = "f", "x"  # what the names of all other parts begin with
_CUT = "\x1f"
_SHOWN = 200  # characters of a line that is shown


class Form(NamedTuple):
    """A form with the number of its lines, of those that are errors, and one line as shown."""

    form: str
    n: int
    errors: int
    line: str


class FormCounts(Partial):
    """A part of a window of log lines. Merging is exact and in any order gives the same.

    Beyond `MOST_FORMS` those with the lowest hash are kept: whichever parts are merged first, the
    same ones are left, with all their lines. `records` counts the lines of all.
    """

    @classmethod
    def of(cls, bodies: Iterable[str], errors: Sequence[bool]) -> FormCounts:
        """Counts lines; `errors` says of each whether it is an error."""
        lines: dict[str, list[str]] = {}
        bad: dict[str, int] = {}
        n = 0
        for body, wrong in zip(bodies, errors, strict=True):
            form = form_of(body).replace(_CUT, " ")
            lines.setdefault(form, []).append(body)
            bad[form] = bad.get(form, 0) + bool(wrong)
            n += 1
        counts = cls()
        counts[RECORDS] = np.array([n, sum(bad.values())], dtype=np.int64)
        for form in _lowest(lines):
            counts[_FORM + form] = np.array([len(lines[form]), bad[form]], dtype=np.int64)
            counts[_LINE + form + _CUT + _marked(lines[form])] = np.ones(1, dtype=np.int64)
        return counts

    def merge(self, other: Mapping[str, IntArray]) -> None:
        """Adds another part of the same window."""
        super().merge(other)
        forms = [name[1:] for name in self if name[0] == _FORM]
        kept = set(forms if len(forms) <= MOST_FORMS else _lowest(forms))
        first: dict[str, str] = {}
        for name in sorted(name for name in self if name[0] == _LINE):
            first.setdefault(name[1:].partition(_CUT)[0], name)
        lines = {name for form, name in first.items() if form in kept}
        for name in [n for n in self if n[0] == _LINE]:
            if name in lines:
                self[name] = np.ones(1, dtype=np.int64)
            else:
                del self[name]
        for form in forms:
            if form not in kept:
                del self[_FORM + form]


def forms_of(part: Mapping[str, IntArray]) -> list[Form]:
    """The forms that were counted, in an order that hangs on nothing but them."""
    lines = {}
    for name in sorted(part, reverse=True):
        if name[0] == _LINE:
            form, _, marked = name[1:].partition(_CUT)
            lines[form] = marked.partition(" ")[2]
    return list(_forms(part, lines))


def _forms(part: Mapping[str, IntArray], lines: Mapping[str, str]) -> Iterator[Form]:
    for name in sorted(name for name in part if name[0] == _FORM):
        n, errors = part[name].tolist()
        yield Form(name[1:], n, errors, lines.get(name[1:], ""))


def _lowest(forms: Iterable[str]) -> Iterable[str]:
    """The forms that are kept where there are too many, whatever order they came in."""
    known = list(forms)
    return known if len(known) <= MOST_FORMS else sorted(known, key=_hash)[:MOST_FORMS]


def _marked(lines: Sequence[str]) -> str:
    """The line that is shown of these, whichever came first: marked by the hash of the whole."""
    chosen = min(set(lines), key=_hash)
    return f"{_hash(chosen).hex()} {shown(chosen, _SHOWN)}"


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
