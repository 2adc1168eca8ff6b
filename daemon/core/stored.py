"""One model's state as plain data, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import zstandard

from watchkeeper.daemon.core.model import Health, Judge, ModelState, Share, Told
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.blocks import Member
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import Change, Finding, Partial, Series, StateError
from watchkeeper.detectors.windows import Watermark, first_open
from watchkeeper.handlers.types import Action, Incident, VersionRecord

LAYOUT = 3
_COUNTS_LIMIT = 1 << 24  # bytes of one window's counts

_STRUCTS: dict[str, Any] = {
    "versions": dict[str, VersionRecord],
    "changes": list[Change],
    "recent": list[Finding],
    "incident": Incident | None,
    "health": list[Health],
    "actions": dict[str, Action],
}
_PLAIN = (
    "absent",
    "empty_run",
    "live_version",
    "labelled",
    "verify_since",
    "verified_windows",
    "planned_for",
    "paused",
)
_TIMES = ("last_tick", "behind", "live")
# Counts are mostly zeros.
_packer, _unpacker = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()
_profiles = msgspec.msgpack.Decoder(Profile)


def dump(state: ModelState, window_s: float) -> dict[str, Any]:
    """Everything that `load` needs; all of it msgpack can hold."""
    clocks = state.arrays.clocks
    return {
        "layout": LAYOUT,
        "window_s": window_s,
        "mark": msgspec.to_builtins(state.mark),
        "next_window": state.next_window,
        "times": [clocks.arrays[name][state.row].item() for name in _TIMES],
        "joins": state.arrays.joins.state(state.row),
        "profiles": {v: _packed_profile(p) for v, p in state.profiles.items()},
        "open": list(_open_windows(state)),
        "learned": dict(_learned(state)),
        "partials": [
            [index, version, signal, {name: _packed(a) for name, a in partial.items()}]
            for index, by_key in state.partials.items()
            for (version, signal), partial in by_key.items()
        ],
        "judges": [
            [
                msgspec.to_builtins(series),
                [[msgspec.to_builtins(j.watch), j.detector.state()] for j in judges],
            ]
            for series, judges in state.judges.items()
        ],
        "metrics": sorted(state.metrics, key=str),
        "learning": state.to_learn | {v: sum(map(len, f)) for v, f in state.learning.items()},
        **{name: getattr(state, name) for name in _PLAIN},
        **{name: msgspec.to_builtins(getattr(state, name)) for name in _STRUCTS},
        **_spread(state),
    }


def load(state: ModelState, plain: dict[str, Any], policy: ModelPolicy) -> list[str]:
    """Takes up what `dump` gave; says which detectors begin anew. Raises KeyError, TypeError,
    ValueError or msgspec's ValidationError for anything else."""
    if plain.get("layout") != LAYOUT:
        raise ValueError(f"layout {plain.get('layout')!r}, this version reads {LAYOUT}")
    for name in _PLAIN:
        setattr(state, name, plain[name])
    for name, kind in _STRUCTS.items():
        setattr(state, name, msgspec.convert(plain[name], kind))
    state.to_learn = msgspec.convert(plain["learning"], dict[str, int])
    if "share" in plain:
        state.share = msgspec.convert(plain["share"], Share)
    links = dict(msgspec.convert(plain.get("links", []), list[tuple[int, Told]]))
    # How long nothing was heard counts from now on: nobody listened meanwhile.
    state.links = {n: msgspec.structs.replace(t, heard=float("-inf")) for n, t in links.items()}
    state.metrics = {(name, host) for name, host in plain["metrics"]}
    clocks, mark = state.arrays.clocks, msgspec.convert(plain["mark"], Watermark)
    clocks.set_mark(state.row, mark)
    for name, value in zip(_TIMES, plain["times"], strict=True):
        clocks.arrays[name][state.row] = value
    state.arrays.joins.restore(state.row, plain["joins"])
    for version, stored in plain["profiles"].items():
        state.refer(_profiles.decode(stored), version)
    state.next_window = plain["next_window"]
    if plain["window_s"] != policy.window_s:
        # What windows of another width held and taught is no measure for these: learn anew.
        known = mark.newest > float("-inf")
        limits = (policy.lateness_s, policy.window_s)
        state.next_window = first_open(mark.newest, *limits) if known else None
        return []
    _load_windows(state, plain["open"], policy)
    refused: list[str] = []
    for version, learned in plain["learned"].items():
        refused += _teach(state, policy, version, learned)
    for index, version, signal, arrays in plain["partials"]:
        partial = Partial({name: _unpacked(a) for name, a in arrays.items()})
        state.partials.setdefault(index, {})[version, signal] = partial
    for stored, judges in plain["judges"]:
        series = msgspec.convert(stored, Series)
        state.judges[series] = _judges(policy.watches_of(series), judges)
    return refused


