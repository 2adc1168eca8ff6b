"""How many series of metrics there may be: what is left out is counted."""

from __future__ import annotations

from collections.abc import Collection

from prometheus_client import Counter


class Limits:
    """Admits the first so many models, and the first so many targets of each model's detectors,
    as long as they last.

    Labels come from events, so that anybody who may write those could make as many series as there
    is memory. `dropped` counts what is left out, by the limit that it is beyond.
    """

    def __init__(self, models: int, targets: int, dropped: Counter) -> None:
        self._models_limit = models
        self._targets_limit = targets
        self._dropped = dropped
        self._models: set[str] = set()
        self._targets: dict[str, set[tuple[str, str]]] = {}

    def admit(self, model: str) -> bool:
        """Whether a model is shown."""
        if model in self._models:
            return True
        if len(self._models) >= self._models_limit:
            self._dropped.labels("model").inc()
            return False
        self._models.add(model)
        return True

    def admit_target(self, model: str, detector: str, target: str) -> bool:
        """Whether what a detector says of one of the model's targets is shown."""
        known = self._targets.setdefault(model, set())
        if (detector, target) in known:
            return True
        if len(known) >= self._targets_limit:
            self._dropped.labels("target").inc()
            return False
        known.add((detector, target))
        return True

    def free_target(self, model: str, detector: str, target: str) -> None:
        """The target is shown no more: its place is another's."""
        self._targets.get(model, set()).discard((detector, target))

    def free(self, model: str) -> None:
        """None of a model's targets is shown any more."""
        self._targets.pop(model, None)

    def keep_only(self, models: Collection[str], without_targets: Collection[str] = ()) -> None:
        """No other model is shown any more, nor its targets, nor those of the latter."""
        self._models.intersection_update({*models, *without_targets})
        self._targets = {m: known for m, known in self._targets.items() if m in models}
