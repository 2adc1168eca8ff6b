from __future__ import annotations

from tests.detectors.signals.frames import predictions, sampled
from watchkeeper.detectors.signals.clients import Clients


def test_the_share_of_the_busiest_client() -> None:
    frame = predictions(9, entity=["a"] * 6 + ["b", "c", None])

    found = sampled(Clients(), [frame])

    assert found[""].value == 0.75
    assert found[""].n == 8


def test_without_entities_there_is_nothing_to_say() -> None:
    assert sampled(Clients(), [predictions(3)]) == {}


def test_many_even_clients_have_no_busiest() -> None:
    frame = predictions(20_000, entity=[f"client {i}" for i in range(20_000)])

    assert sampled(Clients(), [frame])[""].value < 0.01
