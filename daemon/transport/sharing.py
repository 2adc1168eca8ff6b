"""Who of a consumer group reads which partition numbers, moving as few as possible.

A model's home is a partition number, the same in every topic. So numbers are shared, never single
partitions: whoever has number 3 has it of every topic.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor, RebalanceProtocol
from kafka.protocol.consumer.metadata import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
)

from watchkeeper.daemon.transport.ports import Partition

# Tells which partitions a member has, and of which generation that is true.
_METADATA_VERSION = 2
_ASSIGNMENT_VERSION = 1


@dataclass(frozen=True)
class Reader:
    """One member as the leader of the group sees it. `name` is its static name, "" for none."""

    id: str
    name: str
    topics: frozenset[str]
    owned: frozenset[Partition] = frozenset()
    generation: int = -1


def share(
    readers: Sequence[Reader], partitions: Mapping[str, Collection[int]]
) -> dict[str, set[Partition]]:
    """The partitions of each reader, by its id.

    Numbers stay with whoever has them as far as the shares are even. A partition that another
    reader still has is given to nobody: its reader has to let go of it first, which begins another
    round.

    >>> two = {"labels": {0, 1}, "predictions": {0, 1}}
    >>> topics = frozenset(two)
    >>> old = Reader("a", "", topics, frozenset(Partition(t, n) for t in two for n in (0, 1)), 5)
    >>> given = share([old, Reader("b", "", topics)], two)
    >>> sorted({each.number for each in given["a"]}), given["b"]
    ([0], set())
    """
    ordered = sorted(readers, key=lambda each: (not each.name, each.name, each.id))
    holders = _holders(ordered)
    target = _targets(ordered, {n for numbers in partitions.values() for n in numbers}, holders)
    given: dict[str, set[Partition]] = {each.id: set() for each in ordered}
    for reader in ordered:
        for topic in reader.topics & partitions.keys():
            for number in partitions[topic]:
                spot = Partition(topic, number)
                if target.get(number) == reader.id == holders.get(spot, reader.id):
                    given[reader.id].add(spot)
    return given


def _holders(readers: Iterable[Reader]) -> dict[Partition, str]:
    """Who has a partition: the newest generation knows. Where two of one claim it, nobody has."""
    claims: dict[Partition, list[Reader]] = defaultdict(list)
    for reader in readers:
        for spot in reader.owned:
            claims[spot].append(reader)
    newest = {spot: max(r.generation for r in who) for spot, who in claims.items()}
    valid = {s: [r for r in who if r.generation == newest[s]] for s, who in claims.items()}
    return {spot: who[0].id for spot, who in valid.items() if len(who) == 1}


def _targets(
    readers: Sequence[Reader], numbers: Collection[int], holders: Mapping[Partition, str]
) -> dict[int, str]:
    """Who shall have each number in the end: even shares, with as few moves as they allow."""
    kept: dict[str, list[int]] = {each.id: [] for each in readers}
    for number, holder in sorted(_of_numbers(holders).items()):
        if number in numbers:
            kept[holder].append(number)
    least, more = divmod(len(numbers), len(readers))
    # Those who have most may have one more than the others; sorting keeps the order of equals.
    richest = sorted(kept, key=lambda each: -len(kept[each]))
    room = {each: least + (place < more) for place, each in enumerate(richest)}
    target = {n: each for each, had in kept.items() for n in had[: room[each]]}
    free = sorted(set(numbers) - target.keys())
    for reader in kept:
        missing = room[reader] - min(len(kept[reader]), room[reader])
        target.update(dict.fromkeys(free[:missing], reader))
        del free[:missing]
    return target


def _of_numbers(holders: Mapping[Partition, str]) -> dict[int, str]:
    """Who has a number: whoever has it of most topics."""
    votes: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for spot, holder in sorted(holders.items()):
        votes[spot.number][holder] += 1
    return {n: max(had, key=lambda each: (had[each], each)) for n, had in votes.items()}


class NumberSticky(AbstractPartitionAssignor):  # type: ignore[misc]
    """Shares partition numbers by KIP-429: members keep what they have while others come and go.

    What a member owns is asked of `owned`, that is of its listener. The library's own assignor
    remembers instead what it was given last, also after it was lost: then all the others wait for
    ever for a member to let go of what it does not have.
    """

    name = "watchkeeper-number-sticky"

    def __init__(self, owned: Callable[[], Collection[Partition]]) -> None:
        self._owned = owned
        self._generation = -1

    def supported_protocols(self) -> list[Any]:
        return [RebalanceProtocol.COOPERATIVE]

    def metadata(self, topics: Collection[str]) -> Any:
        owned: dict[str, list[int]] = defaultdict(list)
        for topic, number in sorted(self._owned()):
            owned[topic].append(number)
        spots = ConsumerProtocolSubscription.TopicPartition
        return ConsumerProtocolSubscription(
            version=_METADATA_VERSION,
            topics=sorted(topics),
            user_data=b"",
            owned_partitions=[spots(topic=t, partitions=numbers) for t, numbers in owned.items()],
            generation_id=self._generation if owned else -1,
        )

    def assign(self, cluster: Any, members: Sequence[Any]) -> dict[str, Any]:
        readers = [_reader(each) for each in members]
        topics = frozenset[str]().union(*(each.topics for each in readers))
        partitions = {topic: cluster.partitions_for_topic(topic) or set() for topic in topics}
        given = share(readers, partitions)
        return {member: _assignment(spots) for member, spots in given.items()}

    def on_assignment(self, assignment: Any, generation: int) -> None:
        del assignment  # the listener is told of it
        self._generation = generation


def _reader(member: Any) -> Reader:
    said = member.metadata
    return Reader(
        id=member.member_id,
        name=member.group_instance_id or "",
        topics=frozenset(said.topics),
        owned=frozenset(
            Partition(each.topic, number)
            for each in said.owned_partitions or ()
            for number in each.partitions
        ),
        generation=said.generation_id,
    )


def _assignment(spots: Collection[Partition]) -> Any:
    by_topic: dict[str, list[int]] = defaultdict(list)
    for topic, number in sorted(spots):
        by_topic[topic].append(number)
    return ConsumerProtocolAssignment(_ASSIGNMENT_VERSION, sorted(by_topic.items()), b"")
