"""The tracking plan: which events and traits a project expects, and what happens to what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any, Literal, NamedTuple

import msgspec

from mailwright.core.errors import Issue, nearest
from mailwright.ingest.schemas import Compiled, Fault, Hints, schema_faults, short_schema, types_of
from mailwright.ingest.standard import STANDARD, Standard
from mailwright.ingest.typed_values import ValueType
from mailwright.rules.kinds import Declared

Policy = Literal["allow", "drop", "quarantine", "block"]
"""Kept as it is; the field left out; the event held back to be mended; the event refused. Each is told and counted."""


class Violation(NamedTuple):
    """A field that is not as the plan says.

    Attributes:
        path: Where it is: keys and places, the first being ``properties`` or ``traits``, or ``event`` alone.
        kind: The violated keyword of JSON Schema, ``undeclared`` or ``event``.
        reason: In words, for whoever sent it: it may show the value.
        masked: In words, without the value: this may be kept.
    """

    path: tuple[str | int, ...]
    kind: str
    reason: str
    masked: str
    policy: Policy

    @property
    def field(self) -> str:
        """The dotted place."""
        return ".".join(map(str, self.path))


class EventPlan(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, dict=True):
    """What a track event, an identify or a group carries: the short form, or a JSON Schema.

    Attributes:
        properties: Name -> type; a property that is null counts as not sent.
        required: Properties that must be sent.
        schema: JSON Schema (draft 2020-12) of all properties, instead of `properties` and `required`.
        unknown: What happens to a property that is not declared; without one, as the plan says.
        violation: What happens where a declared property is missing or wrong; without one, as the plan says.
    """

    properties: Mapping[str, ValueType] = {}
    required: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None
    unknown: Policy | None = None
    violation: Policy | None = None
    description: str = ""

    def types(self) -> dict[str, ValueType]:
        """Dotted name -> declared type; of a schema, where it tells one plainly."""
        return dict(self.properties) if self.schema is None else types_of(self.schema)

    def names(self) -> set[str]:
        """The declared names, without what is inside them."""
        return set(self.properties) if self.schema is None else set(self.schema.get("properties") or {})

    def needed(self) -> list[str]:
        """The properties that must be sent, without what is inside them."""
        told = self.required if self.schema is None else self.schema.get("required")
        return [name for name in told or () if isinstance(name, str)]

    def check(self, path: str) -> list[Issue]:
        """Faults that types cannot tell; `path` is where it is declared."""
        if self.schema is None:
            return undeclared(f"{path}.required", self.required, self.properties)
        if self.properties or self.required:
            message = "a schema tells properties and required ones itself"
            return [Issue(path=f"{path}.schema", message=message, hint="write either the short form or a schema")]
        return [
            Issue(path=f"{path}.schema.{issue.path}".rstrip("."), message=issue.message, hint=issue.hint)
            for issue in schema_faults(self.schema)
        ]


ORIGINAL = "_original"
"""What the field ends with that keeps an amount as it was sent; its currency is in one that ends with ``_currency``."""


def amount_of(name: str) -> str | None:
    """The amount whose original, or whose original's currency, a field of this name keeps; None if it keeps none."""
    base = name.removesuffix("_currency")
    return base.removesuffix(ORIGINAL) if base.endswith(ORIGINAL) else None


