"""The registry of models is away, or comes and goes: nobody acts blindly, and nothing twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.killing import Round, check_reference, sqlite
from tests.faults.registry import Registry
from tests.faults.size import size
from tests.faults.zygote import Zygote

_FLAP_S = 0.15


@contextmanager
def flapping(models: Registry) -> Iterator[None]:
    """It is away every other moment."""
    stopping = threading.Event()

    def flap() -> None:
        while not stopping.wait(_FLAP_S):
            (models.down.clear if models.down.is_set() else models.down.set)()

    thread = threading.Thread(target=flap)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(10)
        models.down.clear()


@pytest.mark.timeout(size(120, 900))
def test_without_a_registry_nothing_is_done_and_a_person_is_asked(
    tmp_path: Path, models: Registry, zygote: Zygote
) -> None:
    models.down.set()

    left = Round(tmp_path / "away", sqlite(tmp_path / "away"), models, zygote).undisturbed()

    assert models.switches == []
    assert [each["state"] for each in left.actions] == ["error"]
    assert {each["model"] for each in left.incidents} == {"alpha", "beta", "gamma"}
    (alpha,) = [each for each in left.incidents if each["model"] == "alpha"]
    assert any("person" in note["text"] for note in alpha["timeline"])


@pytest.mark.timeout(size(120, 900))
def test_a_registry_that_comes_and_goes_is_asked_at_most_once(
    tmp_path: Path, models: Registry, zygote: Zygote
) -> None:
    for n in range(size(1, 20)):
        folder = tmp_path / f"flapping-{n}"
        with flapping(models):
            left = Round(folder, sqlite(folder), models, zygote).undisturbed()

        switched = [tuple(each) for each in models.switches]
        assert switched in ([], [("alpha", "1")])
        (action,) = left.actions
        # What the record says of the action is what became of it.
        assert (action["state"] == "successful") == (switched != [])


@pytest.mark.timeout(60)
def test_a_registry_that_is_there_is_acted_on(
    tmp_path: Path, models: Registry, zygote: Zygote
) -> None:
    left = Round(tmp_path / "there", sqlite(tmp_path / "there"), models, zygote).undisturbed()

    check_reference(left)
    assert [tuple(each) for each in models.switches] == [("alpha", "1")]
