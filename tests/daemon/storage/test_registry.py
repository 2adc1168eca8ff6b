"""The registry knows what was live at any time, and a version never changes its content."""

from __future__ import annotations

from itertools import permutations

import msgspec
import pytest

from tests.daemon.storage.examples import T0
from watchkeeper.daemon.storage.registry import UnknownVersion
from watchkeeper.daemon.storage.shelf import Shelf
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint, Deployment, ModelVersion
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


def told(store: Store, *deployments: Deployment, faulty: tuple[tuple[str, str], ...] = ()) -> None:
    """A checkpoint with news of deployments."""
    store.commit(Checkpoint(at=T0, epochs={}, deployments=deployments, faulty=faulty))


def went_live(name: str, after: float, model: str = "fraud") -> Deployment:
    return Deployment(model, name, T0 + after, None, "pipeline", "deployed", f"{model}-{after}")


def test_a_version_first_heard_of_when_it_went_live_is_known_by_its_name(store: Store) -> None:
    told(store, went_live("1", 10))

    (known,) = store.registry.versions("fraud")
    assert (known.version, known.status, known.digest, known.uri) == ("1", "live", "", "")
    assert known.created_at == T0 + 10
    assert store.registry.live_at("fraud", T0 + 11) == "1"


def test_a_version_known_by_name_gets_its_file_when_it_is_registered(store: Store) -> None:
    told(store, went_live("1", 10))

    assert store.registry.register(version("1", T0 + 50))
    assert not store.registry.register(version("1", T0 + 60))

    (known,) = store.registry.versions("fraud")
    assert (known.digest, known.uri, known.status) == ("sha-1", "/models/1.onnx", "live")
    assert known.metrics == {"accuracy": 0.9}


@pytest.mark.parametrize("order", list(permutations((10, 20, 30, 30.5))))
def test_in_whatever_order_news_comes_history_is_whole(
    store: Store, order: tuple[float, ...]
) -> None:
    names = {10: "1", 20: "2", 30: "1", 30.5: "1"}

    for after in order:
        told(store, went_live(names[after], after), went_live("9", after, model="other"))

    history = store.registry.deployments("fraud")
    assert [(d.version, d.from_at - T0) for d in history] == [(v, a) for a, v in names.items()]
    assert [d.to_at for d in history] == [*(d.from_at for d in history[1:]), None]
    assert [store.registry.live_at("fraud", T0 + at) for at in (9, 15, 25, 99)] == [
        *(None, "1", "2", "1")
    ]
    statuses = {each.version: each.status for each in store.registry.versions("fraud")}
    assert statuses == {"1": "live", "2": "retired"}


def test_news_that_comes_twice_counts_once(store: Store) -> None:
    for _ in range(2):
        told(store, went_live("1", 10), went_live("2", 20), went_live("1", 10))

    assert [each.version for each in store.registry.deployments("fraud")] == ["1", "2"]


def test_an_order_ends_what_is_announced_for_a_moment_later(filled: Store) -> None:
    told(filled, went_live("2", 100))

    assert filled.registry.set_live("fraud", "1", T0 + 50, "wk", "rollback", key="act-1")

    current = filled.registry.live("fraud")
    assert current is not None
    assert (current.version, current.from_at) == ("1", T0 + 100)
    history = filled.registry.deployments("fraud")
    assert [(d.version, d.to_at) for d in history] == [("2", T0 + 100), ("1", None)]


def test_the_application_confirms_what_the_registry_ordered(filled: Store) -> None:
    told(filled, went_live("2", 10))
    filled.registry.set_live("fraud", "1", T0 + 50, "wk", "rollback", key="act-1")

    told(filled, went_live("1", 50.5))

    assert filled.registry.live_at("fraud", T0 + 60) == "1"
    statuses = {each.version: each.status for each in filled.registry.versions("fraud")}
    assert statuses == {"1": "live", "2": "retired"}


def test_a_blamed_version_is_never_offered_again(filled: Store) -> None:
    told(filled, went_live("2", 10), went_live("1", 20), faulty=(("fraud", "2"), ("fraud", "7")))
    told(filled, went_live("2", 30), went_live("1", 40))

    statuses = {each.version: each.status for each in filled.registry.versions("fraud")}
    assert statuses == {"1": "live", "2": "faulty", "7": "faulty"}
    assert Shelf(filled.registry, lambda: T0).versions("fraud") == ["1"]


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
