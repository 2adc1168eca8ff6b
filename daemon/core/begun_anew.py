"""What is told where something that was learned could not be taken up again."""

from __future__ import annotations

import math

from watchkeeper.daemon.core.state import SHARE, whole
from watchkeeper.detectors.types import Finding, Series, Severity

SIGNAL = "state"


def begun_anew(model: str, part: str, reason: str, at: float) -> Finding:
    """The finding that stored state could not be taken up, and is learned anew.

    `part` is what begins anew, "" for all that is known of the model. It explains: nobody is paged.
    A share's is told of the model that it is a share of.
    """
    nan, number = math.nan, model.partition(SHARE)[2]
    parts = [f"share {number}" if number else "", part]
    series = Series(whole(model), "", SIGNAL, " ".join(filter(None, parts)))
    return Finding(series, SIGNAL, Severity.INFO, at, at, nan, nan, nan, nan, 0, statement=reason)
