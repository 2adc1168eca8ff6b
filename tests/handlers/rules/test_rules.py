"""What the rules say of typical incidents, and that they are pure and total."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from watchkeeper.daemon.core.guards import DOUBTED
from watchkeeper.daemon.core.locate import locate
from watchkeeper.detectors.types import Change, Finding, Series, Severity, moment
from watchkeeper.handlers.rules import RULES, facts
from watchkeeper.handlers.types import (
    Context,
    Fault,
    Incident,
    IncidentState,
    Kind,
    Rule,
    SourceRecord,
    VersionRecord,
)

NOW = 1_700_000_000.0
CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO


def finding(signal: str, target: str, severity: Severity = CRITICAL, since: float = NOW) -> Finding:
    series = Series("m", "2", signal, target)
    return Finding(series, "d", severity, since, since + 60, 0.5, 0.9, 9.0, 5.0, 100)


def incident(*findings: Finding) -> Incident:
    unknown = Fault(Kind.UNKNOWN, "", 0.0, {})
    return Incident(
        "inc", "m", "2", IncidentState.OPEN, CRITICAL, "t", NOW, NOW, NOW, unknown, findings
    )


def context(
    *, healthy: int = 100, deployed: bool = False, recent: tuple[Finding, ...] = ()
) -> Context:
    change = Change(
        id="d", time=moment(NOW - 60), model_name="m", kind="deployment", model_version="2"
    )
    versions = (VersionRecord("2", NOW - 9_000, NOW, 1_000, healthy),)
    return Context("m", NOW + 60, "2", versions, (change,) if deployed else (), recent)


WORSE = finding("accuracy", "accuracy")
BROKEN = finding("features", "age:missing", WARNING)
DRIFT = finding("features", "age:histogram", INFO)
LYING = replace(finding("labels", "source:vendor", WARNING), n=40)

CASES = [
    ((WORSE,), context(healthy=0, deployed=True), Kind.MODEL),
    ((WORSE,), context(), Kind.MODEL),
    ((BROKEN,), context(), Kind.DATA),
    ((BROKEN, WORSE), context(), Kind.DATA),
    ((finding("errors", "error_rate"),), context(), Kind.SERVING),
    ((finding("latency", "p99"),), context(), Kind.SERVING),
    ((finding("volume", ""),), context(), Kind.SERVING),
    ((finding("metrics", "mem@h", WARNING), finding("latency", "p99")), context(), Kind.HOST),
    ((finding("clients", ""),), context(), Kind.ATTACK),
    ((finding("clients", ""), DRIFT), context(), Kind.ATTACK),
    ((finding("clients", "boundary", WARNING),), context(), Kind.ATTACK),
    ((finding("clients", "answers", WARNING),), context(), Kind.ATTACK),
    ((finding("clients", "repeats", WARNING),), context(), Kind.ATTACK),
    ((LYING,), context(), Kind.LABELS),
    ((LYING, WORSE), context(), Kind.LABELS),
    ((replace(LYING, severity=INFO), WORSE), context(deployed=True), Kind.LABELS),
]


@pytest.mark.parametrize(("findings", "around", "kind"), CASES)
def test_typical_incidents_are_located(
    findings: tuple[Finding, ...], around: Context, kind: Kind
) -> None:
    fault = locate(incident(*findings), around, RULES)

    assert fault.kind is kind
    assert fault.confidence > 0.7
    assert fault.place


HOURS = 3_600.0
STRETCH = replace(finding("stretch", "accuracy"), at=NOW + 7 * HOURS)


def of_a_stretch(*findings: Finding) -> Incident:
    return replace(incident(STRETCH, *findings), opened_at=NOW + 7.1 * HOURS)


def test_what_began_within_a_stretch_may_explain_what_the_stretch_found() -> None:
    drifted = finding("features", "age:histogram", INFO, NOW + 3 * HOURS)
    lying = replace(LYING, since=NOW + 3 * HOURS)

    alone = locate(of_a_stretch(), context(), RULES)
    by_drift = locate(of_a_stretch(), context(recent=(drifted,)), RULES)
    by_labels = locate(of_a_stretch(lying), context(), RULES)

    assert alone.kind is Kind.MODEL
    assert by_drift.probabilities[Kind.DATA] > 5 * alone.probabilities[Kind.DATA]
    assert by_labels.kind is Kind.LABELS


def test_what_began_after_a_stretch_explains_nothing_of_it() -> None:
    drifted = finding("features", "age:histogram", INFO, NOW + 8 * HOURS)

    assert facts.drift(of_a_stretch(), context(recent=(drifted,))) == []


def test_harm_that_was_found_sharper_is_not_taken_for_that_of_a_whole_stretch() -> None:
    sharp = replace(incident(WORSE, replace(STRETCH, since=NOW - HOURS)), opened_at=NOW + 60)
    drifted = finding("features", "age:histogram", INFO, NOW + 3 * HOURS)

    assert facts.drift(sharp, context(recent=(drifted,))) == []


@pytest.mark.parametrize("name", ["system.memory.utilization", "cpu_usage", "load1", "mem:max"])
def test_a_resource_that_names_no_host_is_still_one(name: str) -> None:
    fault = locate(incident(finding("metrics", name, WARNING)), context(), RULES)

    assert fault.kind is Kind.HOST


@pytest.mark.parametrize("name", ["orders", "revenue:max"])
def test_business_that_falls_does_not_blame_a_host(name: str) -> None:
    fault = locate(incident(finding("metrics", name, WARNING)), context(), RULES)

    assert fault.kind is not Kind.HOST
    assert any("names no host" in each.text for each in fault.evidence)


def test_harm_that_scores_foresaw_is_of_the_inputs() -> None:
    fault = locate(incident(finding("estimate", "accuracy"), DRIFT), context(), RULES)

    assert fault.kind is Kind.DATA


def test_harm_that_scores_did_not_foresee_is_not_explained_by_drift() -> None:
    foreseen = (WORSE, finding("estimate", "accuracy"), DRIFT)
    gap = finding("estimate_gap", "accuracy", INFO)

    with_gap = locate(incident(*foreseen, gap), context(), RULES)

    without = locate(incident(*foreseen), context(), RULES)
    assert with_gap.probabilities[Kind.DATA] < without.probabilities[Kind.DATA]


def test_a_new_version_that_breaks_nothing_else_is_blamed_more_than_drift() -> None:
    fault = locate(incident(WORSE, DRIFT), context(healthy=0, deployed=True), RULES)

    assert fault.kind is Kind.MODEL


def test_what_is_wrong_with_a_broken_feature_is_said() -> None:
    fault = locate(
        incident(replace(BROKEN, statement="age came as another type")), context(), RULES
    )

    assert fault.kind is Kind.DATA
    assert any("broken: age (age came as another type)" in e.text for e in fault.evidence)


def test_columns_that_changed_places_settle_it() -> None:
    age = replace(DRIFT, series=Series("m", "2", "features", "age:mean"), expected=40, value=900)
    debt = replace(DRIFT, series=Series("m", "2", "features", "debt:mean"), expected=900, value=40)

    fault = locate(incident(WORSE, age, debt), context(), RULES)

    assert fault.kind is Kind.DATA
    assert any("age and debt" in each.text for each in fault.evidence)


def test_drift_with_worse_answers_leaves_doubt() -> None:
    fault = locate(incident(WORSE, DRIFT), context(), RULES)

    assert fault.confidence < 0.7


def test_features_that_go_together_otherwise_are_drift_like_any() -> None:
    together = replace(DRIFT, series=Series("m", "2", "joint", "pairs"))

    fault = locate(incident(WORSE, together), context(), RULES)

    single = locate(incident(WORSE, DRIFT), context(), RULES)
    assert fault.probabilities == single.probabilities
    assert any("how features go together" in each.text for each in fault.evidence)


def test_drift_long_before_the_harm_is_no_evidence() -> None:
    old = replace(DRIFT, since=NOW - 86_400)

    with_old = locate(incident(WORSE, old), context(), RULES)
    without = locate(incident(WORSE), context(), RULES)

    assert with_old.probabilities == without.probabilities


TWICE = finding("duplicates", "requests", WARNING)


@pytest.mark.parametrize("signal", ["errors", "latency"])
@pytest.mark.parametrize("before", [0, 60])
def test_requests_that_clients_send_again_are_a_fault_of_serving(signal: str, before: int) -> None:
    failing = finding(signal, "p95", since=NOW - before)

    fault = locate(incident(failing, TWICE), context(), RULES)

    assert fault.kind is Kind.SERVING
    assert fault.confidence > 0.7


@pytest.mark.parametrize("before", [0, 60])
def test_waiting_that_only_showed_at_first_counts_as_well(before: int) -> None:
    first = finding("latency", "p50", INFO, since=NOW - before)
    failing = finding("latency", "p95", since=NOW + 60)

    fault = locate(incident(failing, TWICE), context(recent=(first,)), RULES)

    assert fault.kind is Kind.SERVING


def test_requests_that_came_twice_before_they_had_to_wait_are_a_fault_of_the_data() -> None:
    fault = locate(incident(TWICE, finding("latency", "p95", since=NOW + 120)), context(), RULES)
    alone = locate(incident(TWICE), context(), RULES)

    assert (fault.kind, alone.kind) == (Kind.DATA, Kind.DATA)
    assert fault.confidence > 0.7


def test_a_source_is_not_blamed_where_the_others_say_the_same() -> None:
    rest = finding("labels", "rest", INFO)

    fault = locate(incident(WORSE, LYING, rest), context(healthy=0, deployed=True), RULES)

    assert fault.kind is Kind.MODEL


def told(share: float, **agreed: int) -> SourceRecord:
    """What is known of the vendor: its share of all labels, the windows it agreed with versions."""
    return SourceRecord("vendor", share, {name[1:]: n for name, n in agreed.items()})


def known(around: Context, source: SourceRecord, *, rest: bool = True) -> Context:
    """A context in which a source is on record, and whether the rest was judged without it."""
    judged_at = NOW + 600 if rest else None
    return replace(around, sources=(source,), rest_judged_at=judged_at)


def test_a_source_of_most_labels_is_only_doubted() -> None:
    most = told(0.9)

    fault = locate(incident(WORSE, LYING), known(context(healthy=0, deployed=True), most), RULES)
    alone = locate(incident(WORSE, LYING), known(context(), most), RULES)

    assert fault.kind is Kind.MODEL
    assert alone.confidence < 0.7


def test_most_labels_are_those_of_most_windows_not_of_the_one_that_was_found() -> None:
    flood = replace(LYING, n=5_000)

    fault = locate(incident(WORSE, flood), known(context(), told(0.3)), RULES)

    assert fault.kind is Kind.LABELS


@pytest.mark.parametrize("findings", [(WORSE, LYING), (LYING,), (WORSE, LYING, DRIFT)])
@pytest.mark.parametrize("rest", [True, False])
@pytest.mark.parametrize(
    ("around", "source"),
    [
        (context(healthy=0, deployed=True), told(0.3, v1=100)),
        (context(healthy=50, deployed=True), told(0.3, v1=100, v2=2)),
    ],
)
def test_a_version_that_is_new_to_what_a_source_labels_may_be_worse_just_there(
    findings: tuple[Finding, ...], rest: bool, around: Context, source: SourceRecord
) -> None:
    fault = locate(incident(*findings), known(around, source, rest=rest), RULES)

    assert fault.kind is Kind.MODEL
    assert fault.probabilities[Kind.LABELS] >= DOUBTED
    said = [each.kind for each in fault.evidence if each.weight > 0]
    assert {Kind.MODEL, Kind.LABELS} <= {*said}


def test_a_version_that_a_source_agreed_with_is_not_new_to_it() -> None:
    around = known(context(healthy=50, deployed=True), told(0.3, v1=100, v2=30))

    assert locate(incident(WORSE, LYING), around, RULES).kind is Kind.LABELS


def test_what_other_labels_say_is_only_told_where_they_were_judged() -> None:
    def said(around: Context) -> str:
        return " ".join(e.text for e in locate(incident(WORSE, LYING), around, RULES).evidence)

    long_ago = replace(known(context(), told(0.3)), rest_judged_at=NOW - 60)

    claim = "by the labels of all other sources it answers as well as before"
    assert claim in said(known(context(), told(0.3)))
    assert claim not in said(known(context(), told(0.3), rest=False))
    assert claim not in said(long_ago)


def test_a_source_that_was_always_apart_is_not_blamed() -> None:
    old = replace(LYING, severity=INFO, since=NOW - 86_400)

    assert locate(incident(WORSE, old), context(), RULES).kind is Kind.MODEL


def test_labels_of_one_class_are_doubted_and_other_shares_are_not() -> None:
    share = replace(finding("labels", "positive_rate", INFO), expected=0.4)

    alike = locate(incident(WORSE, replace(share, value=0.0)), context(), RULES)
    shifted = locate(incident(WORSE, replace(share, value=0.2)), context(), RULES)

    assert (alike.kind, alike.place) == (Kind.LABELS, "labels")
    assert shifted.kind is Kind.MODEL


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_every_rule_speaks_for_and_against(rule: Rule) -> None:
    said = [
        each.weight
        for findings, around, _ in CASES
        for each in rule.weigh(incident(*findings), around)
    ]

    assert max(said) > 0 > min(said)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_every_rule_copes_with_an_empty_incident(rule: Rule) -> None:
    empty = Context("m", NOW, "2")

    assert all(e.weight <= 1.0 for e in rule.weigh(incident(), empty))
    assert rule.place(incident(), empty)
