"""Kept events: in order, as many as joins reach back, and no older than the horizon."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import get_args

import sqlalchemy as sa

from tests.daemon.storage.examples import P0, T0, kept, labels, predictions
from tests.daemon.storage.stores import own
from watchkeeper.daemon.storage import tables
from watchkeeper.daemon.storage.database import Database
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import CapturedFrame, Checkpoint, Kept, KeptKind
from watchkeeper.detectors import gathered
from watchkeeper.detectors.blocks import PredictionBlock, models_of
from watchkeeper.detectors.types import LabelFrame


def test_kept_frames_come_back_in_the_order_they_were_kept(store: Store) -> None:
    epoch = own(store, P0)
    given: list[CapturedFrame] = [predictions(at=T0), labels(at=T0), predictions(at=T0 - 50)]
    for offset, frame in enumerate(given):
        store.commit(Checkpoint(at=T0, epochs={P0: epoch}, offsets={P0: offset}, kept=kept(frame)))

    back = store.captured("fraud")

    assert [type(each) for each in back] == [type(each) for each in given]
    assert [each.at[0] for each in back] == [each.at[0] for each in given]
    assert [each.at[0] for each in store.captured("fraud", since=T0 - 1)] == [T0, T0]
    assert [each.at[0] for each in store.captured("fraud", until=T0 - 1)] == [T0 - 50]
    assert store.captured("other") == []


def test_what_cannot_be_read_keeps_nothing_else_from_coming_back(store: Store, url: str) -> None:
    epoch = own(store, P0)
    given: list[CapturedFrame] = [predictions(at=T0), labels(at=T0), predictions(at=T0 - 50)]
    for offset, frame in enumerate(given):
        whole = [*kept(frame), *kept(frame, kind="join")]
        store.commit(Checkpoint(at=T0, epochs={P0: epoch}, offsets={P0: offset}, kept=whole))
    database = Database(url)
    with database.write() as connection:
        found = sa.select(sa.func.min(tables.kept.c.id)).group_by(tables.kept.c.kind)
        first = connection.execute(found).scalars().all()
        damaged = sa.update(tables.kept).where(tables.kept.c.id.in_(first))
        connection.execute(damaged.values(blob=b"not a block"))
    database.close()

    assert [each.at[0] for each in store.captured("fraud")] == [T0, T0 - 50]
    back = store.joins([P0.number], T0)
    assert len(back.blocks) == 2
    assert back.damaged is not None
    assert back.damaged.counts == {"fraud": len(given[0])}
    assert store.records.findings("fraud")[0].statement.endswith(back.damaged.reason)
    assert store.joins([P0.number], T0).damaged is None  # it was put away


def test_kept_events_of_unknown_models_are_pruned_by_their_age_alone(
    store: Store, url: str
) -> None:
    epoch = own(store, P0)
    given = kept(predictions(n=4, at=T0), predictions(n=4, at=T0 + 500))
    store.commit(Checkpoint(at=T0, epochs={P0: epoch}, kept=given))
    database = Database(url)
    with database.write() as connection:
        connection.execute(sa.update(tables.kept).values(models=b"not a map"))
    database.close()

    assert store.captured("fraud") == []
    assert store.prune_captured(newest_n=1, keep_s=1_000, now=T0 + 600) == 0
    assert store.prune_captured(newest_n=1, keep_s=1_000, now=T0 + 1_100) == 1


def test_an_empty_frame_is_not_kept(store: Store) -> None:
    nothing = predictions(n=0)

    store.commit(Checkpoint(at=T0, epochs={P0: own(store, P0)}, kept=kept(nothing)))

    assert store.captured("fraud") == []


def test_pruning_keeps_the_newest_events_of_each_kind(store: Store) -> None:
    epoch = own(store, P0)
    frames = [predictions(n=4, at=T0 + 10 * i) for i in range(5)] + [labels(n=4, at=T0)]
    store.commit(Checkpoint(at=T0, epochs={P0: epoch}, kept=kept(*frames)))

    gone = store.prune_captured(newest_n=6, keep_s=1_000, now=T0 + 100)

    left = store.captured("fraud")
    assert gone == 3
    assert [each.at[0] for each in left] == [T0 + 30, T0 + 40, T0]
    assert isinstance(left[-1], LabelFrame)


def test_a_model_counts_with_all_of_its_versions(store: Store) -> None:
    two = [
        each.block
        for version in ("1", "2")
        for each in kept(replace(predictions(n=4, at=T0), version=version))
    ]
    both = gathered.predictions([each for each in two if isinstance(each, PredictionBlock)])
    older = kept(predictions(n=4, at=T0 - 10))
    given = [*older, Kept(0, "whole", both)]
    store.commit(Checkpoint(at=T0, epochs={P0: own(store, P0)}, kept=given))

    assert [member.version for member in both.members] == ["1", "2"]
    assert store.prune_captured(newest_n=9, keep_s=1_000, now=T0 + 100) == 0
    assert store.prune_captured(newest_n=8, keep_s=1_000, now=T0 + 100) == 1


def test_pruning_keeps_as_much_as_a_join_reaches_back(store: Store) -> None:
    blocks = [
        Kept(number, kind, kept(replace(predictions(n=4, at=T0 + 10 * i), model=model))[0].block)
        for i in range(5)
        for model, number in (("fraud", 0), ("churn", 0), ("far", 7))
        for kind in get_args(KeptKind)
    ]
    store.commit(Checkpoint(at=T0, epochs={P0: own(store, P0)}, kept=blocks))

    gone = store.prune_captured(4, 1_000, T0 + 100, joins={"fraud": 12}, numbers={0})

    left = Counter(model for block in store.joins({0}, T0).blocks for model in models_of(block)[0])
    assert left == {"fraud": 3, "churn": 1}
    assert len(store.joins({7}, T0).blocks) == 5
    assert [len(store.captured(model)) for model in ("fraud", "churn", "far")] == [1, 1, 5]
    assert gone == 2 + 4 + 4 + 4


def test_pruning_drops_what_is_older_than_the_horizon(store: Store) -> None:
    epoch = own(store, P0)
    frames = [predictions(n=4, at=T0 + 10 * i) for i in range(5)]
    store.commit(Checkpoint(at=T0, epochs={P0: epoch}, kept=kept(*frames)))

    store.prune_captured(newest_n=1_000, keep_s=23, now=T0 + 100)

    assert [each.at[0] for each in store.captured("fraud")] == [T0 + 20, T0 + 30, T0 + 40]


def test_what_is_kept_is_old_beside_its_own_models_events(store: Store) -> None:
    epoch, year_s = own(store, P0), 365 * 86_400.0
    past = [predictions(n=4, at=T0 - year_s + 10 * i) for i in range(3)]
    today = [replace(predictions(n=4, at=T0 - 20 + 10 * i), model="churn") for i in range(3)]
    ahead = [replace(predictions(n=4, at=T0 + d), model="early") for d in (0, 80_000)]
    frames = [*past, *today, *ahead]
    store.commit(Checkpoint(at=T0, epochs={P0: epoch}, kept=kept(*frames)))

    gone = store.prune_captured(newest_n=1_000, keep_s=14.0, now=T0 + 16)

    assert gone == 2
    assert [each.at[0] for each in store.captured("fraud")] == [T0 - year_s + d for d in (10, 20)]
    assert [each.at[0] for each in store.captured("churn")] == [T0 - 10, T0]
    assert len(store.captured("early")) == 2
