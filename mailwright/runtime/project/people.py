"""A plan in people: who would enter and who would leave each segment if it were applied now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mailwright.core.errors import Transient
from mailwright.core.events import Person
from mailwright.core.instants import Instant
from mailwright.core.previews import Preview
from mailwright.reports.transitions import members_in, newest_tick
from mailwright.rules import syntax as s
from mailwright.rules.dependencies import named
from mailwright.rules.fold.plan import Outline, in_order, meanings
from mailwright.rules.fold.rows import Bools
from mailwright.runtime.installation import Installation
from mailwright.runtime.past import Past
from mailwright.runtime.past_previews import members
from mailwright.runtime.previews import estimate, exactly
from mailwright.runtime.project.load import Project
from mailwright.runtime.project.versions import Plan

SAMPLE = 5
NOBODY = s.Not(term=s.Always())


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentPeople:
    """What applying would do to one segment.

    Attributes:
        how: ``changed`` also if only an attribute or segment that it needs was changed.
        preview: Who would enter and leave, and how many would be in it; None if nobody can tell: see `unknown`.
        names: First identifiers of the people that the preview names, as far as they are known.
        needed_by: For a removed segment, what of the version in force names it.
        unknown: Why there is no preview.
    """

    name: str
    how: Literal["added", "changed", "removed"]
    preview: Preview | None
    names: Mapping[Person, str]
    needed_by: Sequence[str] = ()
    unknown: str = ""


def people_of(
    installation: Installation, planned: Plan, before: Project, *, quick: bool
) -> Iterator[tuple[str, Callable[[], SegmentPeople]]]:
    """The segments that applying would change, each with a function that counts its people, which may take a while.

    Args:
        installation: Whose people.
        planned: What would be applied.
        before: The project in force.
        quick: Content with an estimate where the exact figure would need all of History to be folded.
    """
    asking = _Asking(installation, planned.project, quick)
    for name, how in segment_changes(before, planned.project).items():
        yield name, _later(asking, before, name, how)


def _later(
    asking: _Asking, before: Project, name: str, how: Literal["added", "changed", "removed"]
) -> Callable[[], SegmentPeople]:
    def count() -> SegmentPeople:
        rule = NOBODY if how == "removed" else whole_rule(before, asking.project, name)
        needed_by = needing(before, name) if how == "removed" else ()
        try:
            preview = asking.preview(rule, name)
        except Transient as error:
            return SegmentPeople(name=name, how=how, preview=None, names={}, needed_by=needed_by, unknown=error.message)
        return SegmentPeople(name=name, how=how, preview=preview, names=asking.names(preview), needed_by=needed_by)

    return count


def segment_changes(before: Project, after: Project) -> dict[str, Literal["added", "changed", "removed"]]:
    """Segments that would mean something else, by their rule or by anything that it names."""
    old, new = _meanings(before), _meanings(after)
    found: dict[str, Literal["added", "changed", "removed"]] = {}
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in new:
            found[name] = "removed"
        elif name not in old:
            found[name] = "added"
        elif old[name] != new[name]:
            found[name] = "changed"
    return found


def _meanings(project: Project) -> dict[str, str]:
    outline = Outline(project.expressions)
    return meanings(in_order(project.memberships, outline), project.memberships, outline)


def whole_rule(before: Project, after: Project, name: str) -> s.Expression:
    """The rule of a planned segment in terms of the version in force: whatever differs is put in place of its name.

    Who stays in a segment whose rule changes keeps the time since which they are in it; so "has been in it for" asks
    the old membership too, and nobody has been in a new one for any time.
    """
    changed = {each for each, how in segment_changes(before, after).items() if how != "removed"}
    return _Inlining(before, after, changed).expression(after.memberships[name])


class _Inlining:
    def __init__(self, before: Project, after: Project, changed: set[str]) -> None:
        self._before = before
        self._after = after
        self._changed = changed

    def expression(self, node: s.Expression) -> s.Expression:
        match node:
            case s.Attribute(name=name):
                return self.expression(self._after.expressions[name])
            case s.InSegment(name=name) if name in self._changed:
                return self._segment(node)
            case _:
                return self._part(node)  # type: ignore[no-any-return]  # an expression stays one

    def _segment(self, node: s.InSegment) -> s.Expression:
        rule = self.expression(self._after.memberships[node.name])
        if node.for_micros is None:
            return rule
        return s.And(terms=(rule, node)) if node.name in self._before.memberships else NOBODY

    def _part(self, value: Any) -> Any:
        """The same with everything inside it put in place; windows, steps and constants are as they are."""
        if isinstance(value, tuple):
            return tuple(self._inner(part) for part in value)
        if isinstance(value, s.Node):
            return type(value)(**{name: self._inner(getattr(value, name)) for name in value.__struct_fields__})
        return value

    def _inner(self, value: Any) -> Any:
        return self.expression(value) if isinstance(value, s.Attribute | s.InSegment) else self._part(value)


def needing(project: Project, segment: str) -> list[str]:
    """What of a project names a segment: ``segment vip``, ``journey win_back``, ``campaign weekly:audience``."""
    rules = [
        *((f"attribute {name}", node) for name, node in project.expressions.items()),
        *((f"segment {name}", node) for name, node in project.memberships.items()),
        *((name.replace(":", " ", 1), node) for name, node in project.conditions.items()),
    ]
    found = [name for name, node in rules if ("segment", segment) in named(node)]
    return found + [f"journey {name}" for name, one in project.journeys.items() if one.trigger.segment == segment]


class _Asking:
    """Asks the engine; where it lacks leaves, or does not run, folds History."""

    def __init__(self, installation: Installation, project: Project, quick: bool) -> None:
        self._there = installation
        self.project = project
        self._quick = quick
        self._past: Past | None = None

    def preview(self, rule: s.Expression, name: str) -> Preview:
        """The figures of one segment.

        Raises:
            Transient: If the engine does not run and History holds nothing either, or it is recovering.
        """
        engine = self._there.engine
        try:
            found = engine.preview(s.to_json(rule), name, SAMPLE)
            if found.exact:
                return found
            engine.flush_history()
            return self._folded(rule, found.at, members(engine, name))
        except Transient as error:
            if error.code != "engine.unreachable":
                raise
        at = newest_tick(self._there.history)
        if at is None:
            raise Transient("engine.unreachable", "no engine runs and History is empty: start `mailwright serve`")
        inside = np.array(members_in(self._there.history, name), np.int64)
        mask = np.zeros(int(inside.max(initial=-1)) + 1, dtype=bool)
        mask[inside] = True
        return self._folded(rule, at, mask)

    def _folded(self, rule: s.Expression, at: Instant, inside: Bools | None) -> Preview:
        if self._past is None:
            self._past = Past(self._there.history)
        graph = self._past.graph_at(self._past.upto)
        answer = estimate if self._quick else exactly
        return answer(self._past, graph, self.project.rules, rule, at, before=inside, limit=SAMPLE)

    def names(self, preview: Preview) -> Mapping[Person, str]:
        """First identifiers of those whom a preview names; none without an engine."""
        people = sorted({*preview.entering_sample, *preview.leaving_sample})
        try:
            return self._there.engine.first_identifiers(people) if people else {}
        except Transient:
            return {}
