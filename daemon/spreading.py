"""The ways of a spread model's counts: from who reads its events to the topic, and to its owner."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np
import structlog

from watchkeeper.daemon.core.model import ModelState
from watchkeeper.daemon.core.spread import Counted, Merge, take
from watchkeeper.daemon.core.state import State, share_of, whole
from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.codec import DeadLetter, Decoded
from watchkeeper.daemon.transport.partials import (
    BadPartials,
    Chains,
    Link,
    Part,
    Partials,
    Span,
    decode,
    message,
)
from watchkeeper.daemon.transport.ports import Partition, Record
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.blocks import Block, LabelBlock, Member, models_of
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.types import AnyFrame, IntArray

log = structlog.get_logger()

MOST_BYTES = 512 * 1024  # of counts in one message: brokers take messages of up to 1 MB
REFER_S = 30.0  # how often references are looked for that people gave meanwhile


@runtime_checkable
class Counting(Protocol):
    """A source that knows how many partitions a topic has."""

    def partitions(self, topic: str) -> int:
        """How many; 0 while that is not known."""


@dataclass
class Arrived:
    """What came by the topic: counts to merge, records that are refused, and the partition number
    of each model."""

    merges: list[Merge] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    homes: dict[str, int] = field(default_factory=dict)


@dataclass
class Spreading:
    """`topic` carries the partials, `events` is the topic of predictions, of which `numbers` says
    how many partitions it has; `spread` says of which models the events may lie in any."""

    topic: str
    events: str
    numbers: Callable[[], int]
    spread: Callable[[str], bool]
    _referred_at: float = field(default=float("-inf"), init=False)

    # ---------------------------------------------------------------------------- contributors

    def without_partials(self, records: Records) -> Records:
        """The events among the records."""
        return records.of_places({each for each in records.places if each.topic != self.topic})

    def split(self, records: Records, decoded: Decoded) -> None:
        """Gives events of spread models to the share of the partition that they were read from."""
        numbers = np.array([place.number for place in records.places], dtype=np.int64)
        of = numbers[records.place] if len(records) else numbers
        decoded.blocks[:] = [self._shared(each, of[each.seq]) for each in decoded.blocks]
        decoded.frames[:] = [
            part for each in decoded.frames for part in self._shared_frame(each, of[each.seq])
        ]

    def rows(
        self, state: State, dirty: Collection[str], epochs: Mapping[Partition, int], at: float
    ) -> list[OutboxRow]:
        """What the shares counted since the last checkpoint, to be stored with this one."""
        found: list[OutboxRow] = []
        for name in sorted(state.shares & set(dirty)):
            share = state.models[name]
            assert share.share is not None
            number = share.share.number
            epoch = max((e for p, e in epochs.items() if p.number == number), default=None)
            if epoch is not None:
                width = state.policy(name).window_s
                found += (_row(each, self.topic, at) for each in self._said(share, epoch, width))
        return found

    def _said(self, model: ModelState, epoch: int, width: float) -> Iterator[Partials]:
        """One or more messages; only with the last one may the model's time move on."""
        share = model.share
        assert share is not None
        mark, parts = model.mark.newest, take(model)
        if not parts and share.sent and mark <= share.told:
            return
        bundles = list(_bundles(parts, width))
        for number, bundle in enumerate(bundles, start=1):
            if number == len(bundles):
                share.told = max(mark, share.told)
            after, share.sent = share.sent or None, share.sent + 1
            span = Span(self.events, share.number, after, share.sent, share.told)
            yield Partials(share.of, epoch, (span,), tuple(bundle))

    def _shared(self, block: Block, number: IntArray) -> Block:
        models, place = models_of(block)
        far = np.array([self.spread(model) for model in models], dtype=np.bool_)
        if not far.any():
            return block
        # One code for each (place, number): only those of spread models get names of their own.
        codes = place.astype(np.int64) * (int(number.max(initial=0)) + 1) + number
        codes = np.where(far[place], codes, -1 - place.astype(np.int64))
        first, code = np.unique(codes, return_index=True, return_inverse=True)[1:]
        names = [
            share_of(models[place[i]], int(number[i])) if far[place[i]] else models[place[i]]
            for i in first.tolist()
        ]
        code = code.reshape(-1).astype(np.int32)
        if isinstance(block, LabelBlock):
            return replace(block, models=tuple(names), model=code)
        versions = [block.members[place[i]].version for i in first.tolist()]
        members = tuple(map(Member, names, versions))
        return replace(block, members=members, member=code)

    def _shared_frame(self, frame: AnyFrame, number: IntArray) -> Iterator[AnyFrame]:
        if not self.spread(frame.model):
            yield frame
            return
        for each in np.unique(number).tolist():
            yield replace(frame.take(number == each), model=share_of(frame.model, each))

    # ----------------------------------------------------------------------------------- owners

    def arrived(self, records: Records, state: State) -> Arrived:
        """The counts that came for models of this owner, each message's once."""
        found = Arrived()
        chains: dict[str, Chains] = {}
        places = {each for each in records.places if each.topic == self.topic}
        for record in records.of_places(places) if places else ():
            try:
                told = decode(record.value or b"")
            except BadPartials as error:
                found.dead.append(_refused(record, str(error)))
                continue
            chain = chains.setdefault(told.model, self._chains(state, told.model))
            merged, why = _verdict(chain, told, state.policy(told.model).window_s)
            if why:
                found.dead.append(_refused(record, why))
                log.error("partials of a model do not follow", model=told.model, reason=why)
            if merged:
                chain.take(told)
                found.merges.append(self._merge(told))
                found.homes[told.model] = record.partition
        return found

    def _chains(self, state: State, model: str) -> Chains:
        known = state.models.get(model)
        links = known.links if known is not None else {}
        return Chains(
            {
                Partition(self.events, number): Link(link.end, link.epoch, link.mark)
                for number, link in links.items()
                if link.end
            }
        )

    def _merge(self, told: Partials) -> Merge:
        span = told.spans[0]
        parts = [Counted(p.version, p.signal, p.window, p.reference, p.arrays) for p in told.parts]
        numbers = max(self.numbers(), span.partition + 1)
        return Merge(told.model, span.partition, numbers, span.end, told.epoch, span.mark, parts)

    # ------------------------------------------------------------------------- what both are told

    def unreferred(self, state: State, now: float) -> set[str]:
        """The shares whose references are to be looked for again; `now` is a steady clock's."""
        if not state.shares or now - self._referred_at < REFER_S:
            return set()
        self._referred_at = now
        return set(state.shares)


