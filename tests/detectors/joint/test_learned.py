"""What a reference knows of features together: bounded, deterministic, and absent where unknown."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detectors.joint.columns import reference, related
from tests.detectors.signals.frames import predictions
from tests.examples import examples
from watchkeeper.detectors.joint.learned import learned_with_joint
from watchkeeper.detectors.profile import JOINT_FEATURES, Joint, Profile
from watchkeeper.detectors.profiling import learn_profile


def known(profile: Profile) -> Joint:
    assert profile.joint is not None
    return profile.joint


def test_correlations_are_those_of_ranks_whatever_the_scale() -> None:
    joint = known(reference(related(4_000, 0.8)))

    found = np.array(joint.correlation)
    assert joint.names == ("a", "b", "c0", "c1", "c2")
    assert found[0, 1] == pytest.approx(0.8, abs=0.03)
    assert np.abs(found - np.diag(np.diag(found)))[2:].max() < 0.06
    np.testing.assert_allclose(np.diag(found), 1.0)


def test_what_is_left_over_is_where_features_go_together() -> None:
    joint = known(reference(related(4_000, 0.95, others=0)))

    ((a,), (b,)) = joint.directions  # one direction: that in which they differ
    assert a == pytest.approx(-b, rel=0.05)
    assert sum(joint.residual.counts) == 2_000  # rows that the direction was not fitted to


def test_of_many_features_those_are_taken_that_go_together() -> None:
    columns = related(2_000, 0.7, others=60)

    joint = known(reference(columns))

    assert len(joint.names) == JOINT_FEATURES
    assert {"a", "b"} <= set(joint.names)


def test_few_rows_teach_little() -> None:
    columns = related(200, 0.7)

    names = known(reference(columns)).names
    assert len(names) == 4
    assert names[:2] == ("a", "b")
    assert reference({name: c[:99] for name, c in columns.items()}).joint is None


@pytest.mark.parametrize("column", [np.full(500, 3.0), np.full(500, np.nan)])
def test_a_feature_that_does_not_vary_is_left_out(column: np.ndarray) -> None:
    columns = related(500, 0.7, others=0)

    assert known(reference({**columns, "z": column})).names == ("a", "b")
    assert reference({"a": columns["a"], "z": column}).joint is None


def test_it_is_the_same_however_the_rows_come() -> None:
    columns = related(1_000, 0.6)
    frame = predictions(1_000, numeric=columns)
    cuts = [frame.take(rows) for rows in np.array_split(np.arange(1_000), 7)]

    profile = learn_profile([frame], "m", "1")

    whole = learned_with_joint(profile, [frame])
    assert learned_with_joint(profile, cuts) == whole
    assert known(whole) == known(reference(columns))


def test_references_of_before_are_read_as_knowing_nothing() -> None:
    plain = msgspec.to_builtins(learn_profile([predictions(50)], "m", "1"))
    del plain["joint"]

    assert msgspec.convert(plain, Profile).joint is None


def test_it_is_stored_and_read_back() -> None:
    profile = reference(related(1_000, 0.6))

    stored = msgspec.msgpack.encode(profile)

    assert msgspec.msgpack.decode(stored, type=Profile) == profile
    whole = msgspec.msgpack.encode(reference(related(3_000, 0.6, others=40)))
    assert len(whole) < 60_000


_ODD = st.sampled_from([0.0, -0.0, 1.0, 2.0, 1e308, -1e308, 5e-324, np.nan, np.inf, -np.inf])


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.lists(_ODD, min_size=1, max_size=5), min_size=2, max_size=5))
def test_odd_columns_teach_finite_numbers(values: list[list[float]]) -> None:
    columns = {f"f{i}": np.resize(np.array(each), 400) for i, each in enumerate(values)}

    joint = reference(columns).joint

    if joint is not None:
        assert np.isfinite(joint.correlation).all()
        assert np.isfinite(joint.directions).all()
        assert np.isfinite(joint.residual.edges).all()
        assert len(joint.residual.counts) == len(joint.residual.edges) + 1 >= 2
