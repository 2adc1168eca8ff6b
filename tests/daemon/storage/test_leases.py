"""A lease has one holder, and its token only rises."""

from __future__ import annotations

from watchkeeper.daemon.storage.store import Store


def test_a_held_lease_is_not_given_away(store: Store) -> None:
    first = store.leases.acquire("l", "a", 30.0)

    assert store.leases.acquire("l", "b", 30.0) is None
    assert store.leases.acquire("l", "a", 30.0) == first
    assert store.leases.token("l") == first


def test_an_expired_lease_has_a_greater_token(store: Store) -> None:
    first = store.leases.acquire("l", "a", 0.0)
    second = store.leases.acquire("l", "a", 0.0)
    third = store.leases.acquire("l", "b", 30.0)

    assert first is not None
    assert second is not None
    assert third is not None
    assert first < second < third


def test_a_lost_lease_cannot_be_renewed_or_released(store: Store) -> None:
    old = store.leases.acquire("l", "a", 0.0)
    assert old is not None
    new = store.leases.acquire("l", "b", 30.0)
    assert new is not None

    store.leases.release("l", old)

    assert not store.leases.renew("l", old, 30.0)
    assert store.leases.renew("l", new, 30.0)
    assert store.leases.acquire("l", "c", 30.0) is None


def test_leases_do_not_touch_each_other(store: Store) -> None:
    assert store.leases.acquire("l", "a", 30.0) == 1
    assert store.leases.acquire("m", "b", 30.0) == 1
    assert store.leases.token("n") == 0
