"""Judges two versions on the newest labelled examples, by their files and recorded answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from watchkeeper.handlers.comparing import Comparison
from watchkeeper.handlers.examples import Examples, ExampleSource
from watchkeeper.handlers.left_out import LeftOut
from watchkeeper.handlers.losses import Answers, contest
from watchkeeper.handlers.onnx_file import BadModel
from watchkeeper.handlers.scorer import NOTHING, Unscorable
from watchkeeper.handlers.scoring import Limits, score_onnx
from watchkeeper.handlers.targets.registry import Artefact


@runtime_checkable
class Artefacts(Protocol):
    """Where the files of versions are found."""

    def artefact(self, model: str, version: str) -> Artefact | None:
        """The file of a version with its digest, if there is one."""


@dataclass
class ExampleScorer:
    """A Scorer. What is live is judged by its recorded answers, the target by scoring its file.

    It looks at the newest `limit` examples that the live version has answered, and needs
    `examples_min` of them. `positive` names each binary model's positive class.
    """

    examples: ExampleSource
    artefacts: Artefacts
    positive: Mapping[str, str] = field(default_factory=dict)
    limit: int = 2_000
    examples_min: int = 100
    limits: Limits = field(default_factory=Limits)

    def compare(
        self,
        model: str,
        current: str,
        target: str,
        since: float | None = None,
        left_out: LeftOut = NOTHING,
    ) -> Comparison:
        artefact = self.artefacts.artefact(model, target)
        if artefact is None:
            raise Unscorable(f"no file of {target} is registered")
        examples = self._of(model, current, since, left_out)
        positive = self.positive.get(model)
        answers = self._answers(artefact, examples, positive)
        comparison = contest(examples, Answers.recorded(examples), answers, positive)
        if comparison is None or comparison.n < self.examples_min:
            raise Unscorable(f"{target} and {current} cannot be compared answer by answer")
        return comparison

    def _of(self, model: str, version: str, since: float | None, left_out: LeftOut) -> Examples:
        examples = self.examples.newest(model, self.limit)
        wanted = np.array([each == version for each in examples.version], dtype=np.bool_)
        if since is not None:
            wanted &= examples.at > since
        found = examples.take(wanted & left_out.kept(examples))
        if len(found) < self.examples_min:
            raise Unscorable(f"only {len(found)} labelled examples of {version}")
        return found

    def _answers(self, artefact: Artefact, examples: Examples, positive: str | None) -> Answers:
        try:
            scores = score_onnx(
                Path(artefact.path),
                artefact.digest,
                examples.numeric,
                examples.categorical,
                self.limits,
            )
        except BadModel as error:
            raise Unscorable(f"the file cannot be scored: {error}") from error
        return Answers.scored(scores, len(examples), positive)
