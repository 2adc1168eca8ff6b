"""Models' states from the plain data that `stored` made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from watchkeeper.daemon.core import taught
from watchkeeper.daemon.core.heard import Heard
from watchkeeper.daemon.core.model import Judge, ModelState, Share, Told
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.stored import LAYOUT, PLAIN, STRUCTS, Clock
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.blocks import Member
from watchkeeper.detectors.estimation.estimates import Estimates
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.signals import part_of
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.templates.watch import LogWatch
from watchkeeper.detectors.types import Series, StateError
from watchkeeper.detectors.windows import first_open
from watchkeeper.handlers.types import VersionRecord

# What plain data of another form runs into.
ODD = (
    *(AttributeError, LookupError, TypeError, ValueError, OverflowError),
    msgspec.ValidationError,
)


def load(state: ModelState, plain: dict[str, Any], policy: ModelPolicy) -> list[str]:
    """Takes up what `dump` and `lasting` gave; says which detectors begin anew. Raises one of `ODD`
    for anything else."""
    if plain.get("layout") != LAYOUT:
        raise ValueError(f"layout {plain.get('layout')!r}, this version reads {LAYOUT}")
    _load_own(state, plain)
    clock = msgspec.convert(plain["clock"], Clock)
    for name, value in clock._asdict().items():
        state.arrays.clocks.arrays[name][state.row] = value
    state.arrays.joins.restore(state.row, plain["joins"])
    _load_references(state, plain)
    if plain["window_s"] != policy.window_s:
        # What windows of another width held and taught is no measure for these: learn anew.
        known = clock.newest > float("-inf")
        limits = (policy.lateness_s, policy.window_s)
        state.next_window = first_open(clock.newest, *limits) if known else None
        return []
    _load_windows(state, plain["open"], policy.window_s)
    refused = [*_load_learned(state, plain, policy), *_load_watching(state, plain, policy)]
    state.arrays.layouts.update(plain.get("layouts", {}))
    state.layouts = tuple(sorted(plain.get("layouts", ())))
    state.lasts = state.refers = not refused
    return refused


def _load_own(state: ModelState, plain: dict[str, Any]) -> None:
    """What the model has beside its rows in the arrays."""
    for name, usual in PLAIN.items():
        setattr(state, name, plain.get(name, usual))
    for name, kind in STRUCTS.items():
        if name in plain:
            setattr(state, name, msgspec.convert(plain[name], kind))
    state.versions = msgspec.convert(plain["versions"], dict[str, VersionRecord])
    state.to_learn = msgspec.convert(plain.get("learning", {}), dict[str, int])
    if "share" in plain:
        state.share = msgspec.convert(plain["share"], Share)
    links = dict(msgspec.convert(plain.get("links", []), list[tuple[int, Told]]))
    # How long nothing was heard counts from now on: nobody listened meanwhile.
    state.links = {n: msgspec.structs.replace(t, heard=float("-inf")) for n, t in links.items()}
    state.metrics = frozenset((name, host) for name, host in plain.get("metrics", ()))
    keys, groups = plain.get("asked", (b"", b""))
    state.asked = dict(zip(np.frombuffer(keys, "<u8").tolist(), groups, strict=True))


def _load_references(state: ModelState, plain: dict[str, Any]) -> None:
    for version, packed in plain.get("former", {}).items():
        state.take_up_former(_version(version), packed)
    for version, packed in plain.get("profiles", {}).items():
        state.take_up(_version(version), packed)
    for version, renewal in state.renewals.items():
        member = state.arrays.ledger.member(state.row, Member(state.model, version))
        state.arrays.ledger.learns(member, renewal.candidate is None)


def _load_windows(state: ModelState, stored: Sequence[Any], width: float) -> None:
    ledger = state.arrays.ledger
    for version, window, profiled, packed in stored:
        member = ledger.member(state.row, Member(state.model, _version(version)))
        held = ledger.reference(member, window * width) if profiled else None
        if profiled and held is None:
            raise ValueError(f"no reference of version {version}")
        ledger.open.load(ledger.open.put(member, window, held), packed)


def _load_learned(state: ModelState, plain: dict[str, Any], policy: ModelPolicy) -> list[str]:
    """What detectors have learned, in panels and alone, and what open windows hold in parts."""
    refused: list[str] = []
    for version, learned in plain.get("learned", {}).items():
        refused += _teach(state, policy, version, learned, plain["layouts"])
    for index, version, signal, arrays in plain.get("partials", ()):
        partial = state.partials.setdefault(index, {})[_version(version), signal] = part_of(signal)
        partial.update({name: _unpacked(a) for name, a in arrays.items()})
    for stored, judges in plain.get("judges", ()):
        series = msgspec.convert(stored, Series)
        state.judges[series], strange = _judges(policy.watches_of(series), judges)
        refused += [f"{series}, {each}" for each in strange]
    return refused


def _load_watching(state: ModelState, plain: dict[str, Any], policy: ModelPolicy) -> list[str]:
    """What is known of the model as a whole: how it is heard, what its logs say, what to expect."""
    refused: list[str] = []
    if "heard" in plain:
        state.heard = msgspec.convert(plain["heard"], Heard)
    if "statements" in plain:
        state.statements = LogWatch(budget=policy.false_alarm_s / policy.window_s)
        try:
            state.statements.restore(plain["statements"])
        except StateError as error:
            refused.append(str(error))
    if "estimates" in plain:
        try:
            state.estimates = Estimates.restored(plain["estimates"])
        except StateError as error:
            refused.append(str(error))
    return refused


def _teach(
    state: ModelState,
    policy: ModelPolicy,
    version: str,
    learned: list[Any],
    layouts: dict[bytes, bytes],
) -> list[str]:
    of, layout, packed = learned
    ledger = state.arrays.ledger
    member = ledger.member(state.row, Member(state.model, _version(version)))
    if isinstance(of, bool):
        held = ledger.reference(member) if of else None
        if of and held is None:
            raise ValueError(f"no reference of version {version}")
        schema = ledger.schema_of(held)
    else:
        schema = msgspec.convert(of, Schema)
    panel = state.arrays.panel(schema, policy.suite)
    state.arrays.seat(member, panel, None)
    return [
        f"version {version}, {each}" for each in taught.load(panel, member, layouts[layout], packed)
    ]


def _judges(watches: Sequence[Watch], stored: list[list[Any]]) -> tuple[list[Judge], list[str]]:
    """The detectors that the policy wants by now, with what those of the same watch had learned;
    and which of them start anew, since their state is not understood."""
    known = [(msgspec.convert(watch, Watch), plain) for watch, plain in stored]
    judges: list[Judge] = []
    refused: list[str] = []
    for watch in watches:
        detector = make(watch.detector, watch.settings, watch.severity)
        for old, plain in known:
            if old == watch:
                try:
                    detector.restore(plain)
                except StateError as error:
                    refused.append(f"{watch.detector}: {error}")
                    detector = make(watch.detector, watch.settings, watch.severity)
        judges.append(Judge(watch, detector))
    return judges, refused


def _version(name: object) -> str:
    """The name as it stands: one of another type cannot be written again."""
    if not isinstance(name, str):
        raise TypeError(f"version {name!r} is no text")
    return name


def _unpacked(packed: list[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    shape, data = packed
    return np.frombuffer(data, dtype="<i8").astype(np.int64).reshape(shape)