def _spread(state: ModelState) -> dict[str, Any]:
    """What only the shares and the whole of a spread model have."""
    found: dict[str, Any] = {}
    if state.share is not None:
        found["share"] = msgspec.to_builtins(state.share)
    if state.links:
        found["links"] = [[n, msgspec.to_builtins(told)] for n, told in state.links.items()]
    return found


def members_of(state: ModelState) -> Iterator[tuple[str, int]]:
    """The model's versions that have rows in the arrays."""
    rows = state.arrays.ledger.rows
    for version in sorted(state.arrays.ledger.versions.get(state.model, ())):
        yield version, rows[Member(state.model, version)]


def _open_windows(state: ModelState) -> Iterator[list[Any]]:
    ledger = state.arrays.ledger
    for version, member in members_of(state):
        for window, slot in ledger.open_slots(member):
            profiled = ledger.slots[slot].profile is not None
            yield [version, window, profiled, _packer.compress(ledger.dump(slot))]


def _load_windows(state: ModelState, stored: Sequence[Any], policy: ModelPolicy) -> None:
    ledger = state.arrays.ledger
    for version, window, profiled, packed in stored:
        member = ledger.member(state.row, Member(state.model, version))
        profile = state.profiles[version] if profiled else None
        slot = ledger.put(member, window, profile)
        ledger.load(slot, _unpacker.decompress(packed, max_output_size=_COUNTS_LIMIT))


def _learned(state: ModelState) -> Iterator[tuple[str, list[Any]]]:
    for version, member in members_of(state):
        panel = state.arrays.panel_of.get(member)
        if panel is not None:
            schema, profiled = panel.schema, panel.schema.profiled
            known = Schema.of(state.profiles.get(version) if profiled else None)
            # Until its next window a version is where it was before it was given a reference.
            yield version, [profiled if schema == known else list(schema), panel.dump(member)]


def _teach(state: ModelState, policy: ModelPolicy, version: str, learned: list[Any]) -> list[str]:
    of, taught = learned
    if isinstance(of, bool):
        schema = Schema.of(state.profiles[version] if of else None)
    else:
        schema = msgspec.convert(of, Schema)
    panel = state.arrays.panel(schema, policy.suite)
    member = state.arrays.ledger.member(state.row, Member(state.model, version))
    state.arrays.seat(member, panel, None)
    return [f"version {version}, {each}" for each in panel.load(member, taught)]


def _judges(watches: Sequence[Watch], stored: list[list[Any]]) -> list[Judge]:
    """The detectors that the policy wants by now, with what those of the same watch had learned;
    one whose state is not understood starts anew."""
    known = [(msgspec.convert(watch, Watch), plain) for watch, plain in stored]
    judges = []
    for watch in watches:
        detector = make(watch.detector, watch.settings, watch.severity)
        for old, plain in known:
            if old == watch:
                try:
                    detector.restore(plain)
                except StateError:
                    detector = make(watch.detector, watch.settings, watch.severity)
        judges.append(Judge(watch, detector))
    return judges


def _packed_profile(profile: Profile) -> bytes:
    return msgspec.msgpack.encode(profile)


def _packed(array: np.ndarray[Any, np.dtype[np.int64]]) -> list[Any]:
    return [list(array.shape), array.astype("<i8").tobytes()]


def _unpacked(packed: list[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    shape, data = packed
    return np.frombuffer(data, dtype="<i8").astype(np.int64).reshape(shape)
