"""The detectors of all models in arrays: closed windows in, verdicts and findings out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from watchkeeper.daemon.core.policy import Suite
from watchkeeper.detectors.arrays.sampling import Targets, targets_of
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.banks import Bank, Columns, Judged, bank_for
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import IntArray, StateError


@dataclass(slots=True)
class Post:
    """One watch over its series of one group of columns; `name` tells it apart for ever."""

    watch: Watch
    group: int
    columns: IntArray
    signal: str
    targets: tuple[str, ...]
    bank: Bank
    name: bytes


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What one post made of one window of some members, row by row."""

    post: Post
    samples: Columns
    judged: Judged


@dataclass(slots=True)
class Panel:
    """The posts over all series of one schema, for one suite of watches.

    `places` are the rows of members in the banks. `loose` are the watches whose detectors have no
    bank: they are kept as objects elsewhere.
    """

    posts: list[Post]
    loose: tuple[Watch, ...]
    schema: Schema
    places: dict[int, int] = field(default_factory=dict)
    _free: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, suite: Suite, schema: Schema) -> Panel:
        """Posts for the series that windows of a schema have."""
        groups = targets_of(schema)
        posts: list[Post] = []
        loose: list[Watch] = []
        for watch in suite.watches:
            if bank_for(watch, 1) is None:
                loose.append(watch)
            else:
                posts += _posts(watch, suite, groups)
        return cls(posts, tuple(loose), schema)

    def place(self, member: int) -> int:
        """The member's row in every bank, without a past if it is new."""
        row = self.places.get(member)
        if row is None:
            row = self._free.pop() if self._free else len(self.places)
            self.places[member] = row
        return row

    def forget(self, member: int) -> None:
        """Gives up what was learned of the member."""
        row = self.places.pop(member, None)
        if row is None:
            return
        for post in self.posts:
            post.bank.clear(np.array([row]))
        self._free.append(row)

    def inherit(self, member: int, of: Panel, from_member: int) -> None:
        """Takes up what another member's windows taught, series by series."""
        row, from_row = self.place(member), of.places[from_member]
        for post in self.posts:
            for past in (each for each in of.posts if each.watch == post.watch):
                known = {target: i for i, target in enumerate(past.targets)}
                columns = np.array([known.get(t, -1) for t in post.targets], dtype=np.int64)
                post.bank.inherit(row, from_row, past.bank, columns)

    def judge(self, members: Sequence[int], groups: Sequence[Columns]) -> list[Verdicts]:
        """Every post's verdicts on one window of each of these members."""
        rows = np.array([self.place(member) for member in members], dtype=np.int64)
        found = []
        for post in self.posts:
            samples = groups[post.group]
            if len(post.columns) < len(samples.targets):
                samples = samples.pick(post.columns)
            found.append(Verdicts(post, samples, post.bank.judge(rows, samples)))
        return found

    def dump(self, member: int) -> dict[bytes, bytes]:
        """What was learned of the member, by the posts' names."""
        row = self.places.get(member)
        return {} if row is None else {post.name: post.bank.dump(row) for post in self.posts}

    def load(self, member: int, stored: Mapping[bytes, bytes]) -> list[str]:
        """Takes up what was learned; what a post cannot take up is said, and it begins anew."""
        row, refused = self.place(member), []
        for post in self.posts:
            if post.name not in stored:
                continue
            try:
                post.bank.load(row, stored[post.name])
            except StateError as error:
                refused.append(f"{post.signal} {post.watch.detector}: {error}")
        return refused


def _posts(watch: Watch, suite: Suite, groups: Sequence[Targets]) -> Iterator[Post]:
    for group, samples in enumerate(groups):
        if samples.signal != watch.signal:
            continue
        columns = [
            i
            for i, target in enumerate(samples.targets)
            if suite.stands(watch, watch.signal, target)
        ]
        bank = bank_for(watch, len(columns)) if columns else None
        if bank is None:
            continue
        targets = tuple(samples.targets[i] for i in columns)
        name = _name(watch, targets)
        yield Post(watch, group, np.array(columns), watch.signal, targets, bank, name)


def _name(watch: Watch, targets: tuple[str, ...]) -> bytes:
    what: Any = [msgspec.to_builtins(watch), targets]
    return hashlib.blake2b(msgspec.msgpack.encode(what), digest_size=8).digest()
