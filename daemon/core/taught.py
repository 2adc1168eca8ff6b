"""What closed windows taught the detectors of a panel, as bytes: many members at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np

from watchkeeper.daemon.core.panel import Panel
from watchkeeper.detectors.types import StateError

_WORD = 8
_AT_ONCE = 256  # members: as many as the processor has at hand

Layout = list[tuple[bytes, bytes, int]]  # of each post: its name, its bank's stamp, bytes of a row
_layouts = msgspec.msgpack.Decoder(Layout)


def layout(panel: Panel) -> bytes:
    """What the members' bytes are made of."""
    if not panel.layout:
        posts = [(p.name, p.bank.stamp, p.bank.row_nbytes) for p in panel.posts]
        panel.layout = msgspec.msgpack.encode(posts)
    return panel.layout


def name_of(layout: bytes) -> bytes:
    """Stands for a layout, which is the same of very many members."""
    return hashlib.blake2b(layout, digest_size=8).digest()


def dump(panel: Panel, members: Sequence[int]) -> list[bytes]:
    """What was learned of each member: a bit for each word, and the words that are not zero. Empty
    for one that no window was judged of."""
    placed = [place for place, member in enumerate(members) if member in panel.places]
    found = [b""] * len(members)
    for first in range(0, len(placed), _AT_ONCE):
        part = placed[first : first + _AT_ONCE]
        rows = np.array([panel.places[members[place]] for place in part], dtype=np.int64)
        for place, each in zip(part, _packed(panel, rows), strict=True):
            found[place] = each
    return found


def load(panel: Panel, member: int, layout: bytes, packed: bytes) -> list[str]:
    """Takes up what was learned of a member; what a post cannot take up is said, and it begins
    anew. Raises ValueError where the bytes are not of that layout."""
    if not packed:
        return []
    posts, row, refused = _layouts.decode(layout), panel.place(member), []
    raw, at = _unpacked(packed, sum(size for _, _, size in posts)), 0
    known = {}
    for name, stamp, size in posts:
        known[name] = stamp, raw[:, at : at + size]
        at += size
    for post in panel.posts:
        if post.name not in known:
            continue
        stamp, mine = known[post.name]
        try:
            if stamp != post.bank.stamp:
                raise StateError("stored state has another layout")
            post.bank.put(np.array([row]), mine)
        except StateError as error:
            refused.append(f"{post.signal} {post.watch.detector}: {error}")
    return refused


def _packed(panel: Panel, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[bytes]:
    beyond = int(rows.max()) + 1
    parts = [part for post in panel.posts for part in post.bank.words(rows, beyond)]
    words = np.concatenate(parts, axis=1)
    used = words != 0
    ends = np.cumsum(used.sum(axis=1)).tolist()
    filled, bits = words[used].tobytes(), -(-used.shape[1] // 8)
    marks = np.packbits(used, axis=1).tobytes()
    starts = [0, *ends[:-1]]
    return [
        marks[bits * row : bits * row + bits] + filled[_WORD * first : _WORD * end]
        for row, (first, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _unpacked(packed: bytes, size: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    words = np.zeros(size // _WORD, dtype=np.int64)
    bits = -(-len(words) // 8)
    used = np.unpackbits(np.frombuffer(packed[:bits], np.uint8), count=len(words)).view(np.bool_)
    if len(packed) != bits + _WORD * int(np.count_nonzero(used)):
        raise ValueError("what detectors learned has another size than it says")
    words[used] = np.frombuffer(packed, np.int64, offset=bits)
    return words.view(np.uint8)[None]
