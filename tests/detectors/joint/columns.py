"""References and samples of features that go together."""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.frames import FloatArray
from watchkeeper.detectors.joint.learned import with_joint
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import profile_from_columns

Columns = dict[str, FloatArray]


def related(n: int, correlation: float, seed: int = 0, others: int = 3) -> Columns:
    """Features `a` and `b` of this correlation, skewed and on scales of their own, and `others`."""
    random = np.random.default_rng(seed)
    drawn = random.normal(size=(n, 2 + others))
    drawn[:, 1] = correlation * drawn[:, 0] + np.sqrt(1 - correlation**2) * drawn[:, 1]
    names = ["a", "b", *(f"c{i}" for i in range(others))]
    return {name: 1e3**i * np.exp(drawn[:, i]) for i, name in enumerate(names)}


def reference(columns: Columns) -> Profile:
    """What is learned of them."""
    return with_joint(profile_from_columns(columns, model="m", version="1"), columns)
