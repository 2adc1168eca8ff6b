"""Gathers what references are learned from, and learns them once that is enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.core.versions import member_rows
from watchkeeper.detectors.blocks import Block, Member, PredictionBlock
from watchkeeper.detectors.gathered import add_frame
from watchkeeper.detectors.joint.learned import learned_with_joint
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.profiling import learn_profile
from watchkeeper.detectors.texts import Spans
from watchkeeper.detectors.types import AnyFrame, IntArray


def learn(
    state: State, given: Sequence[Block | AnyFrame], rows: Sequence[IntArray], step: Step
) -> None:
    """Learns references from the predictions of a batch, each once."""
    before: list[Keys] = []
    for block, models in zip(given, rows, strict=True):
        if not isinstance(block, PredictionBlock) or _taught(state, block):
            continue
        keys = state.arrays.keys(models, block)
        fresh = state.arrays.joins.fresh(models, keys)
        for each in before:
            fresh &= ~np.isin(keys, each)
        before.append(keys)
        if fresh.any():
            _learn_from(state, *member_rows(state, block.take(fresh), step), step)


def _taught(state: State, block: PredictionBlock) -> bool:
    """Whether all versions are known, and none learns a reference."""
    ledger = state.arrays.ledger
    rows = ledger.rows_of(block.members)
    if not ledger.met(rows).all():
        return False
    without = np.flatnonzero(~ledger.members.arrays["referred"][rows])
    return not any(_learns(state, block.members[place]) for place in without.tolist())


def _learn_from(state: State, block: PredictionBlock, members: IntArray, step: Step) -> None:
    """Gathers what references are learned from; a reference holds for windows that begin after
    the newest of its rows."""
    without = ~state.arrays.ledger.members.arrays["referred"][members]
    if not without.any():
        return
    places = np.unique(block.member[without]).tolist()
    learning = [place for place in places if _learns(state, block.members[place])]
    if not learning:
        return
    # Names of requests and clients teach nothing, and would take most of the memory.
    nameless = Spans.nothing(len(block))
    bare = dataclasses.replace(block, request_id=nameless, entity=nameless)
    for place in learning:
        member = block.members[place]
        if _learns(state, member):  # others may be counted under the same name
            _gather(state, member, bare, place, step)


def _learns(state: State, member: Member) -> bool:
    """Whether a version's reference is still being learned, or learned anew."""
    model = state.models[member.model]
    renewal = model.renewals.get(member.version)
    anew = renewal is not None and renewal.candidate is None
    return (anew or member.version not in model.profiles) and model.share is None


def _gather(state: State, member: Member, block: PredictionBlock, place: int, step: Step) -> None:
    model, policy = state.models[member.model], state.policy(member.model)
    rows = np.flatnonzero(block.member == place)
    step.learning.add(member)
    gathered = model.learning.setdefault(member.version, [])
    missing = policy.learn_n - sum(len(part) for part in gathered)
    add_frame(gathered, block.frame(place, rows[:missing]))
    if len(rows) < missing:
        return
    profile = learn_profile(gathered, *member, source="learned", positive=policy.positive)
    if policy.multivariate:
        profile = learned_with_joint(profile, gathered)
    if member.version in model.renewals:
        # It counts once all windows it was learned from are closed.
        model.renewals[member.version].candidate = profile
        del model.learning[member.version]
        state.arrays.ledger.learns(state.arrays.ledger.rows[member], False)
        return
    model.refer(profile, member.version)
    step.profiles.append(profile)
