"""Puts the log lines of closed windows before the watch over what they say."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from watchkeeper.daemon.core.closing import Closing
from watchkeeper.daemon.core.judges import is_watched, judge_one
from watchkeeper.daemon.core.measuring import LIVE
from watchkeeper.daemon.core.step import Step
from watchkeeper.detectors.templates.watch import DETECTORS, LogWatch, Said
from watchkeeper.detectors.templates.watch import SIGNAL as LOGS
from watchkeeper.detectors.types import Finding, Series, Severity

EXAMPLES, LONGEST_LINE = 3, 500  # log lines a finding shows, and characters of each


def judge_statements(closing: Closing, step: Step) -> None:
    """Puts a window's log lines before the watch over what they say."""
    model, policy = closing.model, closing.policy
    part = model.partials.get(closing.index, {}).get((LIVE, LOGS))
    if part is None:
        return
    if model.statements is None:
        model.statements = LogWatch(budget=policy.false_alarm_s / policy.window_s)
    version = model.live_version
    watched = model.statements.close(model.model, version, closing.window, part)
    for target in watched.gone:
        series = Series(model.model, version, LOGS, target)
        step.let_go(series, [*model.dismiss(series), *DETECTORS])
    for number, sample in enumerate(watched.samples):
        if is_watched(closing, sample.series):
            step.samples.append(sample)
            judge_one(closing, sample, policy.watches, (number, 1), step)
    allows = policy.suite.allows
    findings = [f for f in watched.findings if allows(LOGS, f.series.target, f.detector)]
    for number, finding in enumerate(findings):
        closing.add((version, LOGS, number, 2, 0), _shown_by(finding, watched.said))
    harm = [f for f in findings if f.severity is not Severity.INFO]
    found = {(LOGS, f.series.target, f.detector) for f in harm}
    open_ = {(h.signal, h.target, h.detector) for h in model.health if h.detector in DETECTORS}
    closing.verdicts.setdefault(version, {}).update({key: key in found for key in found | open_})


def _shown_by(finding: Finding, said: Mapping[str, Said]) -> Finding:
    """The finding with what the lines it is about have in common, and some of them."""
    about = said.get(finding.series.target)
    if about is None:
        return finding
    examples = tuple(line[:LONGEST_LINE] for line in about.examples[:EXAMPLES])
    return replace(finding, statement=about.template[:LONGEST_LINE], examples=examples)
