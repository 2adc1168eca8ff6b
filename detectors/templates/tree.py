"""Templates of log statements, learned from forms in one pass and bounded memory.

The tree is Drain's (He, Zhu, Zheng, Lyu: Drain, an online log parsing approach with fixed depth
tree, ICWS 2017): forms with the same number of tokens and the same first token share a leaf, and
there belong to the group whose first form has enough tokens in common. What a group's forms differ
in decides into which templates it falls, where Drain makes one template of each group:

- A place with fewer than `distinct` different tokens tells statements apart: they are few because
  somebody wrote them. So do words all in capitals, which are states and commands, and the first.
- A place with more is a variable, and becomes a wildcard; so does one where a masked value was met.

Templates are therefore only ever merged, never split; whoever counts them asks for `take_merged`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from watchkeeper.detectors.templates.template import Template, alike, closest, general
from watchkeeper.detectors.templates.tokens import Tokens, tokens_of
from watchkeeper.detectors.types import State, StateError

LAYOUT = 1
_MOST_GROUPS = 100  # of one leaf; the oldest makes room
_MOST_ALIKE = 100  # templates of one group; the least recently met makes room

_Key = tuple[int, str]  # of a leaf: the number of tokens, and the first


@dataclass(slots=True, eq=False)
class _Group:
    """Templates that have enough tokens in common with the first form there was."""

    first: Tokens
    templates: list[Template] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Leaf:
    """Groups of one number of tokens and first token; `version` counts changes in them."""

    groups: list[_Group] = field(default_factory=list)
    version: int = 0


@dataclass(slots=True)
class TemplateTree:
    """Gives each form the number of its template.

    At most `most` templates are known: the least recently met is forgotten, and is a new one when
    it is met again. The same forms in the same order give the same numbers.

    >>> tree = TemplateTree()
    >>> [tree.add(f"job <*> of {name} done") for name in "abcdefg"][-1]
    0
    >>> tree.take_merged(), tree.text(0)
    ([(1, 0), (2, 0), (3, 0), (4, 0)], 'job <*> of <*> done')
    """

    most: int = 1_000
    similarity: float = 0.5
    distinct: int = 5
    memory: int = 4_096  # forms whose answer is kept at hand
    _next: int = 0
    _known: OrderedDict[int, tuple[Template, _Key, _Group]] = field(default_factory=OrderedDict)
    _leaves: dict[_Key, _Leaf] = field(default_factory=dict)
    _merged: list[tuple[int, int]] = field(default_factory=list)
    _forgotten: list[int] = field(default_factory=list)
    _answers: dict[str, tuple[_Leaf, int, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, number: int) -> bool:
        return number in self._known

    def add(self, form: str) -> int:
        """The number of the form's template, learned if it is new."""
        kept = self._answers.get(form)
        if kept is not None and kept[0].version == kept[1]:
            self._known.move_to_end(kept[2])
            return kept[2]
        return self._learn(form)

    def text(self, number: int) -> str:
        """What the template says by now."""
        return self._known[number][0].text

    def texts(self) -> dict[int, str]:
        """What all templates say, by number; the least recently met comes first."""
        return {number: known[0].text for number, known in self._known.items()}

    def take_merged(self) -> list[tuple[int, int]]:
        """Which templates turned out to be another one, in order, since this was last asked."""
        merged, self._merged = self._merged, []
        return merged

    def take_forgotten(self) -> list[int]:
        """Which templates made room for others since this was last asked."""
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    # -----------------------------------------------------------------------------------------
    # Learning
    # -----------------------------------------------------------------------------------------

    def _learn(self, form: str) -> int:
        tokens, spaces = tokens_of(form)
        key = (len(tokens), tokens[0] if tokens else "")
        leaf = self._leaves.get(key)
        if leaf is None:
            leaf = self._leaves[key] = _Leaf()
        group = self._group(leaf, tokens)
        number = closest(group.templates, tokens)
        if number is None:
            number = self._new(key, leaf, group, tokens, spaces)
        self._known.move_to_end(number)
        if len(self._answers) >= self.memory:
            del self._answers[next(iter(self._answers))]
        self._answers[form] = (leaf, leaf.version, number)
        return number

    def _group(self, leaf: _Leaf, tokens: Tokens) -> _Group:
        best, most = None, self.similarity * len(tokens)
        for group in leaf.groups:
            same = sum(map(str.__eq__, group.first, tokens))
            if same >= most and (best is None or same > most):
                best, most = group, same
        if best is None:
            if len(leaf.groups) >= _MOST_GROUPS:
                for template in list(leaf.groups[0].templates):
                    self._forget(template.id)
            best = _Group(tokens)
            leaf.groups.append(best)
            leaf.version += 1
        return best

    def _new(
        self,
        key: _Key,
        leaf: _Leaf,
        group: _Group,
        tokens: Tokens,
        spaces: tuple[bool, ...],
    ) -> int:
        template = Template(self._next, tokens, spaces)
        self._next += 1
        self._known[template.id] = (template, key, group)
        group.templates.append(template)
        leaf.version += 1
        number = self._merge(group, template)
        if len(group.templates) > _MOST_ALIKE:
            here = {each.id for each in group.templates}
            self._forget(next(each for each in self._known if each in here))
        if len(self._known) > self.most:
            self._forget(next(iter(self._known)))
        return number

    def _merge(self, group: _Group, new: Template) -> int:
        """Makes one template of those that the group's differences do not tell apart; gives the
        number that the new one has then."""
        covered = [each for each in group.templates if new.covers(each.tokens)]
        number = self._join(group, covered, new.tokens)
        for same in alike(list(group.templates), self.distinct):
            if len(same) > 1:
                joined = self._join(group, same, general([each.tokens for each in same]))
                if any(each.id == number for each in same):
                    number = joined
        return number

    def _join(self, group: _Group, same: Sequence[Template], tokens: Tokens) -> int:
        """Makes the oldest of these what all of them are."""
        oldest = min(same, key=lambda each: each.id)
        oldest.tokens = tokens
        for other in same:
            if other is not oldest:
                group.templates.remove(other)
                del self._known[other.id]
                self._merged.append((other.id, oldest.id))
        return oldest.id

    def _forget(self, number: int) -> None:
        template, key, group = self._known.pop(number)
        leaf = self._leaves[key]
        group.templates.remove(template)
        leaf.version += 1
        if not group.templates:
            leaf.groups.remove(group)
        if not leaf.groups:
            del self._leaves[key]
        self._forgotten.append(number)

    # -----------------------------------------------------------------------------------------
    # State
    # -----------------------------------------------------------------------------------------

    def state(self) -> State:
        """Everything learned, as plain data."""
        groups = [group for leaf in self._leaves.values() for group in leaf.groups]
        return {
            "version": LAYOUT,
            "next": self._next,
            "order": list(self._known),
            "groups": [
                [list(g.first), [[t.id, list(t.tokens), list(t.spaces)] for t in g.templates]]
                for g in groups
            ],
            "merged": [list(pair) for pair in self._merged],
            "forgotten": list(self._forgotten),
        }

    def restore(self, state: State) -> None:
        """Takes up what `state` gave. Raises `StateError` for anything else."""
        try:
            stored = msgspec.convert(state, _Stored)
        except msgspec.ValidationError as error:
            raise StateError(f"templates: stored state is damaged: {error}") from error
        found = {each.id: each for _, templates in stored.groups for each in templates}
        if stored.version != LAYOUT or not _sound(stored, found):
            raise StateError("templates: stored state has another layout")
        self._leaves, self._answers = {}, {}
        known: dict[int, tuple[Template, _Key, _Group]] = {}
        for first, templates in stored.groups:
            key = (len(first), first[0] if first else "")
            group = _Group(first, [Template(*msgspec.structs.astuple(t)) for t in templates])
            self._leaves.setdefault(key, _Leaf()).groups.append(group)
            known.update((each.id, (each, key, group)) for each in group.templates)
        self._known = OrderedDict((number, known[number]) for number in stored.order)
        self._next, self._merged = stored.next, stored.merged
        self._forgotten = stored.forgotten


class _Entry(Template, array_like=True):
    """A template as it is stored."""


class _Stored(msgspec.Struct):
    version: int
    next: int
    order: list[int]
    groups: list[tuple[Tokens, list[_Entry]]]
    merged: list[tuple[int, int]]
    forgotten: list[int]


def _sound(stored: _Stored, found: dict[int, Any]) -> bool:
    """Whether the parts of a stored state fit each other."""
    return (
        sorted(stored.order) == sorted(found)
        and len(found) == sum(len(templates) for _, templates in stored.groups)
        and all(templates for _, templates in stored.groups)
        and all(0 <= number < stored.next for number in found)
        and all(
            len(each.tokens) == len(first) == len(each.spaces)
            for first, templates in stored.groups
            for each in templates
        )
    )
