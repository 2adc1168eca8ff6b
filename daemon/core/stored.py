"""Models' states as plain data, and back: what each event changes, what closed windows change, and
what references say, each apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from copy import deepcopy
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np

from watchkeeper.daemon.core import taught
from watchkeeper.daemon.core.heard import Heard
from watchkeeper.daemon.core.model import Health, Judge, ModelState, Renewal, Share, Told
from watchkeeper.daemon.core.panel import Panel
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.blocks import Member
from watchkeeper.detectors.estimation import estimates
from watchkeeper.detectors.estimation.estimates import Estimates
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.signals import part_of
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.templates.watch import LogWatch
from watchkeeper.detectors.types import Change, Finding, Series, StateError
from watchkeeper.detectors.windows import first_open
from watchkeeper.handlers.types import Action, Incident, VersionRecord

LAYOUT = 5

# Kept by name where they are not what a model begins with.
_STRUCTS: dict[str, Any] = {
    "changes": list[Change],
    "recent": list[Finding],
    "incident": Incident | None,
    "health": list[Health],
    "actions": dict[str, Action],
    "renewals": dict[str, Renewal],
}
_PLAIN: dict[str, Any] = {
    "absent": 0,
    "accepted": "",
    "empty_run": 0,
    "live_version": "",
    "labelled": False,
    "verify_since": None,
    "verified_windows": 0,
    "planned_for": "",
    "paused": False,
}
_plain_of, _USUAL = attrgetter(*_PLAIN), tuple(_PLAIN.values())
_structs_of = attrgetter(*_STRUCTS)
_CLOCK = ("newest", "ahead", "least", "next_window", "last_tick", "behind", "live")


class Clock(NamedTuple):
    """A model's row of the clocks."""

    newest: float
    ahead: int
    least: float
    next_window: int
    last_tick: float
    behind: float
    live: bool


def dump(states: Sequence[ModelState], windows_s: Sequence[float]) -> list[dict[str, Any]]:
    """What events change of each state; `windows_s` are the widths of their windows. With what
    `lasting` and `references` give it is all that `load` needs; msgpack can hold it."""
    if not states:
        return []
    arrays = states[0].arrays
    rows = np.array([state.row for state in states], dtype=np.int64)
    times = zip(*(arrays.clocks.arrays[name][rows].tolist() for name in _CLOCK), strict=True)
    opened = _open_windows(states)
    found = []
    for state, width, clock, held in zip(states, windows_s, times, opened, strict=True):
        plain: dict[str, Any] = {"layout": LAYOUT, "window_s": width, "clock": clock, "open": held}
        plain["joins"] = arrays.joins.state(state.row)
        plain["versions"] = msgspec.to_builtins(state.versions)
        values = _plain_of(state)
        if values != _USUAL:
            told = zip(_PLAIN.items(), values, strict=True)
            plain |= {name: value for (name, usual), value in told if value != usual}
        _rare(state, plain)
        found.append(plain)
    return found


def _rare(state: ModelState, plain: dict[str, Any]) -> None:
    """What most models have nothing of."""
    values = _structs_of(state)
    if any(values):
        told = zip(_STRUCTS, values, strict=True)
        plain |= {name: msgspec.to_builtins(value) for name, value in told if value}
    if state.incident is not None:
        plain["incident"] = msgspec.to_builtins(state.incident)
    if state.partials:
        plain["partials"] = [
            [index, version, signal, {name: _packed(a) for name, a in partial.items()}]
            for index, by_key in state.partials.items()
            for (version, signal), partial in by_key.items()
        ]
    if state.metrics:
        plain["metrics"] = sorted(state.metrics, key=str)
    if state.asked:
        keys = np.fromiter(state.asked, np.uint64, len(state.asked))
        plain["asked"] = [keys.astype("<u8").tobytes(), bytes(state.asked.values())]
    if state.learning or state.to_learn:
        gathered = {v: sum(map(len, f)) for v, f in state.learning.items()}
        plain["learning"] = state.to_learn | gathered
    if state.share is not None:
        plain["share"] = msgspec.to_builtins(state.share)
    if state.links:
        plain["links"] = [[n, msgspec.to_builtins(told)] for n, told in state.links.items()]


def lasting(states: Sequence[ModelState]) -> list[dict[str, Any]]:
    """What only closed windows change of each state; to be asked for before `references`."""
    found: list[dict[str, Any]] = [{} for _ in states]
    for plain, state in zip(found, states, strict=True):
        if state.judges:
            plain["judges"] = [
                [
                    msgspec.to_builtins(series),
                    [[msgspec.to_builtins(j.watch), deepcopy(j.detector.state())] for j in judges],
                ]
                for series, judges in state.judges.items()
            ]
        if state.heard is not None:
            plain["heard"] = msgspec.to_builtins(state.heard)
        if state.statements is not None:
            plain["statements"] = state.statements.state()
    estimated = [(p, s.estimates) for p, s in zip(found, states, strict=True) if s.estimates]
    told = estimates.dumped([known for _, known in estimated])
    for (plain, _), known in zip(estimated, told, strict=True):
        plain["estimates"] = known
    for place, version, learned in _learned(states):
        found[place].setdefault("learned", {})[version] = learned
    for plain, state in zip(found, states, strict=True):
        learned = plain.get("learned", {}).values()
        layouts = tuple(sorted({layout for _, layout, _ in learned}))
        if layouts != state.layouts:
            state.layouts, state.refers = layouts, False
    return found


def references(state: ModelState) -> dict[str, Any]:
    """What a state was measured against, and the layouts of what it learned."""
    found: dict[str, Any] = {}
    if state.profiles:
        found["profiles"] = dict(state.profiles.packed)
    if state.former:
        found["former"] = dict(state.former.packed)
    if state.layouts:
        found["layouts"] = {each: state.arrays.layouts[each] for each in state.layouts}
    return found


