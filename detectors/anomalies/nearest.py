"""How far the newest stretch of a series is from the nearest one before it: left discords.

For a stretch of w values, the distance is that to the nearest of all earlier stretches of w values
which do not overlap it (the discord of Keogh, Lin and Fu, ICDM 2005, looking only back and without
normalisation, since level and scale are what went wrong as often as shape). One value alone gives
its novelty: the distance to the nearest value ever seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.frames import FloatArray, IntArray

Values = npt.NDArray[np.float32]


def nearest(
    values: Values, rows: IntArray, held: IntArray, windows: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Distances of the newest stretches: of their values, and of their means alone.

    `values` has shape (series, most): of each of `rows` the first `held` are there, the newest
    last. `windows` are the lengths of stretches, ascending. Both results have shape (rows,
    windows); NaN where the series is too short.
    """
    shapes, levels = (np.full((len(rows), len(windows)), np.nan) for _ in range(2))
    for i, (row, count) in enumerate(zip(rows.tolist(), held.tolist(), strict=True)):
        _nearest(values[row, :count], windows, shapes[i], levels[i])
    return shapes, levels


def _nearest(values: Values, windows: IntArray, shapes: FloatArray, levels: FloatArray) -> None:
    newest = len(values) - 1
    if newest < 1:
        return
    change, square = (np.zeros(newest, dtype=np.float32) for _ in range(2))
    at = 0
    for back in range(int(windows[-1])):
        if back >= newest:
            return
        # Place j is that of the stretch that ends at j: now `back` values before its end.
        apart = values[: newest - back] - values[newest - back]
        change[back:] += apart
        square[back:] += apart * apart
        if back + 1 == windows[at]:
            if newest < 2 * back + 1:
                return
            last = newest - back
            shapes[at] = np.sqrt(np.float64(square[back:last].min()))
            levels[at] = np.float64(np.abs(change[back:last]).min()) / (back + 1)
            at += 1
