"""Models' states as plain data: what each event changes, what closed windows change, and what
references say, each apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from copy import deepcopy
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np

from watchkeeper.daemon.core import taught
from watchkeeper.daemon.core.model import Health, ModelState, Renewal
from watchkeeper.daemon.core.panel import Panel
from watchkeeper.detectors.estimation import estimates
from watchkeeper.detectors.types import Change, Finding
from watchkeeper.handlers.types import Action, Incident

LAYOUT = 5

# Kept by name where they are not what a model begins with.
STRUCTS: dict[str, Any] = {
    "changes": list[Change],
    "recent": list[Finding],
    "incident": Incident | None,
    "health": list[Health],
    "actions": dict[str, Action],
    "renewals": dict[str, Renewal],
}
PLAIN: dict[str, Any] = {
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
_plain_of, _USUAL = attrgetter(*PLAIN), tuple(PLAIN.values())
_structs_of = attrgetter(*STRUCTS)
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
    `lasting` and `references` give it is all that `restored.load` needs; msgpack can hold it. Some
    of it is the state's own: it must be encoded before that changes."""
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
        plain["versions"] = state.versions
        values = _plain_of(state)
        if values != _USUAL:
            told = zip(PLAIN.items(), values, strict=True)
            plain |= {name: value for (name, usual), value in told if value != usual}
        _rare(state, plain)
        found.append(plain)
    return found


def _rare(state: ModelState, plain: dict[str, Any]) -> None:
    """What most models have nothing of."""
    values = _structs_of(state)
    if any(values):
        told = zip(STRUCTS, values, strict=True)
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


def on_record(plain: dict[str, Any]) -> tuple[Incident | None, list[Action]]:
    """The incident and the actions that a stored state tells of; none where it has another form."""
    try:
        incident = msgspec.convert(plain.get("incident"), STRUCTS["incident"])
        actions = msgspec.convert(plain.get("actions", {}), STRUCTS["actions"])
    except msgspec.ValidationError:
        return None, []
    return incident, list(actions.values())


def members_of(state: ModelState) -> list[tuple[str, int]]:
    """The model's versions that have rows in the arrays."""
    versions = state.arrays.ledger.versions.get(state.model, {})
    return sorted(versions.items()) if len(versions) > 1 else [*versions.items()]


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


def _packed(array: np.ndarray[Any, np.dtype[np.int64]]) -> list[Any]:
    return [list(array.shape), array.astype("<i8").tobytes()]
