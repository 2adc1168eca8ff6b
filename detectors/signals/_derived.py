"""Signals that are not measured from events alone: they have a memory of what became known."""

from __future__ import annotations

from typing import ClassVar, Protocol


class Derived(Protocol):
    """A signal by its name; the docstring of the class says what it is."""

    name: ClassVar[str]


class Estimate:
    """How well a model does as far as can be known without labels. A binary classifier with
    scores: targets `accuracy`, `f1` and `roc_auc`, expected from the window's scores and what such
    scores were worth lately (confidence-based estimation with isotonic calibration). A classifier
    of three classes or more whose `score` is the probability of its answer: `accuracy`, likewise. A
    regressor: `mae` and `rmse`, expected from how large errors were lately where the window's
    predictions lie (direct loss estimation). n counts the window's predictions that tell
    anything, 30 at least; the standard error is that of the truths to come, of the calibration and
    of what estimates were off by lately.

    Truths teach it as they come, 1,000 of a version at first; the last 50,000 count most, and
    those that come while an incident is open do not count. A new version begins with its
    predecessor's lesson. Whenever 30 truths come in a window, what had been expected of them is
    compared with them (see `estimate_gap`). An estimate is only given while it can be trusted:
    three windows at least were compared, and of the last ten or so four in five lay within 1.96
    standard errors. `watchkeeper_model_estimate` and `watchkeeper_model_estimate_trust_ratio` show
    both of the live version, and findings say how far what they rest on is trusted. Models without
    labels, classifiers without scores, and those of two classes whose reference names no positive
    one are not estimated.

    With `weighted = true` scores of a binary classifier are taken for what they are worth with the
    numeric inputs of the window, where that can be said soundly (probabilistic adaptive performance
    estimation; see docs/decisions/0020-estimates-are-weighted-on-request.md).

    An incident that rests on estimates alone says by when labels can be expected to confirm it: 30
    of the window's predictions, by how long the labels of earlier ones took (Kaplan and Meier);
    of a spread model by what its partitions told of that, every ten minutes.
    """

    name: ClassVar[str] = "estimate"


class EstimateGap:
    """Truth less estimate of those predictions whose truth became known in the window: targets as
    of `estimate`, expected to be 0. n counts the truths, 30 at least. A gap that stays says that
    answers are not worth what they were: what the model learned does not hold any more, or what
    it is fed is broken. A mere shift of inputs leaves none.
    """

    name: ClassVar[str] = "estimate_gap"


class Stretch:
    """How well a binary classifier with scores did over a stretch of time with 2,000 predictions or
    more: targets `accuracy`, `f1` and `roc_auc`, of those predictions that the label join keeps. A
    stretch lasts for a hundredth of the time of `false_alarms` at least, so that few are judged in
    that time. Labels are counted where their prediction was, however late they come.

    Each stretch is given once for each target, as soon as labels that are still to come cannot
    change on which side of the limits it is: when it ends, if its estimate is trusted and three
    standard errors from every limit; as labels come; or when no more can be expected, by those that
    came, which are half of all at least. The first 30 stretches whose labels came teach what is
    normal, those of open incidents do not: `expected` is their mean, the standard error their
    standard deviation. From ten on others are judged, by wider limits until there are 30 (Student,
    Biometrika 6, 1908). A new version is compared with its predecessor's normal. `incident resolve
    --new-normal` makes it learn that anew.

    Nothing is judged so by default: `stretches = true` asks for it, of a model or of all. By chance
    it costs about one page in the time of `false_alarms`, over and above what that allows: a
    hundred stretches of three measures each are held against three standard deviations. And the
    label join has to hold a stretch and what waits for labels (`join_capacity`): predictions that
    it let go of are in none. Where it turns over within a stretch, that begins with the oldest one
    left, what is found also hangs on how many events are read at once, and a finding of severity
    info on the signal itself says where too few are left for any (detector `join`).

    What a stretch finds began at some time in it, hours before or just now: drift of inputs, and
    labels of a source that stand out, count as its cause if they began within it. An incident that
    was opened by one ends when a later one of the version that is live was good, and is left to a
    person when there was no verdict for three stretches and as long as labels take.

    Spread models are not judged so: no instance has all of their predictions.
    """

    name: ClassVar[str] = "stretch"


DERIVED: tuple[type[Derived], ...] = (Estimate, EstimateGap, Stretch)
