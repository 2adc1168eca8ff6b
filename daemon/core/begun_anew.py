"""What is told where something that was learned could not be taken up again."""

from __future__ import annotations

import math

from watchkeeper.detectors.types import Finding, Series, Severity

SIGNAL = "state"


def begun_anew(model: str, part: str, reason: str, at: float) -> Finding:
    """The finding that stored state could not be taken up, and is learned anew.

    `part` is what begins anew, "" for all that is known of the model. It explains: nobody is paged.
    """
    nan = math.nan
    series = Series(model, "", SIGNAL, part)
    return Finding(series, SIGNAL, Severity.INFO, at, at, nan, nan, nan, nan, 0, statement=reason)
