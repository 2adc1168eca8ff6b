"""Log lines through the core: statements are learned, missed and told of, also over a restart."""

from __future__ import annotations

import numpy as np

from tests.playbook import MODEL, Play, objects
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.detectors.templates.watch import DETECTORS
from watchkeeper.detectors.types import LogFrame


def lines(play: Play, *more: str, quiet: bool = False) -> LogFrame:
    """The log lines of the window before the present moment."""
    rng = np.random.default_rng(int(play.at))
    said = [f"answered request {i}" for i in range(rng.poisson(20))] + list(more)
    said += [] if quiet else ["heartbeat of node 7"]
    at = play.at - 60.0 + np.arange(len(said)) * 60.0 / len(said)
    severity = np.full(len(said), 9, dtype=np.int64)
    return LogFrame(MODEL, at, np.arange(len(said)), severity, objects(said))


def minute(play: Play, *more: str, quiet: bool = False) -> Step:
    frames = play.window()
    return play.step(Batch([*frames, lines(play, *more, quiet=quiet)]))


def test_a_new_statement_is_found_with_a_line_to_show_after_a_restart() -> None:
    play = Play()
    for _ in range(70):
        minute(play)
    play.restarted()
    minute(play, "quota of ann@example.com is used up")

    steps = [minute(play) for _ in range(2)]

    found = [f for step in steps for f in step.findings if f.detector == "new_template"]
    assert len(found) == 1
    assert found[0].examples == ("quota of *** is used up",)
    assert found[0].statement


def test_a_heartbeat_that_stops_is_missed() -> None:
    play = Play()
    for _ in range(80):
        minute(play)

    steps = [minute(play, quiet=True) for _ in range(9)]

    assert "vanished_template" in {f.detector for step in steps for f in step.findings}


def test_nothing_more_is_said_of_statements_that_became_one() -> None:
    play, names = Play(), ["anna", "bert", "carl", "dora", "emil"]
    for _ in range(70):
        minute(play, "moved anna to archive")

    steps = [minute(play, *(f"moved {name} to archive" for name in names)) for _ in range(2)]

    gone = [(series, detector) for step in steps for series, detector in step.gone]
    assert {detector for _, detector in gone} >= set(DETECTORS)
    assert not {series for series, _ in gone} & play.pipeline.state.models[MODEL].judges.keys()
