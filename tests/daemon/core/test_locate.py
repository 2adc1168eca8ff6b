"""Evidence adds up to a verdict, and to no verdict without any."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.daemon.core.locate import posterior
from watchkeeper.handlers.types import Evidence, Kind


def test_without_evidence_the_kind_is_unknown() -> None:
    found = posterior([])

    assert max(found, key=lambda k: found[k]) is Kind.UNKNOWN


def test_strong_evidence_settles_it() -> None:
    found = posterior([Evidence(Kind.DATA, 4.5, "broken"), Evidence(Kind.MODEL, -2.0, "fine")])

    assert found[Kind.DATA] > 0.9


def test_evidence_against_one_kind_favours_the_others() -> None:
    before, after = posterior([]), posterior([Evidence(Kind.HOST, -2.0, "calm")])

    assert after[Kind.HOST] < before[Kind.HOST]
    assert after[Kind.DATA] > before[Kind.DATA]


@given(st.lists(st.tuples(st.sampled_from(list(Kind)), st.floats(-50, 50)), max_size=20))
def test_probabilities_are_probabilities(weights: list[tuple[Kind, float]]) -> None:
    found = posterior([Evidence(kind, weight, "") for kind, weight in weights])

    assert set(found) == set(Kind)
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-3)
    assert all(0.0 <= share <= 1.0 for share in found.values())
