"""Who lost a partition writes nothing more, whatever it still holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.daemon.storage.examples import P0, P1, T0, checkpoint
from tests.daemon.storage.stores import own, rows
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint, Fenced
from watchkeeper.daemon.transport.ports import Partition


def fenced_by_a_later_owner(store: Store) -> Checkpoint:
    stale = checkpoint(own(store, P0))
    own(store, P0)
    return stale


def fenced_on_one_of_two(store: Store) -> Checkpoint:
    back = store.restore([P0, P1], T0)
    own(store, P1)
    return replace(checkpoint(0), epochs=back.epochs)


def fenced_without_owning(store: Store) -> Checkpoint:
    return checkpoint(99)


def fenced_by_an_offset_of_another(store: Store) -> Checkpoint:
    return replace(checkpoint(own(store, P0)), offsets={P1: 5})


def fenced_by_a_state_of_another(store: Store) -> Checkpoint:
    return replace(checkpoint(own(store, P0)), states={"fraud": (1, {})})


def fenced_although_it_owns_something_newer(store: Store) -> Checkpoint:
    stale = own(store, P0)
    own(store, P0)
    mine = own(store, P1)
    return replace(checkpoint(0), epochs={P0: stale, P1: mine})


@pytest.mark.parametrize(
    "arrange",
    [
        fenced_by_a_later_owner,
        fenced_on_one_of_two,
        fenced_without_owning,
        fenced_by_an_offset_of_another,
        fenced_by_a_state_of_another,
        fenced_although_it_owns_something_newer,
    ],
)
def test_a_fenced_owner_writes_nothing(
    store: Store, url: str, arrange: Callable[[Store], Checkpoint]
) -> None:
    stale = arrange(store)
    before = rows(url)

    with pytest.raises(Fenced):
        store.commit(stale)

    assert rows(url) == before


def test_a_state_stays_fenced_when_its_partition_is_shared_by_topics(store: Store) -> None:
    labelled = Partition("labels", 0)
    old = store.restore([P0, labelled], T0)
    new = store.restore([P0], T0)
    store.commit(replace(checkpoint(0), epochs=new.epochs))

    with pytest.raises(Fenced, match="state of fraud"):
        store.commit(
            Checkpoint(
                at=T0,
                epochs={labelled: old.epochs[labelled]},
                offsets={labelled: 3},
                states={"fraud": (0, {"stale": True})},
            )
        )
