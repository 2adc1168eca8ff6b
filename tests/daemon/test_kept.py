"""What is kept of events is the same however small the pieces were in which they came."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from tests.daemon.storage import examples
from watchkeeper.daemon.kept import Keeping
from watchkeeper.daemon.pieces import Pieces
from watchkeeper.daemon.storage.values import Kept
from watchkeeper.detectors.blocks import (
    Block,
    LabelBlock,
    Member,
    MemberRoster,
    PredictionBlock,
    models_of,
)
from watchkeeper.detectors.gathered import predictions
from watchkeeper.detectors.roster import Roster

HOMES = {"fraud": 3}
KINDS = ("join", "whole")


def far(model: str) -> int:
    """A join reaches back further than all that comes."""
    del model
    return 10**9


def encoded(kept: Iterable[Kept]) -> list[tuple[int, str, bytes]]:
    return [(each.partition, each.kind, examples.stored(each.block)) for each in kept]


def parts_of(block: Block, size: int) -> list[Block]:
    return [block.take(slice(at, at + size)) for at in range(0, len(block), size)]


def keeping(parts: list[Block], share: float = 1.0) -> Keeping:
    made = Keeping()
    for part in parts:
        made.add([part], HOMES, set(), share)
    return made


@pytest.mark.parametrize("size", [1, 2, 5, 63, 64, 400])
@pytest.mark.parametrize("share", [1.0, 0.4])
def test_the_size_of_the_pieces_changes_nothing(size: int, share: float) -> None:
    made = PredictionBlock.of(examples.predictions(1_000))
    truths = LabelBlock.of(examples.labels(1_000))
    both = [
        part
        for pair in zip(parts_of(made, size), parts_of(truths, size), strict=True)
        for part in pair
    ]

    found = encoded(keeping(both, share).kept(far))

    assert found == encoded(keeping([made, truths], share).kept(far))
    assert [kind for _, kind, _ in found] == ["join", "join", "whole", "whole"]


def test_events_of_other_features_stay_apart_and_in_order() -> None:
    plain = PredictionBlock.of(examples.predictions(100))
    other = PredictionBlock.of(examples.predictions(100, at=examples.T0 + 500))
    other.numeric["more"] = np.arange(100.0)
    mixed: list[Block] = []
    for one, two in zip(parts_of(plain, 4), parts_of(other, 4), strict=True):
        mixed += [one, two]

    whole = [each.block for each in keeping(mixed).kept(far) if each.kind == "whole"]

    assert [len(block) for block in whole] == [100, 100]
    assert all(isinstance(block, PredictionBlock) for block in whole)
    assert [examples.stored(each) for each in whole] == [
        examples.stored(each.block)
        for part in (plain, other)
        for each in keeping([part]).kept(far)
        if each.kind == "whole"
    ]


def test_what_joins_need_is_in_order_of_arrival_whatever_is_kept_whole() -> None:
    plain = PredictionBlock.of(examples.predictions(300))
    other = replace(plain, numeric={**plain.numeric, "more": np.arange(300.0)})
    made = Keeping()

    for i, start in enumerate(range(0, 300, 10)):
        block = (other if i % 5 == 4 else plain).take(slice(start, start + 10))
        made.add([block], HOMES, set(), 0.3 if i % 7 == 6 else 1.0)

    (join,) = [each.block for each in made.kept(far) if each.kind == "join"]
    np.testing.assert_array_equal(join.at, plain.at)
    np.testing.assert_array_equal(join.key, plain.key)


def test_events_of_several_homes_are_kept_apart_however_few_come_at_once() -> None:
    homes = {"fraud": 3, "churn": 1}
    blocks = [PredictionBlock.of(replace(examples.predictions(40), model=model)) for model in homes]
    both = predictions([blocks[0], blocks[1]])
    mixed = both.take(np.argsort(both.at, kind="stable"))
    made = Keeping()

    for part in parts_of(mixed, 3):
        made.add([part], homes, set(), 1.0)

    found = {(each.partition, each.kind): each.block for each in made.kept(far)}
    assert sorted(found) == [(1, "join"), (1, "whole"), (3, "join"), (3, "whole")]
    for model, number in homes.items():
        for kind in ("join", "whole"):
            (mine,) = found[number, kind].frames()
            assert (mine.model, len(mine)) == (model, 40)
            np.testing.assert_array_equal(mine.at, blocks[0].at)


def test_events_of_models_without_a_home_are_not_kept() -> None:
    made = Keeping()

    made.add([PredictionBlock.of(examples.predictions(5))], {}, {Member("fraud", "13")}, 1.0)

    assert list(made.kept(far)) == []


def test_another_thread_may_put_it_together_and_it_may_be_gone_through_again() -> None:
    made = PredictionBlock.of(examples.predictions(500))
    kept = keeping(parts_of(made, 7)).kept(far)

    with ThreadPoolExecutor(1) as writer:
        found = writer.submit(encoded, kept).result(timeout=30)

    assert found == encoded(kept) == encoded(keeping([made]).kept(far))


def test_few_pieces_are_left_to_join_of_many_small_ones() -> None:
    pieces, block = Pieces(predictions), PredictionBlock.of(examples.predictions(3_000))

    for part in parts_of(block, 5):
        pieces.add(part)  # type: ignore[arg-type]

    assert len(pieces.parts) < 70
    assert same(pieces.joined(), block)


def test_large_pieces_are_not_copied_twice() -> None:
    pieces, block = Pieces(predictions), PredictionBlock.of(examples.predictions(3_000))
    parts = parts_of(block, 100)

    for part in parts:
        pieces.add(part)  # type: ignore[arg-type]

    assert all(one is other for one, other in zip(pieces.parts, parts, strict=True))


def same(one: Any, other: Any) -> bool:
    assert {each.name for each in fields(one)} == {each.name for each in fields(other)}
    return examples.stored(one) == examples.stored(other)


def made_by(members: tuple[Member, ...]) -> PredictionBlock:
    plain = PredictionBlock.of(examples.predictions(200))
    return replace(plain, members=members, member=np.arange(200, dtype=np.int32) % 2)


def told_of(models: tuple[str, ...]) -> LabelBlock:
    plain = LabelBlock.of(examples.labels(200))
    return replace(plain, models=models, model=np.arange(200, dtype=np.int32) % 2)


@pytest.mark.parametrize("later", [{}, {"c": 0}, {"c": 1}])
@pytest.mark.parametrize("homes", [{"a": 0, "b": 0}, {"a": 0, "b": 1}, {"a": 0}])
def test_events_of_numbered_models_go_home_like_others(
    homes: dict[str, int], later: dict[str, int]
) -> None:
    models: Roster[str] = Roster()
    members, given = MemberRoster(models), (Member("a", "1"), Member("b", "1"))
    for number, member in enumerate(given):
        models.add(member.model)
        members.join(member, number)
    numbered = members.of(np.arange(2)), models.of(np.arange(2))
    found = []

    for made_of, told in (numbered, (given, ("a", "b"))):
        made = Keeping()
        for known in ({}, {}, later):
            for name in known if made_of is numbered[0] else ():
                models.add(name)
            blocks: list[Block] = [made_by(made_of), told_of(told)]
            made.add(blocks, homes | known, set(), 1.0)
        kept = [(each.partition, each.kind, each.block) for each in made.kept(far)]
        found.append([(n, kind, models_of_rows(b), b.at.tolist()) for n, kind, b in kept])

    assert found[0] == found[1]
    assert {(n, kind) for n, kind, *_ in found[0]} == set(product(homes.values(), KINDS))
    assert all(homes[model] == n for n, _, named, _ in found[0] for model in named)


def models_of_rows(block: Block) -> list[str]:
    models, place = models_of(block)
    return [models[each] for each in place.tolist()]


@pytest.mark.parametrize("known", [True, False])
def test_a_few_events_of_very_many_models_keep_no_other_names(known: bool) -> None:
    models: Roster[str] = Roster()
    members, given = MemberRoster(models), [Member(f"m{i}", "1") for i in range(300)]
    for number, member in enumerate(given):
        models.add(member.model)
        members.join(member, number)
    plain = PredictionBlock.of(examples.predictions(300))
    places = np.arange(300, dtype=np.int32)[::-1]
    named = members.of(np.arange(300)) if known else tuple(given)
    made, homes = Keeping(), {member.model: 0 for member in given}

    made.add([replace(plain, members=named, member=places)], homes, set(), 0.1)

    (some,) = [each.block for each in made.kept(far) if each.kind == "whole"]
    assert isinstance(some, PredictionBlock)
    rows = [plain.key.tolist().index(key) for key in some.key.tolist()]
    assert 0 < len(rows) < 75
    assert [some.members[code] for code in some.member] == [given[299 - row] for row in rows]
    assert len(some.members) == len(rows)
