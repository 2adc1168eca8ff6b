"""Each model's own handler is asked, made once; names and candidates are carried over."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from tests.daemon.core.test_guards import ACTION, CONTEXT, INCIDENT
from tests.fakes import FakeDeployer
from watchkeeper.daemon.actions.by_model import HandlerByModel, Named, RegisteredTwice
from watchkeeper.handlers.rollback import Rollback
from watchkeeper.handlers.targets.registry import Artefact, NewVersion
from watchkeeper.handlers.types import Handler, Phase


def test_the_models_own_handler_is_made_once_and_asked() -> None:
    made: list[str] = []
    deployers = {"m": FakeDeployer("2", ["1", "2"]), "other": FakeDeployer("2", ["1", "2"])}

    def make(model: str) -> Handler:
        made.append(model)
        return Rollback(deployers[model])

    routed = HandlerByModel("rollback", True, make)
    planned = routed.plan(INCIDENT, CONTEXT)
    first = routed.run(ACTION)
    again = routed.run(ACTION)

    assert planned is not None
    assert planned.args["to_version"] == "1"
    assert (first.phase, again.phase) == (Phase.SUCCESSFUL, Phase.SUCCESSFUL)
    assert made == ["m"]
    assert deployers["m"].switches == ["1"]
    assert deployers["other"].switches == []
    assert routed.undo(ACTION).phase is Phase.SUCCESSFUL
    assert routed.preflight(replace(ACTION, model="other")).step == "preflight"


def test_handlers_of_models_that_are_not_used_any_more_are_let_go() -> None:
    made: list[str] = []

    def make(model: str) -> Handler:
        made.append(model)
        return Rollback(FakeDeployer("2", ["1", "2"]))

    routed = HandlerByModel("rollback", True, make, most=2)
    for model in ("a", "b", "a", "c", "a", "b"):
        routed.preflight(replace(ACTION, model=model))

    assert made == ["a", "b", "c", "b"]
    assert len(routed._made) == 2


def test_a_target_may_know_the_model_by_another_name() -> None:
    asked: list[str] = []

    class Recording(FakeDeployer):
        def current(self, model: str) -> str | None:
            asked.append(model)
            return super().current(model)

    named = Named(Recording("v2"), "fraud-scoring")
    named.switch("fraud", "v1", "key")

    assert named.current("fraud") == "v1"
    assert named.verify("fraud") == "v1"
    assert "v3" in named.available("fraud")
    assert asked == ["fraud-scoring"]


class Shelf:
    """A Registrar that remembers, and renames when it is told to."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self.kept: dict[str, NewVersion] = {}

    def register(self, model: str, new: NewVersion, key: str) -> str:
        version = self.name or new.version
        self.kept[f"{model}/{version}"] = new
        return version


def test_a_candidate_is_kept_under_the_name_the_other_registry_gave() -> None:
    other, own = Shelf("3"), Shelf()
    new = NewVersion("2.r-1", Artefact(str(Path("m.onnx")), "d"), "2", "data")

    version = RegisteredTwice(other, own, "fraud-scoring").register("fraud", new, "act-1")

    assert version == "3"
    assert list(other.kept) == ["fraud-scoring/3"]
    assert list(own.kept) == ["fraud/3"]
