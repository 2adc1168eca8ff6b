"""Names of measurements that others made up, as names that keep the rule.

What tells the series of one metric apart (its attributes or tags) goes into the name, in order of
its keys: `disk.used_percent/device/sda1`. A name that does not keep the rule as it is has what is
strange in it replaced, and ends in eight hex digits of the hash of what it was: the same for the
same, and different for different ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

_LONGEST = 128
_STRANGE = re.compile(r"[^A-Za-z0-9._/-]")
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")


def named(name: str, parts: Mapping[str, Any]) -> str:
    """The name of one series of a metric; it has 1 to 128 characters that names may have.

    >>> named("disk.used", {"path": "sda1", "fstype": "ext4"})
    'disk.used/fstype/ext4/path/sda1'
    >>> named("disk.used", {"path": "/var"})
    'disk.used/path//var-309db952'
    """
    pairs = [(key, _text(parts[key])) for key in sorted(parts)]
    whole = "/".join([name, *(text for pair in pairs for text in pair)])
    kept = len(whole) <= _LONGEST and not _STRANGE.search(whole) and whole != ""
    # A slash within a part could be one between parts.
    if kept and (not pairs or all(_PLAIN.fullmatch(t) for t in (name, *sum(pairs, ())))):
        return whole
    exact = "\x1f".join([name, *(text for pair in pairs for text in pair)])
    digits = hashlib.blake2b(exact.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{_STRANGE.sub('_', whole)[: _LONGEST - 9]}-{digits}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
