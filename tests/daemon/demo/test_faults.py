from __future__ import annotations

from itertools import combinations, pairwise

import pytest

from watchkeeper.daemon.demo.faults import MINUTE, Effects, Fault, standard_script
from watchkeeper.daemon.demo.models import fleet_models
from watchkeeper.daemon.demo.traffic import SLOT

START = 1_772_463_600.0
SCRIPT = standard_script(START)
FAULTS = {fault.name: fault for fault in SCRIPT.faults}


def test_there_are_five_faults_of_five_kinds_in_order() -> None:
    kinds = {fault.kind for fault in SCRIPT.faults}
    starts = [fault.start for fault in SCRIPT.faults]

    assert len(SCRIPT.faults) == len(kinds) == 5
    assert starts == sorted(starts)


def test_every_fault_begins_with_a_slot_and_after_the_models_were_learned() -> None:
    for fault in SCRIPT.faults:
        assert (fault.start - START) % SLOT == 0
        assert fault.start - START >= 60 * MINUTE


def test_faults_of_one_model_leave_it_an_hour_to_recover() -> None:
    for one, other in combinations(SCRIPT.faults, 2):
        if one.model == other.model:
            first, second = sorted((one, other), key=lambda fault: fault.start)
            assert second.start - first.end >= 60 * MINUTE


def test_the_season_comes_long_after_the_fault_of_its_model() -> None:
    mine = [fault for fault in SCRIPT.faults if fault.model == SCRIPT.season.model]

    assert mine
    assert all(SCRIPT.season.start - fault.end >= 45 * MINUTE for fault in mine)


def test_every_named_model_and_version_exists() -> None:
    models = {model.name: model for model in fleet_models()}

    assert SCRIPT.season.model in models
    for fault in SCRIPT.faults:
        assert fault.deploys == "" or fault.deploys in models[fault.model].versions


@pytest.mark.parametrize("fault", [f for f in SCRIPT.faults if f.effects], ids=lambda f: f.name)
def test_a_fault_acts_on_its_model_while_it_lasts_and_on_no_other(fault: Fault) -> None:
    late = fault.end - SLOT
    others = {model.name for model in fleet_models()} - {fault.model}

    assert SCRIPT.effects(fault.model, late) != Effects()
    assert SCRIPT.effects(fault.model, fault.start - SLOT) == Effects()
    assert SCRIPT.effects(fault.model, fault.end) == Effects()
    for other in others:
        busy = any(f.model == other and f.start <= late < f.end for f in SCRIPT.faults)
        assert busy or SCRIPT.effects(other, late) == Effects()


def test_memory_climbs_before_answers_slow_down() -> None:
    leak = FAULTS["memory-leak"]
    seen = [SCRIPT.effects("demand", leak.start + m * MINUTE) for m in range(30)]

    assert all(a.memory <= b.memory for a, b in pairwise(seen))
    assert seen[8].latency == 1.0
    assert seen[8].memory > 0.7
    assert seen[20].latency > 4.0


def test_the_right_order_ends_a_fault_and_a_wrong_one_does_not() -> None:
    script = standard_script(START)
    leak = FAULTS["memory-leak"]
    at = leak.start + 10 * MINUTE

    assert script.remedy("demand", "block", at) is None
    assert script.remedy("image", "restart", at) is None
    assert script.effects("demand", at) != Effects()
    assert script.remedy("demand", "restart", at) == leak
    assert script.effects("demand", at) == Effects()
    assert script.end_of(leak) == at


def test_an_order_after_a_fault_ended_changes_nothing() -> None:
    script = standard_script(START)
    leak = FAULTS["memory-leak"]

    assert script.remedy("demand", "restart", leak.end + 1) is None
    assert script.end_of(leak) == leak.end


def test_evening_comes_smoothly_and_stays() -> None:
    season = SCRIPT.season
    seen = [season.effects(season.start + m * MINUTE).evening for m in range(60)]

    assert seen[0] == 0.0
    assert seen[-1] == 1.0
    assert all(0 <= b - a < 0.07 for a, b in pairwise(seen))
