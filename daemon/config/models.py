"""What the file says about one model, and the policy the core gets from it."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from watchkeeper.daemon.config.section import Section, doc, span
from watchkeeper.daemon.config.units import Duration
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.detectors.budget import parse
from watchkeeper.detectors.budgeting import budgeted, evident
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import Scalar, Severity
from watchkeeper.handlers.types import Kind, Mode

ActionName = Literal["rollback", "retrain", "promote", "command", "notify"]


class Serving(Section, frozen=True, kw_only=True):
    """Where a model's live version is decided, and so what a rollback or promotion talks to."""

    target: Annotated[
        Literal["registry", "mlflow", "application", "registry+application", "mlflow+application"],
        doc("The daemon's own registry, an MLflow alias, the application itself, or two of them"),
    ] = "registry"
    name: Annotated[
        str | None,
        doc("The model's name there. Default: the name its events carry", example="fraud-scoring"),
    ] = None
    alias: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$"), doc("MLflow alias of the live version")
    ] = "champion"


class OrderSettings(Section, frozen=True, kw_only=True):
    """What to ask the application for when a fault is of one kind; `[[defaults.orders]]` or
    `[[models.NAME.orders]]`."""

    kind: Annotated[Kind, doc("Kind of fault that it is the remedy for")]
    verb: Annotated[
        str,
        Meta(pattern=r"^[a-z][a-z0-9_-]{0,63}$"),
        doc("What the application shall do", example="pause"),
    ]
    args: Annotated[dict[str, Scalar], doc("Arguments of the verb", example={"grace": 30})] = (
        msgspec.field(default_factory=dict)
    )
    undo_verb: Annotated[
        str,
        Meta(pattern=r"^([a-z][a-z0-9_-]{0,63})?$"),
        doc("What takes it back, if anything does", example="resume"),
    ] = ""


class WatchSettings(Section, frozen=True, kw_only=True):
    """One detector on the series of one signal; `[[defaults.detectors]]` or
    `[[models.NAME.detectors]]`. The same signal, target and detector again replaces it."""

    signal: Annotated[str, Meta(min_length=1), doc("What is measured", example="latency")]
    detector: Annotated[str, Meta(min_length=1), doc("What judges it", example="threshold")]
    target: Annotated[str, doc("Shell pattern over the signal's targets, such as features")] = "*"
    severity: Annotated[Severity, doc("What its findings weigh: info explains, critical pages")] = (
        Severity.INFO
    )
    settings: Annotated[
        dict[str, Scalar], doc("Settings of the detector", example={"above": 0.2})
    ] = msgspec.field(default_factory=dict)

    def watch(self) -> Watch:
        """The core's form."""
        return Watch(**msgspec.structs.asdict(self))


