"""Sharing partition numbers, played without a broker: rounds of a group until nothing moves."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.protocol.consumer.metadata import ConsumerProtocolSubscription

from tests.examples import examples
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.daemon.transport.sharing import NumberSticky, Reader, share

Owned = dict[str, set[Partition]]

TOPICS = {"labels": 6, "predictions": 6}


def one_round(owned: Owned, counts: dict[str, int], generation: int) -> Owned:
    """What each member has once it was given its new share and told of it."""
    readers = [
        Reader(name, "", frozenset(counts), frozenset(had), generation if had else -1)
        for name, had in owned.items()
    ]
    return share(readers, {topic: set(range(n)) for topic, n in counts.items()})


def settled(owned: Owned, counts: dict[str, int]) -> tuple[Owned, int]:
    """What each member has in the end, and after how many rounds; no two ever have the same."""
    for generation in range(1, 6):
        after = one_round(owned, counts, generation)
        holders = Counter(spot for had in after.values() for spot in had)
        assert not [spot for spot, n in holders.items() if n > 1]
        for name, spots in after.items():
            others = {spot for other, had in owned.items() if other != name for spot in had}
            assert not spots & others, "given away before it was let go of"
        if after == owned:
            return owned, generation - 1
        owned = after
    raise AssertionError("it never settles")


def numbers(owned: Owned) -> dict[str, set[int]]:
    return {name: {spot.number for spot in had} for name, had in owned.items()}


def fresh(*names: str, counts: dict[str, int] = TOPICS) -> Owned:
    return settled({name: set() for name in names}, counts)[0]


def test_a_number_is_the_same_readers_in_every_topic() -> None:
    owned = fresh("a", "b", "c")

    assert numbers(owned) == {"a": {0, 1}, "b": {2, 3}, "c": {4, 5}}
    assert all(len(had) == 4 for had in owned.values())


def test_who_joins_takes_only_what_makes_it_even() -> None:
    before = fresh("a", "b")

    after, rounds = settled({**before, "c": set()}, TOPICS)

    assert rounds == 2
    assert after["a"] < before["a"]
    assert after["b"] < before["b"]
    assert numbers(after)["c"] == {2, 5}


def test_what_somebody_left_behind_moves_and_nothing_else() -> None:
    before = fresh("a", "b", "c")

    after, rounds = settled({name: before[name] for name in "ac"}, TOPICS)

    assert rounds == 1
    assert after["a"] > before["a"]
    assert after["c"] > before["c"]


def test_numbers_that_only_one_topic_has_are_shared_too() -> None:
    after = fresh("a", "b", counts={"labels": 4, "logs": 1})

    assert numbers(after) == {"a": {0, 1}, "b": {2, 3}}
    assert Partition("logs", 0) in after["a"]


def test_whoever_is_of_an_old_generation_has_nothing() -> None:
    topics = frozenset({"t"})
    both = frozenset({Partition("t", 0)})
    zombie, owner = Reader("a", "", topics, both, 3), Reader("b", "", topics, both, 5)

    assert share([zombie, owner], {"t": {0}}) == {"a": set(), "b": {Partition("t", 0)}}


def test_static_names_come_first_whatever_the_ids() -> None:
    topics = frozenset({"t"})
    readers = [Reader("1", "", topics), Reader("9", "w-1", topics), Reader("5", "w-2", topics)]

    given_to = share(readers, {"t": {0, 1}})

    assert given_to == {"1": set(), "9": {Partition("t", 0)}, "5": {Partition("t", 1)}}


@settings(max_examples=examples(200), deadline=None)
@given(
    counts=st.dictionaries(st.sampled_from("pqrs"), st.integers(1, 12), min_size=1),
    story=st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=12),
)
def test_coming_and_going_never_moves_more_than_it_must(
    counts: dict[str, int], story: list[str]
) -> None:
    most = max(counts.values())
    owned: Owned = {"z": set()}
    for name in story:
        left = {each: had for each, had in owned.items() if each != name}
        before = left if name in owned else {**owned, name: set()}
        owned, rounds = settled(before, counts)

        shares = [len(each) for each in numbers(owned).values()]
        assert rounds <= 2
        assert max(shares) - min(shares) <= 1
        assert {spot for had in owned.values() for spot in had} == {
            Partition(topic, n) for topic, count in counts.items() for n in range(count)
        }
        kept = sum(len(numbers(before)[each] & numbers(owned)[each]) for each in owned)
        held = sum(len(each) for each in numbers(before).values())
        assert held - kept <= -(-most // len(owned)), "more moved than one share"


def test_what_was_lost_is_not_claimed_any_more() -> None:
    ours = {Partition("t", 0), Partition("t", 1)}
    assignor = NumberSticky(lambda: ours)
    assignor.on_assignment(None, 7)
    told = assignor.metadata(["t"])
    ours.clear()

    lost = assignor.metadata(["t"])

    read = ConsumerProtocolSubscription.decode(told.encode())
    assert [(each.topic, list(each.partitions)) for each in read.owned_partitions] == [
        ("t", [0, 1])
    ]
    assert read.generation_id == 7
    assert list(lost.owned_partitions) == []
    assert lost.generation_id == -1


def test_it_reads_what_members_say_and_writes_what_they_understand() -> None:
    assignor = NumberSticky(lambda: [Partition("t", 1)])
    assignor.on_assignment(None, 2)
    said = ConsumerProtocolSubscription.decode(assignor.metadata(["t"]).encode())
    members = [
        SimpleNamespace(member_id="old", group_instance_id=None, metadata=said),
        SimpleNamespace(
            member_id="new",
            group_instance_id="w-2",
            metadata=NumberSticky(lambda: []).metadata(["t"]),
        ),
    ]
    cluster = SimpleNamespace(partitions_for_topic=lambda topic: {0, 1})

    assigned = assignor.assign(cluster, members)

    spots = {name: [tuple(each) for each in told.partitions()] for name, told in assigned.items()}
    assert spots == {"old": [("t", 1)], "new": [("t", 0)]}