class Check:
    """One event's plan, compiled, with the policies that hold for it."""

    def __init__(self, plan: EventPlan, part: str, *, unknown: Policy, violation: Policy) -> None:
        """Compile `plan` for ``properties`` or ``traits``; the policies are those of an event that has none."""
        schema = short_schema(plan.properties, plan.required) if plan.schema is None else plan.schema
        self._part = part
        self._compiled = Compiled(schema)
        self._fits = self._compiled.fits
        self._names = plan.names()
        self._patterns = bool(schema.get("patternProperties"))
        self._unknown: Policy = plan.unknown or unknown
        self._violation: Policy = plan.violation or violation
        self._closed = self._unknown != "allow" and not self._patterns

    def fits(self, data: dict[str, Any], money: AbstractSet[str]) -> bool:
        """Whether nothing is wrong; `money` are the amounts beside which the normaliser keeps what was sent."""
        return self._fits(data) and not (self._closed and self._unknown_in(data, money))

    def violations(self, data: dict[str, Any], hints: Hints, money: AbstractSet[str]) -> list[Violation]:
        """All that is wrong."""
        if self.fits(data, money):
            return []
        faults = [fault for fault in self._compiled.faults(data, hints) if not self._is_ours(fault, money)]
        found = [self._told(fault) for fault in faults]
        if self._closed:
            known = {violation.path for violation in found}
            unknown = [name for name in self._unknown_in(data, money) if (self._part, name) not in known]
            found += [self._undeclared(name, hints) for name in unknown]
        return found

    def _unknown_in(self, data: dict[str, Any], money: AbstractSet[str]) -> list[str]:
        if data.keys() <= self._names:
            return []
        ours = money & self._names
        return [name for name in data if name not in self._names and amount_of(name) not in ours]

    def _is_ours(self, fault: Fault, money: AbstractSet[str]) -> bool:
        name = fault.path[0] if len(fault.path) == 1 else None
        return fault.kind == "undeclared" and isinstance(name, str) and amount_of(name) in money & self._names

    def _undeclared(self, name: str, hints: Hints) -> Violation:
        masked = "not in the tracking plan"
        reason = f"{masked}; {hints.nearest(name, self._names)}".rstrip("; ")
        return Violation((self._part, name), "undeclared", reason, masked, self._unknown)

    def _told(self, fault: Fault) -> Violation:
        open_ = fault.kind == "undeclared" and self._unknown != "allow"
        policy = self._unknown if open_ else self._violation
        return Violation((self._part, *fault.path), fault.kind, fault.reason, fault.masked, policy)


class TrackingPlan(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, dict=True):
    """``tracking-plan.yaml``: which events and traits a project expects.

    Attributes:
        standard: Events of the Segment spec that are declared besides; an event of one's own takes their place.
        events: Track event name -> what it carries.
        traits: Trait name -> type of an identify's traits, the short form of `identify`.
        identify: What an identify's traits are; a wrong one is left out unless `violation` says otherwise.
        group: What a group's traits are; a wrong one is left out unless `violation` says otherwise.
        unknown_events: What happens to a track event that is not declared.
        unknown: What happens to a property that is not declared, unless its event says otherwise.
        violation: What happens where a property is missing or wrong, unless its event says otherwise.
        violation_events: Tell the log, at most once per source and minute, in a ``Violation Generated`` event. Rules
            can then see it; a person stands for each such source.
    """

    standard: tuple[Standard, ...] = ()
    events: Mapping[str, EventPlan] = {}
    traits: Mapping[str, ValueType] = {}
    identify: EventPlan | None = None
    group: EventPlan | None = None
    unknown_events: Literal["allow", "quarantine", "block"] = "allow"
    unknown: Policy = "allow"
    violation: Policy = "block"
    violation_events: bool = False

    @cached_property
    def declared(self) -> Mapping[str, EventPlan]:
        """All declared track events: the project's own and the standard ones that it takes."""
        found: dict[str, EventPlan] = {}
        for name in self.standard:
            for event, one in STANDARD[name].items():
                found[event] = EventPlan(properties=one.properties, required=one.required)
        return found | dict(self.events)

    @cached_property
    def _checks(self) -> Mapping[str, Check]:
        return {
            name: Check(event, "properties", unknown=self.unknown, violation=self.violation)
            for name, event in self.declared.items()
        }

    @cached_property
    def _identify(self) -> Check | None:
        plan = self.identify or EventPlan()
        if plan.schema is None and self.traits:
            plan = msgspec.structs.replace(plan, properties={**self.traits, **plan.properties})
        if self.identify is None and not self.traits:
            return None
        return Check(plan, "traits", unknown="allow", violation="drop")

    @cached_property
    def _group(self) -> Check | None:
        return Check(self.group, "traits", unknown="allow", violation="drop") if self.group else None

    def types(self) -> Declared:
        """The declared types, as the rule language takes them: text that is an instant or a date is read as one."""
        return Declared(
            traits=self.trait_types(), properties={name: dict(event.types()) for name, event in self.declared.items()}
        )

    def trait_types(self) -> dict[str, ValueType]:
        """Dotted trait of a person -> declared type."""
        return {**self.traits, **(self.identify.types() if self.identify else {})}

    def trait_names(self) -> set[str]:
        """The declared traits of a person, without what is inside them."""
        return {*self.traits, *(self.identify.names() if self.identify else ())}

    def property_types(self, event: str) -> dict[str, ValueType]:
        """Dotted property -> declared type; empty for an event that is not declared."""
        return self.declared[event].types() if event in self.declared else {}

    def open_event(self, event: str) -> bool:
        """Whether properties that are not declared are kept."""
        plan = self.declared[event]
        return (plan.unknown or self.unknown) == "allow" and (plan.schema or {}).get(
            "additionalProperties"
        ) is not False

    def places(self) -> list[tuple[tuple[str, ...], EventPlan]]:
        """What the project itself declares of events and traits, each with its place in the file."""
        found = [(("events", name), event) for name, event in self.events.items()]
        own: list[tuple[tuple[str, ...], EventPlan | None]] = [(("identify",), self.identify), (("group",), self.group)]
        return [*found, *((at, plan) for at, plan in own if plan is not None)]

    def check(self) -> list[Issue]:
        """Faults that types cannot tell, beside those of each of `places`."""
        if not self.traits or self.identify is None or self.identify.schema is None:
            return []
        message = "the schema of identify tells all traits itself"
        return [Issue(path="traits", message=message, hint="move them into the schema")]

    def fits(self, event: str, properties: dict[str, Any], money: AbstractSet[str] = frozenset()) -> bool:
        """Whether a track event, before sealing, is as planned.

        `money`, here and below: amounts beside which the normaliser keeps what was sent; it lets nobody else do so.
        """
        check = self._checks.get(event)
        return check.fits(properties, money) if check is not None else self.unknown_events == "allow"

    def check_event(
        self,
        event: str,
        properties: dict[str, Any],
        hints: Hints | None = None,
        money: AbstractSet[str] = frozenset(),
    ) -> list[Violation]:
        """How a track event, before sealing, differs from the plan; empty if it does not. `hints` are the request's."""
        hints = hints or Hints()
        check = self._checks.get(event)
        if check is not None:
            return check.violations(properties, hints, money)
        if self.unknown_events == "allow":
            return []
        masked = "not in the tracking plan"
        reason = f"{event!r} is {masked}; {hints.nearest(event, self.declared)}".rstrip("; ")
        return [Violation(("event",), "event", reason, masked, self.unknown_events)]

    def check_traits(
        self, traits: dict[str, Any], hints: Hints | None = None, money: AbstractSet[str] = frozenset()
    ) -> list[Violation]:
        """How an identify's traits differ from the plan."""
        return self._identify.violations(traits, hints or Hints(), money) if self._identify else []

    def check_group(
        self, traits: dict[str, Any], hints: Hints | None = None, money: AbstractSet[str] = frozenset()
    ) -> list[Violation]:
        """How a group's traits differ from the plan."""
        return self._group.violations(traits, hints or Hints(), money) if self._group else []


