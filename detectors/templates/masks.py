"""What varies in a log line, replaced by a wildcard: a line becomes the form its statement has.

A form is a pure function of its line, so forms can be counted in any order and anywhere; grouping
forms into templates is what needs memory (`tree`). The rules are those of writing, not of one
system: a value is a number, an address, a path, an identifier or the name of a user.
"""

from __future__ import annotations

import re
from functools import lru_cache

from watchkeeper.detectors.templates.secrets import without_named

WILD = "<*>"
LONGEST = 1_000  # characters of a line that are looked at
_LONGEST_WORD = 200  # characters of a word that are looked at
_KEPT_WORD = 48  # characters of a word whose mask is kept at hand

_HEX = "[0-9A-Fa-f]"
_INSIDE = "A-Za-z0-9"
# Ordered: at each place the first that fits is taken.
_VALUES = (
    # https://host/path?query
    r"[A-Za-z][A-Za-z0-9+.-]*://[^\s,;\]\)\"'>]+",
    # name@host.domain
    r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    # /a/path or C:\a\path, at the beginning of a word
    r"(?<![\w.\-/\\])(?:[A-Za-z]:)?(?:[\\/][\w.@%+~$#=&{}*-]+)+[\\/]?",
    # host.domain:80; a single word with a colon is more often the name of a number
    r"(?<![\w.$@/-])(?:[\w-]+(?:\.[\w-]+)+|localhost):\d+(?![\w.])",
    # a dotted name with a digit in it: a host, a version, a file
    r"(?<![\w.$@/-])(?=[\w.$-]*\d)[\w-]+(?:\.[\w-]+)*\.[A-Za-z_][\w$-]*(?:\.[\w$-]+)*",
    rf"0[xX]{_HEX}+",
    # aa:bb:cc:dd, aabb-ccdd-...: hardware and IPv6 addresses, UUIDs
    rf"(?<![{_INSIDE}]){_HEX}{{1,8}}(?:[:-]{_HEX}{{0,12}}){{3,}}(?![{_INSIDE}])",
    # begins with a digit, whatever follows: 12, 1.5, 10.0.0.1:80, 2015-07-29, 0000:00:1e.0, 12ms
    rf"(?<![{_INSIDE}])[<~+-]?\d\w*(?:[:.,/_-]\d\w*|[:.]{_HEX}{{1,4}}(?![{_INSIDE}]))*%?",
    # long, of letters and digits: a key or a digest
    rf"(?<![{_INSIDE}])(?=[A-Za-z+/]*\d)[{_INSIDE}+/]{{20,}}=*(?![{_INSIDE}])",
    # hexadecimal that begins with a letter
    rf"(?<![{_INSIDE}])(?=[a-f]*\d)[0-9a-f]{{2,}}(?![{_INSIDE}])",
    rf"(?<![{_INSIDE}])(?=[A-F]*\d){_HEX}{{6,}}(?![{_INSIDE}])",
    # letters and digits in turn: k3j9x
    rf"(?<![{_INSIDE}])[A-Za-z]+\d+[A-Za-z]+\d[A-Za-z\d]*(?![{_INSIDE}])",
    # one capital with a number: A12
    rf"(?<![{_INSIDE}])[A-Z]\d+(?![{_INSIDE}])",
    # the number of a numbered name: eth0, node-148, blk_-3
    r"-?\d+",
)
_VALUE = re.compile("|".join(_VALUES))
_GLUED = re.compile(r"<\*>(?:(?:->|[:./,_@#~x+-])?<\*>)+")
_JOIN = r"[^\s\"'=()\[\]{}<>,;]*"
_PARTS = re.compile(rf"(?:{_JOIN}<\*>){{2,}}(?:{_JOIN}[^\s\"'=()\[\]{{}}<>,;:.])?")
_TELLING = re.compile(r"[\d@/\\]")

_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE = re.compile(
    rf"(?<!\w)(?:{_DAY},? (?=(?:{_MONTH} )?<\*>)(?:{_MONTH} )?|{_MONTH},? )<\*>"
    rf"|(?<!\w)<\*> {_MONTH}(?!\w)"
)
_ZONE = re.compile(r"<\*> (?:UTC|GMT|CE?ST|CET|[EPM][SD]T)(?!\w)")
_UNIT = re.compile(
    r"<\*> (?:[KMGTP]i?B|[kKMG]?[bB]ytes?|[KMG]?Hz|[num]s|m?secs?|(?:milli|micro)?seconds?"
    r"|minutes?|mins?|hours?|hrs?|days?)(?!\w)"
)
_TWICE = re.compile(r"<\*> ?\(<\*>\)")  # 2192 bytes (2.14 KB)
_LIST = re.compile(r"<\*>(?:[ ,]+<\*>)+")
_USER = re.compile(r"(?<![a-z])([uU]ser )[A-Za-z][\w.$-]*(?=[\]\s,;:)]|$)")


def form_of(text: str) -> str:
    """The form of a line: its first line's words with one space between, values as wildcards.

    >>> form_of("Accepted password for root from 10.0.0.7 port 4711 ssh2")
    'Accepted password for root from <*> port <*> ssh<*>'
    """
    words = _words(text)
    form = " ".join([_word(w) if len(w) <= _KEPT_WORD else _masked(w) for w in words])
    bare = without_named(form, WILD)
    if bare is not form:
        form = bare
    if WILD in form:
        form = _LIST.sub(WILD, _values(form))
    return _USER.sub(r"\1<*>", form) if "ser " in form else form


def forget_words() -> None:
    """Empties the memory of words, which only makes things faster."""
    _word.cache_clear()


def _values(form: str) -> str:
    """Values that are said in several words, as one."""
    form = _DATE.sub(WILD, form)
    if "<*> " in form:
        form = _LIST.sub(WILD, form)
        form = _ZONE.sub(WILD, _UNIT.sub(WILD, form))
        form = _TWICE.sub(WILD, form)
    return form


def _words(text: str) -> list[str]:
    line = text.lstrip()[: LONGEST + 1].split("\n", 1)[0]
    if not line.isascii():
        line = line.encode("utf-8", "replace").decode()  # half a character is none
    words = line.split()
    if len(line) > LONGEST and len(words) > 1:
        del words[-1]  # it may be cut
    return words


@lru_cache(maxsize=8_192)
def _word(word: str) -> str:
    return _masked(word)


def _masked(word: str) -> str:
    if word == "()":
        return "(<*>)"
    if word.isalpha() or not _TELLING.search(word):
        return word
    masked, values = _VALUE.subn(WILD, word[:_LONGEST_WORD])
    if values < 2:
        return masked
    # Several values in one word are the parts of one: a location, a package, a composed name.
    return _GLUED.sub(WILD, _PARTS.sub(WILD, masked))
