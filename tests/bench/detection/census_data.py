"""The census as the bench of estimates takes it: rows, their exact measures, drift of features."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.estimation.bins import MIDDLE
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

CHUNK = 2_000
_NO_FEATURE = frozenset({"id", "prediction", "predicted_probability", "employed"})
_SCORE_CUTS = MIDDLE[np.linspace(8, len(MIDDLE) - 9, 31).astype(np.int64)]


class Part(NamedTuple):
    """Predictions in order of time: features' bins (N, F), scores, answers and truths."""

    codes: IntArray
    score: FloatArray
    answer: BoolArray
    truth: BoolArray
    key: npt.NDArray[np.uint64]

    def take(self, rows: IntArray | slice) -> Part:
        """Some of them."""
        return Part(
            self.codes[rows],
            self.score[rows],
            self.answer[rows],
            self.truth[rows],
            self.key[rows],
        )

    def chunks(self) -> list[Part]:
        """The whole chunks."""
        ends = range(CHUNK, len(self.score) + 1, CHUNK)
        return [self.take(slice(end - CHUNK, end)) for end in ends]


@functools.lru_cache(maxsize=1)
def read(folder: Path) -> tuple[Part, Part]:
    """Reference and stream; features are binned by what the reference holds."""
    try:
        from pyarrow import parquet  # a second to import
    except ImportError as error:
        raise FileNotFoundError("Parquet needs pip install 'watchkeeper[parquet]'") from error

    known, later, labels = (
        parquet.read_table(folder / f"{name}.parquet") for name in ("reference", "stream", "labels")
    )
    truths = dict(zip(labels["id"].to_pylist(), labels["employed"].to_pylist(), strict=True))
    names = [name for name in later.column_names if name not in _NO_FEATURE]
    pairs = [_coded(known[name].to_pylist(), later[name].to_pylist()) for name in names]
    employed = np.array(known["employed"].to_pylist())
    late = np.array([truths[each] for each in later["id"].to_pylist()])
    return (
        _part(known, np.stack([a for a, _ in pairs], axis=1), employed),
        _part(later, np.stack([b for _, b in pairs], axis=1), late),
    )


def _part(table: Any, codes: IntArray, employed: IntArray) -> Part:
    score = np.array(table["predicted_probability"].to_pylist(), dtype=np.float64)
    binned = np.searchsorted(_SCORE_CUTS, score, side="right")[:, None]
    answer = np.array(table["prediction"].to_pylist()) == 1
    key = hashed(np.array(table["id"].to_pylist(), dtype=np.uint64))
    return Part(np.hstack([codes, binned]), score, answer, employed == 1, key)


def _coded(known: list[Any], later: list[Any]) -> tuple[IntArray, IntArray]:
    """Both columns as numbers of bins: quantiles of numbers, else categories and one for others."""
    if isinstance(known[0], float):
        cuts = np.unique(np.nanquantile(known, np.arange(1, 32) / 32))
        first, second = (np.searchsorted(cuts, each, side="right") for each in (known, later))
        return first, second
    kept = {each: i for i, each in enumerate(sorted(set(known), key=str)[:254])}
    first, second = (
        np.array([kept.get(each, len(kept)) for each in column]) for column in (known, later)
    )
    return first, second


def hashed(ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A well mixed number for each id (the finaliser of SplitMix64)."""
    mixed = ids + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def exact(part: Part) -> FloatArray:
    """Accuracy, AUC and F1 from the rows themselves, in points."""
    yes = part.truth
    _, place, count = np.unique(part.score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    k, m = int(yes.sum()), int((~yes).sum())
    auc = (rank[yes].sum() - k * (k + 1) / 2) / (k * m) if k and m else np.nan
    f1 = 2 * (yes & part.answer).sum() / max(int(yes.sum() + part.answer.sum()), 1)
    return 100.0 * np.array([(yes == part.answer).mean(), auc, f1])


def drift_pages(reference: Part, stream: Part) -> dict[str, BoolArray]:
    """Chunks in which a feature drifts: Jensen-Shannon distance above its chunks' mean and three
    deviations, as NannyML's default; and a chi-square test of any feature below 0.05."""
    from scipy.stats import chi2

    features = range(reference.codes.shape[1] - 1)
    whole = [np.bincount(reference.codes[:, f], minlength=256) for f in features]
    far, tests = [], []
    for part in (reference, stream):
        counts = [
            np.stack([np.bincount(c.codes[:, f], minlength=256) for c in part.chunks()])
            for f in features
        ]
        far.append([_distance(c, w) for c, w in zip(counts, whole, strict=True)])
        tests.append([_chi_square(c, w, chi2.sf) for c, w in zip(counts, whole, strict=True)])
    limits = [known.mean() + 3.0 * known.std(ddof=1) for known in far[0]]
    # A feature that never varied in the reference (a date) would page by itself: it is left out.
    varied = [int(np.count_nonzero(w)) > 1 for w in whole]
    drifted = [far[1][f] > limits[f] for f in features if varied[f]]
    tested = [tests[1][f] < 0.05 for f in features if varied[f]]
    return {
        "drift of a feature (distance, 3 deviations)": np.any(drifted, axis=0),
        "drift of a feature (chi-square, 0.05)": np.any(tested, axis=0),
    }


def _distance(counts: IntArray, whole: IntArray) -> FloatArray:
    p, q = counts / counts.sum(axis=1, keepdims=True), whole / whole.sum()
    middle = (p + q) / 2
    with np.errstate(all="ignore"):
        terms = np.where(p > 0, p * np.log2(p / middle), 0.0)
        terms += np.where(q > 0, q * np.log2(q / middle), 0.0)
    return np.asarray(np.sqrt(np.maximum(terms.sum(axis=1) / 2, 0.0)))


def _chi_square(counts: IntArray, whole: IntArray, tail: Any) -> FloatArray:
    n, m = counts.sum(axis=1, keepdims=True), whole.sum()
    pooled = (counts + whole) / (n + m)
    with np.errstate(all="ignore"):
        terms = (counts - n * pooled) ** 2 / (n * pooled) + (whole - m * pooled) ** 2 / (m * pooled)
    used = np.nan_to_num(terms).sum(axis=1)
    return np.asarray(tail(used, np.maximum((pooled > 0).sum(axis=1) - 1, 1)))