def undeclared(path: str, required: tuple[str, ...], declared: Mapping[str, Any]) -> list[Issue]:
    """Required names that are not declared."""
    return [
        Issue(path=path, message=f"{name!r} is required but not declared", hint=nearest(name, declared))
        for name in required
        if name not in declared
    ]


def without(data: dict[str, Any], *paths: Sequence[str | int]) -> dict[str, Any]:
    """`data` without the named fields at `paths` or, where an element of a list is meant, without the list's field.

    `data` itself stays as it was; a path that leads nowhere changes nothing. One copy, however many paths there are.
    """
    tree: dict[str | int, Any] = {}  # step -> tree of what goes inside it; an empty one: the field itself goes
    for path in sorted(map(_to_a_name, paths), key=len, reverse=True):  # so that a field goes before what is inside it
        node = tree
        for step in path[:-1]:
            node = node.setdefault(step, {})
        if path:
            node[path[-1]] = {}
    copy: Any = _without(data, tree) if tree else data
    return copy if isinstance(copy, dict) else data


def _to_a_name(path: Sequence[str | int]) -> list[str | int]:
    names = list(path)
    while names and not isinstance(names[-1], str):
        names.pop()
    return names


def _without(value: Any, tree: dict[str | int, Any]) -> Any:
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if tree.get(key) != {}}
        return {key: _without(each, tree[key]) if key in tree else each for key, each in kept.items()}
    if isinstance(value, list):
        return [_without(each, tree[place]) if place in tree else each for place, each in enumerate(value)]
    return value
