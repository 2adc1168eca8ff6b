"""The packed references of one model: read back as they were, kept once where they are alike."""

from __future__ import annotations

import msgspec
import numpy as np

from tests.detectors.arrays.examples import profile
from watchkeeper.daemon.core.profiles import Profiles, unpacked
from watchkeeper.detectors.profile import Profile


def made(seed: int = 1) -> Profile:
    return profile(np.random.default_rng(seed), "m")


def test_a_reference_is_read_back_as_it_was_given() -> None:
    profiles = Profiles()

    profiles["1"] = made()

    assert profiles["1"] == made()
    assert unpacked(profiles.packed["1"]) == made()


def test_heirs_share_the_bytes_of_their_reference() -> None:
    profiles = Profiles()
    profiles["1"] = made()

    profiles["2"] = profiles["1"]
    profiles.take("3", bytes(bytearray(profiles.packed["1"])))

    assert len({id(packed) for packed in profiles.packed.values()}) == 1
    assert profiles["3"] == made()


def test_versions_with_references_of_their_own_keep_them() -> None:
    profiles = Profiles()
    profiles["1"], profiles["2"] = made(1), made(2)
    renamed = msgspec.structs.replace(made(1), version="3")

    profiles["3"] = renamed

    assert (profiles["1"], profiles["2"], profiles["3"]) == (made(1), made(2), renamed)


def test_an_heir_keeps_what_its_predecessor_gives_up() -> None:
    profiles = Profiles()
    profiles["1"] = profiles["2"] = made(1)

    profiles["1"] = made(2)
    assert profiles["2"] == made(1)
    del profiles["1"]

    assert profiles["2"] == made(1)
    assert list(profiles) == ["2"]