class ModelSettings(Section, frozen=True, kw_only=True):
    """What holds for a model: `[models.NAME]` over `[defaults]`, which holds for all others."""

    window: Annotated[Duration, span("Width of event-time windows", "100ms", "1d")] = Duration(60)
    lateness: Annotated[
        Duration,
        span(
            "How long a window waits for events out of order; at most 1,000 times `window`",
            "0s",
            "1d",
        ),
    ] = Duration(10)
    learn: Annotated[
        int,
        Meta(ge=10, le=10_000_000),
        doc("Predictions the reference of a version is learned from", "predictions"),
    ] = 2_000
    false_alarms: Annotated[
        str,
        Meta(max_length=64),
        doc("How many false pages of a model are accepted, in what time"),
    ] = "1 per 30 days"
    positive: Annotated[
        str | None,
        doc(
            "The label that precision, recall and AUC are about. Default: the rarer",
            example="fraud",
        ),
    ] = None
    spread: Annotated[
        bool,
        doc(
            "Whether its events may lie in any partition, for a model that is too much for one "
            "instance: each counts what it reads, and one of them judges. See docs/spread.md"
        ),
    ] = False
    attacks: Annotated[
        bool,
        doc(
            "Whether clients are compared with each other, for models that strangers may ask: near "
            "copies, scores near the border, every class. Takes 140 kB an open window"
        ),
    ] = False
    duplicates: Annotated[
        bool,
        doc(
            "Whether inputs that repeat others of their window are looked for, besides requests "
            "that come twice. Takes 16 kB an open window"
        ),
    ] = False
    multivariate: Annotated[
        bool,
        doc(
            "Whether numeric features are watched together, for drift that none of them shows on "
            "its own. Takes 10 kB and 2 ms of the processor a window, and 20 kB a reference"
        ),
    ] = False
    weighted: Annotated[
        bool,
        doc(
            "Whether estimates of a binary classifier are weighted for the numeric inputs of their "
            "window. See docs/decisions/0020. Takes 160 kB a version and up to 50 ms of the "
            "processor a window"
        ),
    ] = False
    stretches: Annotated[
        bool,
        doc(
            "Whether a binary classifier is judged by stretches of 2,000 predictions or more, too. "
            "Costs about one page more in the time of `false_alarms` by chance, and needs a "
            "`join_capacity` that holds a stretch and what waits for labels. See signal stretch in "
            "docs/detectors.md"
        ),
    ] = False
    mode: Annotated[
        Mode, doc("How far actions may go: say only (observe), after approval (ask), or act")
    ] = Mode.OBSERVE
    actions: Annotated[
        dict[ActionName, Mode],
        doc(
            "Modes of kinds of actions that differ from `mode`",
            example={"rollback": "act", "promote": "ask"},
        ),
    ] = msgspec.field(default_factory=dict)
    cooldown: Annotated[
        Duration, span("Rest after an action on a model before the next", "0s", "30d")
    ] = Duration(6 * 3_600)
    daily_limit: Annotated[
        int, Meta(ge=0, le=1_000), doc("Most actions on a model in 24 hours", "actions")
    ] = 2
    recover_windows: Annotated[
        int, Meta(ge=1, le=10_000), doc("Quiet windows in a row that mean recovery", "windows")
    ] = 3
    verify_windows: Annotated[
        int,
        Meta(ge=1, le=10_000),
        doc("Windows an action has to show recovery in, before it is undone", "windows"),
    ] = 20
    healthy_windows: Annotated[
        int,
        Meta(ge=0, le=1_000_000),
        doc("Windows without harm a version needs before one may go back to it", "windows"),
    ] = 10
    rebaseline: Annotated[
        Literal["accepted", "never"],
        doc(
            "Whether a version that was deployed, and had `healthy_windows`, learns a reference of "
            "its own in place of the one of the version before it"
        ),
    ] = "accepted"
    join_capacity: Annotated[
        int,
        Meta(ge=1, le=100_000_000),
        doc("Predictions kept in wait for their labels", "predictions"),
    ] = 50_000
    join_horizon: Annotated[
        Duration, span("How long a prediction waits for its label", "1s", "365d")
    ] = Duration(7 * 86_400)
    examples_min: Annotated[
        int,
        Meta(ge=10, le=100_000_000),
        doc("Labelled predictions since the fault that a retraining needs", "examples"),
    ] = 1_000
    deployment_window: Annotated[
        Duration, span("How long after a deployment it may be rolled back", "1m", "365d")
    ] = Duration(72 * 3_600)
    detectors: Annotated[
        list[WatchSettings], doc("Detectors added to, or in place of, the built-in ones")
    ] = msgspec.field(default_factory=list)
    without: Annotated[
        list[str],
        doc(
            "Detectors switched off: shell patterns over signal/target:detector",
            example=["feature_*/*:psi"],
        ),
    ] = msgspec.field(default_factory=list)
    orders: Annotated[
        list[OrderSettings], doc("What the application may be asked for, by kind of fault")
    ] = msgspec.field(default_factory=list)
    serving: Annotated[Serving, doc("Where its live version is decided")] = Serving()

    def policy(self, built_in: Iterable[Watch], least_s: float = 0.0) -> ModelPolicy:
        """The core's form: the built-in watches, the model's own over them, less `without`. No more
        than one false page in `least_s` is accepted, whatever `false_alarms` says."""
        accepted_s = max(parse(self.false_alarms).samples(1.0), least_s)
        return ModelPolicy(
            window_s=float(self.window),
            lateness_s=float(self.lateness),
            learn_n=self.learn,
            false_alarm_s=accepted_s,
            positive=self.positive,
            mode=self.mode,
            modes={str(name): mode for name, mode in self.actions.items()},
            watches=self._watches(built_in, accepted_s / float(self.window)),
            without=tuple(self.without),
            cooldown_s=float(self.cooldown),
            daily_limit=self.daily_limit,
            recover_windows=self.recover_windows,
            verify_windows=self.verify_windows,
            join_capacity=self.join_capacity,
            join_horizon_s=float(self.join_horizon),
            examples_min=self.examples_min,
            deployment_window_s=float(self.deployment_window),
            healthy_windows_min=self.healthy_windows,
            attacks=self.attacks,
            duplicates=self.duplicates,
            multivariate=self.multivariate,
            weighted=self.weighted,
            stretches=self.stretches,
            rebaseline=self.rebaseline,
        )

    def _watches(self, built_in: Iterable[Watch], windows: float) -> tuple[Watch, ...]:
        """All that are kept, by a budget of one false page in so many windows."""
        own = evident((each.watch() for each in self.detectors), windows)
        replaced = {(each.signal, each.target, each.detector) for each in own}
        kept = [w for w in built_in if (w.signal, w.target, w.detector) not in replaced]
        return self._left((*budgeted(kept, windows), *own))

    def _left(self, watches: tuple[Watch, ...]) -> tuple[Watch, ...]:
        if not self.without:
            return watches
        return tuple(each for each in watches if not self._switched_off(each))

    def _switched_off(self, watch: Watch) -> bool:
        name = f"{watch.signal}/{watch.target}:{watch.detector}"
        return any(fnmatchcase(name, pattern) for pattern in self.without)