def addressed(
    imported: Iterable[Profile], wanted: Collection[str], state: State
) -> Iterator[Profile]:
    """References that models are not compared with yet, each given to all shares of its model."""
    names: dict[str, list[str]] = {}
    for name in sorted(wanted):
        names.setdefault(whole(name), []).append(name)
    for each in imported:
        for name in names.get(each.model, ()):
            profile = msgspec.structs.replace(each, model=name)
            known = state.models.get(name)
            if known is None or known.profiles.get(each.version) != profile:
                yield profile


def _verdict(chain: Chains, told: Partials, width: float) -> tuple[bool, str]:
    """Whether a message is merged, and what is wrong with it, "" for nothing. One behind a gap is
    merged all the same: its own counts are whole."""
    if any(part.width != width for part in told.parts):
        return False, f"windows are not {width} s wide: instances must have one configuration"
    verdict = chain.judge(told)
    if verdict == "gap":
        return True, f"messages before {told.id} are missing: their counts are lost"
    if verdict in ("torn", "fenced"):
        return False, f"{told.id} is {verdict}: it does not follow what was merged"
    return verdict == "merge", ""


def _bundles(parts: Sequence[Counted], width: float) -> Iterator[list[Part]]:
    """The parts in messages that are small enough; at least one."""
    bundle: list[Part] = []
    size = 0
    for each in parts:
        n = sum(array.nbytes for array in each.arrays.values())
        if bundle and size + n > MOST_BYTES:
            yield bundle
            bundle, size = [], 0
        bundle.append(
            Part(each.version, each.signal, each.window, width, each.reference, each.arrays)
        )
        size += n
    yield bundle


def _row(partials: Partials, topic: str, at: float) -> OutboxRow:
    sent = message(partials, topic)
    return OutboxRow(
        id=f"partials:{partials.id}:{partials.epoch}",
        channel="kafka",
        payload=sent.value,
        created_at=at,
        topic=topic,
        key=sent.key,
        headers=sent.headers,
    )


def _refused(record: Record, why: str) -> DeadLetter:
    return DeadLetter(record, "partials", "$", why)