def load(state: ModelState, plain: dict[str, Any], policy: ModelPolicy) -> list[str]:
    """Takes up what `dump` and `lasting` gave; says which detectors begin anew. Raises KeyError,
    TypeError, ValueError or msgspec's ValidationError for anything else."""
    if plain.get("layout") != LAYOUT:
        raise ValueError(f"layout {plain.get('layout')!r}, this version reads {LAYOUT}")
    for name, usual in _PLAIN.items():
        setattr(state, name, plain.get(name, usual))
    for name, kind in _STRUCTS.items():
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
    clock = msgspec.convert(plain["clock"], Clock)
    for name, value in clock._asdict().items():
        state.arrays.clocks.arrays[name][state.row] = value
    state.arrays.joins.restore(state.row, plain["joins"])
    for version, packed in plain.get("former", {}).items():
        state.take_up_former(version, packed)
    for version, packed in plain.get("profiles", {}).items():
        state.take_up(version, packed)
    for version, renewal in state.renewals.items():
        member = state.arrays.ledger.member(state.row, Member(state.model, version))
        state.arrays.ledger.learns(member, renewal.candidate is None)
    if plain["window_s"] != policy.window_s:
        # What windows of another width held and taught is no measure for these: learn anew.
        known = clock.newest > float("-inf")
        limits = (policy.lateness_s, policy.window_s)
        state.next_window = first_open(clock.newest, *limits) if known else None
        return []
    _load_windows(state, plain["open"], policy.window_s)
    if "heard" in plain:
        state.heard = msgspec.convert(plain["heard"], Heard)
    refused: list[str] = []
    for version, learned in plain.get("learned", {}).items():
        refused += _teach(state, policy, version, learned, plain["layouts"])
    for index, version, signal, arrays in plain.get("partials", ()):
        partial = state.partials.setdefault(index, {})[version, signal] = part_of(signal)
        partial.update({name: _unpacked(a) for name, a in arrays.items()})
    for stored, judges in plain.get("judges", ()):
        series = msgspec.convert(stored, Series)
        state.judges[series], strange = _judges(policy.watches_of(series), judges)
        refused += [f"{series}, {each}" for each in strange]
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
    state.arrays.layouts.update(plain.get("layouts", {}))
    state.layouts = tuple(sorted(plain.get("layouts", ())))
    state.lasts = state.refers = not refused
    return refused


def members_of(state: ModelState) -> list[tuple[str, int]]:
    """The model's versions that have rows in the arrays."""
    ledger, model = state.arrays.ledger, state.model
    versions = ledger.versions.get(model, ())
    if len(versions) == 1:
        return [(versions[0], ledger.rows[Member(model, versions[0])])]
    return [(version, ledger.rows[Member(model, version)]) for version in sorted(versions)]


def _open_windows(states: Sequence[ModelState]) -> list[list[Any]]:
    """The open windows of each state."""
    ledger = states[0].arrays.ledger
    found: list[list[Any]] = []
    slots: list[int] = []
    for state in states:
        held: list[Any] = []
        for version, member in members_of(state):
            for window, slot in ledger.open.open_slots(member):
                held.append([version, window, ledger.open.slots[slot].held is not None])
                slots.append(slot)
        found.append(held)
    packed = iter(ledger.open.dump(slots))
    for held in found:
        for window_ in held:
            window_.append(next(packed))
    return found


def _load_windows(state: ModelState, stored: Sequence[Any], width: float) -> None:
    ledger = state.arrays.ledger
    for version, window, profiled, packed in stored:
        member = ledger.member(state.row, Member(state.model, version))
        held = ledger.reference(member, window * width) if profiled else None
        if profiled and held is None:
            raise ValueError(f"no reference of version {version}")
        ledger.open.load(ledger.open.put(member, window, held), packed)


def _learned(states: Sequence[ModelState]) -> Iterator[tuple[int, str, list[Any]]]:
    """What each version taught: of which state, of which schema, the layout's name, the bytes."""
    seated: dict[int, list[tuple[int, str, int]]] = defaultdict(list)
    panels: dict[int, Panel] = {}
    for place, state in enumerate(states):
        for version, member in members_of(state):
            panel = state.arrays.panel_of.get(member)
            if panel is not None:
                panels[id(panel)] = panel
                seated[id(panel)].append((place, version, member))
    for key, mine in seated.items():
        panel, ledger = panels[key], states[0].arrays.ledger
        layout = taught.layout(panel)
        name = taught.name_of(layout)
        states[0].arrays.layouts[name] = layout
        packed = taught.dump(panel, [member for _, _, member in mine])
        for (place, version, member), each in zip(mine, packed, strict=True):
            profiled = panel.schema.profiled
            held = ledger.reference(member) if profiled else None
            # Until its next window a version is where it was before it was given a reference.
            same = panel.schema == ledger.schema_of(held)
            yield place, version, [profiled if same else list(panel.schema), name, each]


def _teach(
    state: ModelState,
    policy: ModelPolicy,
    version: str,
    learned: list[Any],
    layouts: dict[bytes, bytes],
) -> list[str]:
    of, layout, packed = learned
    ledger = state.arrays.ledger
    member = ledger.member(state.row, Member(state.model, version))
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


def _packed(array: np.ndarray[Any, np.dtype[np.int64]]) -> list[Any]:
    return [list(array.shape), array.astype("<i8").tobytes()]


def _unpacked(packed: list[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    shape, data = packed
    return np.frombuffer(data, dtype="<i8").astype(np.int64).reshape(shape)
