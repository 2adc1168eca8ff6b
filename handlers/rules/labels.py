"""Are the labels at fault, rather than what they are said to be the truth about?"""

from __future__ import annotations

from typing import ClassVar

from watchkeeper.detectors.signals.labels import SOURCE
from watchkeeper.detectors.types import Finding
from watchkeeper.handlers.rules import facts
from watchkeeper.handlers.rules.known_attacks import POISONING
from watchkeeper.handlers.types import Context, Evidence, Incident, Kind

MOST = 0.6  # share of all labels up to which a source is one among others
ONE_CLASS = 0.01  # a share of positive labels this near to 0 or 1 is that of one class alone


class Labels:
    """One source of labels contradicts the model as no other does, or all labels say the same; and
    nothing else got worse."""

    kind: ClassVar[Kind] = Kind.LABELS

    def weigh(self, incident: Incident, context: Context) -> list[Evidence]:
        odd, alike = _odd(incident, context), _of_one_class(incident, context)
        if not odd and not alike:
            text = "no source of labels stands out, nor do all labels say the same"
            return [Evidence(Kind.LABELS, -1.0, text)]
        found = _by_source(incident, context, odd) if odd else _one_class(alike)
        if facts.foreseen(incident):
            text = "the scores let expect it, whatever labels say"
            found.append(Evidence(Kind.LABELS, -2.0, text))
        if not facts.drift(incident, context) and not _other_answers(incident, context):
            found.append(Evidence(Kind.LABELS, 1.0, "inputs and answers are as before"))
        elif odd and _new(odd, incident, context):
            text = "inputs or answers changed too, as they may with a new version"
            found.append(Evidence(Kind.LABELS, 0.0, text))
        else:
            found.append(Evidence(Kind.LABELS, -1.0, "inputs or answers changed too"))
        return found

    def place(self, incident: Incident, context: Context) -> str:
        odd = _odd(incident, context)
        return f"source {_names(odd)}" if odd else "labels"


def _by_source(incident: Incident, context: Context, odd: list[Finding]) -> list[Evidence]:
    """What it means that some sources contradict the model more than others do."""
    worst = max(odd, key=lambda f: f.value)
    text = (
        f"labels of {_names(odd)} contradict the model more often than all others do, "
        f"by {worst.value:.0%}"
    )
    if _is_most(context, worst):
        return [Evidence(Kind.LABELS, 2.0, f"{text}; but most labels are theirs")]
    attack = f"looks like {POISONING.name} ({POISONING.known_as}), or a broken feed"
    found = [Evidence(Kind.LABELS, 5.0, text), Evidence(Kind.LABELS, 0.0, attack)]
    if _near(incident, context, "rest"):
        text = "labels of the other sources say that it got worse, too"
        return [*found, Evidence(Kind.LABELS, -3.0, text)]
    new = _new(odd, incident, context)
    if facts.worse_answers(incident):
        found += _by_the_rest(incident, context, new)
    return [*found, *_for_the_version(incident, context, odd)] if new else found


def _by_the_rest(incident: Incident, context: Context, new: bool) -> list[Evidence]:
    """What the labels of all other sources say of the answers, if they were judged by these."""
    if not facts.rest_as_before(incident, context):
        text = "it is not known what labels of other sources say of the answers"
        return [Evidence(Kind.LABELS, 0.0, text)]
    text = "by the labels of all other sources it answers as well as before"
    found = [Evidence(Kind.LABELS, 1.5, text)]
    # A new version may be worse in just what these sources do not label.
    return found if new else [*found, Evidence(Kind.MODEL, -3.0, text)]


def _for_the_version(incident: Incident, context: Context, odd: list[Finding]) -> list[Evidence]:
    """What speaks as much for a version that is new to what the odd sources label: it may be worse
    there and nowhere else, which looks the same. It takes the old version's answers to tell."""
    names, found = _names(odd), []
    if not facts.untested(incident, context):
        text = f"version {incident.version} is new, and labels of {names} never agreed with it"
        found.append(Evidence(Kind.MODEL, 3.5, text))
    if not facts.worse_answers(incident):
        text = f"by labels of {names}, which have not judged it before, its answers are worse"
        found.append(Evidence(Kind.MODEL, 3.5, text))
    return found


def doubted(incident: Incident, context: Context) -> list[str]:
    """The sources that stand out, but for such as told most of the labels: those to learn nothing
    from, whoever is at fault."""
    odd = _odd(incident, context)
    return sorted({_name(f) for f in odd if not _is_most(context, f)})


def _one_class(alike: list[Finding]) -> list[Evidence]:
    """What it means that all labels say the same."""
    share = alike[-1]
    text = f"{share.value:.0%} of the labels are positive, {share.expected:.0%} were before"
    return [Evidence(Kind.LABELS, 4.0, text), Evidence(Kind.MODEL, -1.5, text)]


def _near(incident: Incident, context: Context, target: str) -> list[Finding]:
    """Findings on labels, explanations as well, whose onset is near the incident's."""
    seen = {f.id: f for f in (*incident.findings, *context.recent)}
    return [
        f
        for f in seen.values()
        if f.series.signal == "labels"
        and f.series.target.startswith(target)
        and facts.is_near(f, incident, context)
    ]


def _odd(incident: Incident, context: Context) -> list[Finding]:
    """The sources that contradict the model more than others, since about when the harm began."""
    return _near(incident, context, SOURCE)


def _of_one_class(incident: Incident, context: Context) -> list[Finding]:
    """That labels became those of one class."""
    shares = _near(incident, context, "positive_rate")
    return [f for f in shares if not ONE_CLASS < f.value < 1.0 - ONE_CLASS]


def _other_answers(incident: Incident, context: Context) -> bool:
    """Whether what the model answers changed about when the harm began."""
    every = (*incident.findings, *context.recent)
    return any(f.series.signal == "output" and facts.is_near(f, incident, context) for f in every)


def _new(odd: list[Finding], incident: Incident, context: Context) -> bool:
    """Whether the incident's version is new to what one of these sources labels."""
    return any(facts.new_to(_name(f), incident, context) for f in odd)


def _is_most(context: Context, odd: Finding) -> bool:
    """Whether most labels are of that source: the others may as well be those that are wrong."""
    name = _name(odd)
    return any(s.name == name and s.share > MOST for s in context.sources)


def _names(odd: list[Finding]) -> str:
    names = sorted({_name(f) for f in odd})
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _name(finding: Finding) -> str:
    """The source that a finding is about."""
    return finding.series.target.removeprefix(SOURCE)
