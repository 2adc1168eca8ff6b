"""What was never seen before in a series: views of one value after another, and alarms."""

from __future__ import annotations

from watchkeeper.detectors.anomalies.anomalies import Anomalies, Judged
from watchkeeper.detectors.anomalies.rules import Rules

__all__ = ["Anomalies", "Judged", "Rules"]
