"""Generated examples of models whose world has changed since they were trained."""

from __future__ import annotations

import numpy as np

from watchkeeper.handlers.examples import Examples


def classification(n: int = 1_500, *, seed: int = 1, stale: bool = True) -> Examples:
    """Two classes by income, age and region; a stale model still believes the opposite of age."""
    random = np.random.default_rng(seed)
    at = np.arange(n, dtype=np.float64) * 60.0 + 1_800_000_000.0
    income, age = random.normal(3_000, 800, n), random.normal(45, 12, n)
    region = random.choice(np.array(["north", "south", "east"], dtype=object), n)
    risk = (income - 3_000) / 800 + (age - 45) / 12 + np.where(region == "north", 1.0, -0.5)
    label = np.where(risk + random.normal(0, 0.5, n) > 0, "yes", "no").astype(object)
    believed = risk - 2 * (age - 45) / 12 if stale else risk
    score = 1 / (1 + np.exp(-2 * believed))
    age = np.where(random.random(n) < 0.05, np.nan, age)
    region[random.random(n) < 0.03] = None
    return Examples(
        at=at,
        version=np.full(n, "v2", dtype=object),
        numeric={"income": income, "age": age},
        categorical={"region": region},
        label=label,
        value=np.full(n, np.nan),
        predicted_label=np.where(score > 0.5, "yes", "no").astype(object),
        score=score,
        predicted_value=np.full(n, np.nan),
    )


def regression(n: int = 1_200, *, seed: int = 1, stale: bool = True) -> Examples:
    """A price by size and rooms; a stale model does not know that prices have risen."""
    random = np.random.default_rng(seed)
    at = np.arange(n, dtype=np.float64) * 60.0 + 1_800_000_000.0
    size, rooms = random.uniform(30, 200, n), random.integers(1, 7, n).astype(np.float64)
    price = 2_000 * size + 10_000 * rooms + random.normal(0, 8_000, n)
    nothing = np.full(n, None, dtype=object)
    return Examples(
        at=at,
        version=np.full(n, "v2", dtype=object),
        numeric={"size": size, "rooms": rooms},
        categorical={},
        label=nothing,
        value=price,
        predicted_label=nothing,
        score=np.full(n, np.nan),
        predicted_value=price * (0.8 if stale else 1.0) + random.normal(0, 1_000, n),
    )
