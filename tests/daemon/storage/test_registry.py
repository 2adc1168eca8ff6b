"""The registry knows what was live at any time, and a version never changes its content."""

from __future__ import annotations

import msgspec
import pytest

from tests.daemon.storage.examples import T0
from watchkeeper.daemon.storage.registry import UnknownVersion
from watchkeeper.daemon.storage.shelf import Shelf
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import ModelVersion
from watchkeeper.detectors.profile import Profile
from watchkeeper.handlers.targets.registry import Artefact, NewVersion, RegistryPort


def version(name: str, at: float = T0) -> ModelVersion:
    return ModelVersion(
        model="fraud",
        version=name,
        status="candidate",
        created_at=at,
        digest=f"sha-{name}",
        uri=f"/models/{name}.onnx",
        metrics={"accuracy": 0.9},
    )


@pytest.fixture
def filled(store: Store) -> Store:
    for number in (1, 2):
        store.registry.register(version(str(number), T0 + number))
    return store


def test_a_version_comes_back_as_it_was(filled: Store) -> None:
    assert filled.registry.versions("fraud") == [version("1", T0 + 1), version("2", T0 + 2)]
    assert filled.registry.version("fraud", "1") == version("1", T0 + 1)
    assert filled.registry.version("fraud", "9") is None
    assert filled.registry.models() == ["fraud"]


def test_registering_twice_changes_nothing(filled: Store) -> None:
    assert not filled.registry.register(version("1", T0 + 50))
    assert filled.registry.version("fraud", "1") == version("1", T0 + 1)


def test_another_content_under_the_same_version_is_refused(filled: Store) -> None:
    with pytest.raises(ValueError, match="digest sha-1"):
        filled.registry.register(msgspec.structs.replace(version("1"), digest="other"))


def test_what_was_live_at_any_time_is_known(filled: Store) -> None:
    filled.registry.set_live("fraud", "1", T0 + 10, "ana", "first")
    filled.registry.set_live("fraud", "2", T0 + 20, "ana", "better")

    live = [filled.registry.live_at("fraud", T0 + each) for each in (9, 10, 19.9, 20, 99)]

    assert live == [None, "1", "1", "2", "2"]
    assert [each.to_at for each in filled.registry.deployments("fraud")] == [T0 + 20, None]
    statuses = {each.version: each.status for each in filled.registry.versions("fraud")}
    assert statuses == {"1": "retired", "2": "live"}


def test_making_live_what_is_live_changes_nothing(filled: Store) -> None:
    assert filled.registry.set_live("fraud", "1", T0, "ana", "first")
    assert not filled.registry.set_live("fraud", "1", T0 + 5, "bob", "again")
    assert len(filled.registry.deployments("fraud")) == 1


def test_a_key_makes_live_only_once(filled: Store) -> None:
    filled.registry.set_live("fraud", "1", T0, "wk", "rollback", key="act-1")
    filled.registry.set_live("fraud", "2", T0 + 5, "ana", "fixed")

    assert not filled.registry.set_live("fraud", "1", T0 + 9, "wk", "rollback", key="act-1")
    current = filled.registry.live("fraud")
    assert current is not None
    assert current.version == "2"


def test_a_faulty_version_stays_faulty_when_it_is_replaced(filled: Store) -> None:
    filled.registry.set_live("fraud", "2", T0, "ana", "first")
    filled.registry.set_status("fraud", "2", "faulty")

    filled.registry.set_live("fraud", "1", T0 + 5, "wk", "rollback")

    statuses = {each.version: each.status for each in filled.registry.versions("fraud")}
    assert statuses == {"1": "live", "2": "faulty"}


def test_an_unknown_version_cannot_be_made_live(filled: Store) -> None:
    with pytest.raises(UnknownVersion, match="'9'"):
        filled.registry.set_live("fraud", "9", T0, "ana", "")
    with pytest.raises(UnknownVersion, match="'9'"):
        filled.registry.set_status("fraud", "9", "faulty")


def test_a_reference_is_replaced_by_a_newer_one(store: Store) -> None:
    profile = Profile("fraud", "1", "learned", 10, T0, T0 + 1, "binary")
    imported = msgspec.structs.replace(profile, source="imported", n=99)

    store.registry.put_profile(profile, T0)
    store.registry.put_profile(imported, T0 + 1)

    assert store.registry.profiles("fraud") == [imported]


def test_handlers_see_it_through_their_port(filled: Store) -> None:
    shelf = Shelf(filled.registry, lambda: T0 + 100)
    new = NewVersion("3", Artefact("/models/3.onnx", "sha-3"), "2", "data-1")

    shelf.add("fraud", new, "act-1")
    shelf.add("fraud", new, "act-1")
    shelf.set_live("fraud", "3", "wk", "promotion", "act-2")
    filled.registry.set_status("fraud", "1", "faulty")

    assert isinstance(shelf, RegistryPort)
    assert shelf.live("fraud") == "3"
    assert shelf.live("other") is None
    assert shelf.versions("fraud") == ["2", "3"]
    assert shelf.artefact("fraud", "3") == new.artefact
    assert shelf.artefact("fraud", "9") is None
