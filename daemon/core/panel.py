"""The detectors of all models in arrays: closed windows in, verdicts and findings out."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec
import numpy as np

from watchkeeper.daemon.core.policy import Suite
from watchkeeper.detectors import fast
from watchkeeper.detectors.arrays.sampling import Targets, targets_of
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.banks import Bank, Columns, Judged, bank_for
from watchkeeper.detectors.banks.sheet import Page, Sheet, Sitting
from watchkeeper.detectors.banks.shiryaev_roberts import EvidenceBank
from watchkeeper.detectors.budgeting import EVIDENCE
from watchkeeper.detectors.sequential.detector import MOST_SERIES
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import IntArray, Severity, StateError

VERSIONS = 4  # versions of a model whose evidence is averaged, at most, for one to be enough


@dataclass(slots=True)
class Post:
    """One watch over its series of one group of columns; `name` tells it apart for ever.

    `whole` says that these are all of the group. `places` are the series among those of all
    groups, side by side.
    """

    watch: Watch
    group: int
    columns: IntArray
    signal: str
    targets: tuple[str, ...]
    bank: Bank
    name: bytes
    whole: bool
    places: IntArray

    def of(self, groups: Sequence[Columns]) -> Columns:
        """Its samples."""
        samples = groups[self.group]
        return samples if self.whole else samples.pick(self.columns)


class Verdicts(NamedTuple):
    """What one post made of one window of some members, row by row.

    `made` is the verdicts, or the page on which they are, from column `first` on; `found` says
    whether there is any finding.
    """

    post: Post
    groups: Sequence[Columns]
    made: Judged | Page
    found: bool
    first: int = 0

    @property
    def judged(self) -> Judged:
        """The verdicts."""
        if isinstance(self.made, Judged):
            return self.made
        return self.made.judged(slice(self.first, self.first + len(self.post.columns)))

    @property
    def samples(self) -> Columns:
        """What was judged."""
        return self.post.of(self.groups)


@dataclass(slots=True)
class Panel:
    """The posts over all series of one schema, for one suite of watches.

    `places` are the rows of members in the banks. `loose` are the watches whose detectors have no
    bank: they are kept as objects elsewhere. `evident` are the banks whose findings are weighed by
    their evidence. `layout` says what the bytes of a member's row are
    made of, once that was asked for.
    """

    posts: list[Post]
    loose: tuple[Watch, ...]
    schema: Schema
    places: dict[int, int] = field(default_factory=dict)
    layout: bytes = b""
    evident: list[EvidenceBank] = field(init=False)
    _free: list[int] = field(default_factory=list)
    _ends: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.evident = evident(self.posts)
        self._ends = [0, *accumulate(len(post.targets) for post in self.posts)]

    @classmethod
    def of(cls, suite: Suite, schema: Schema) -> Panel:
        """Posts for the series that windows of a schema have."""
        groups = targets_of(schema)
        posts: list[Post] = []
        loose: list[Watch] = []
        series = sum(
            len(c) for w in suite.watches if weighs(w) for _, c in _chosen(w, suite, groups)
        )
        for watch in suite.watches:
            if bank_for(watch, 1) is None:
                loose.append(watch)
            else:
                posts += _posts(watch, suite, groups, series)
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

    def clear(self, member: int, series: Collection[tuple[str, str]]) -> None:
        """Forgets what was learned of some of the member's series, (signal, target) each."""
        row = self.places.get(member)
        if row is None:
            return
        for post in self.posts:
            columns = [i for i, t in enumerate(post.targets) if (post.signal, t) in series]
            if columns:
                post.bank.clear_series(row, np.array(columns, dtype=np.int64))

    def inherit(self, member: int, of: Panel, from_member: int) -> None:
        """Takes up what another member's windows taught, series by series."""
        row, from_row = self.place(member), of.places[from_member]
        for post in self.posts:
            for past in (each for each in of.posts if each.watch == post.watch):
                known = {target: i for i, target in enumerate(past.targets)}
                columns = np.array([known.get(t, -1) for t in post.targets], dtype=np.int64)
                post.bank.inherit(row, from_row, past.bank, columns)

    def judge(
        self, members: Sequence[int], groups: Sequence[Columns], sheet: Sheet | None = None
    ) -> list[Verdicts]:
        """Every post's verdicts on one window of each of these members, on a `sheet` if one has
        been made."""
        rows = np.array([self.place(member) for member in members], dtype=np.int64)
        if not self.posts:
            return []
        if not fast.available():
            return [_plainly(post, rows, groups) for post in self.posts]
        ends = self._ends
        sitting = Sitting.of(rows, groups, ends[-1], sheet)
        page, plain = sitting.page, {}
        for number, post in enumerate(self.posts):
            bank = post.bank
            samples = post.of(groups) if bank.by_histograms else None
            if not bank.judge_here(sitting, post.places, ends[number], samples):
                plain[number] = _plainly(post, rows, groups)
        found = {bisect_right(ends, column) - 1 for column in page.found()}
        made = [
            Verdicts(post, groups, page, number in found, ends[number])
            for number, post in enumerate(self.posts)
        ]
        for number, verdicts in plain.items():
            made[number] = verdicts
        return made

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


def _plainly(post: Post, rows: IntArray, groups: Sequence[Columns]) -> Verdicts:
    """A post's verdicts by NumPy alone."""
    judged = post.bank.judge_plainly(rows, post.of(groups))
    return Verdicts(post, groups, judged, bool(judged.found.any()))


def evident(posts: Sequence[Post]) -> list[EvidenceBank]:
    """The banks of the posts whose findings are weighed by their evidence."""
    banks = [post.bank for post in posts if weighs(post.watch)]
    return [bank for bank in banks if isinstance(bank, EvidenceBank)]


def weighs(watch: Watch) -> bool:
    """Whether a watch's findings are harm that is weighed together with others by its evidence."""
    by_evidence = watch.detector.startswith(EVIDENCE)
    return by_evidence and watch.severity is not Severity.INFO


def _posts(watch: Watch, suite: Suite, groups: Sequence[Targets], series: int) -> Iterator[Post]:
    """The posts of a watch; `series` are all of the model that are weighed together."""
    firsts = [0, *accumulate(len(each.targets) for each in groups)]
    for group, columns in _chosen(watch, suite, groups):
        samples = groups[group]
        bank = bank_for(_reaching(watch, series), len(columns))
        if bank is None:
            continue
        targets = tuple(samples.targets[i] for i in columns)
        name = _name(watch, targets)
        chosen, whole = np.array(columns), len(columns) == len(samples.targets)
        places = firsts[group] + chosen
        yield Post(watch, group, chosen, watch.signal, targets, bank, name, whole, places)


def _chosen(
    watch: Watch, suite: Suite, groups: Sequence[Targets]
) -> Iterator[tuple[int, list[int]]]:
    """The groups with series that a watch stands over, and their columns."""
    for group, samples in enumerate(groups):
        if samples.signal == watch.signal:
            targets = enumerate(samples.targets)
            columns = [i for i, t in targets if suite.stands(watch, watch.signal, t)]
            if columns:
                yield group, columns


def _reaching(watch: Watch, series: int) -> Watch:
    """The watch, with evidence that counts so high that one series can be enough for all."""
    if not weighs(watch):
        return watch
    return msgspec.structs.replace(
        watch, settings={**watch.settings, "series": min(VERSIONS * series, MOST_SERIES)}
    )


def _name(watch: Watch, targets: tuple[str, ...]) -> bytes:
    what: Any = [msgspec.to_builtins(watch), targets]
    return hashlib.blake2b(msgspec.msgpack.encode(what), digest_size=8).digest()
