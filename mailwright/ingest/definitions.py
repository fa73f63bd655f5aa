"""What a project declares about incoming data: catalogs and the tracking plan."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from mailwright.core.errors import InvalidInput, Issue, nearest
from mailwright.core.instants import parse_iso
from mailwright.rules.kinds import Declared
from mailwright.rules.values import as_date

ValueType = Literal["text", "number", "boolean", "instant", "date", "list", "object"]
FactType = Literal["text", "number", "boolean", "instant", "list"]
_Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class CatalogDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A catalog of ``catalog.yaml``, under its name.

    Attributes:
        title: What pages call it.
        facts: Name of a fact -> type. An instant is ISO 8601 text.
        required: Facts that every version of an item must have, such as its price.
    """

    title: _Title
    facts: Mapping[str, FactType]
    required: tuple[str, ...] = ()
    description: str = ""

    def check(self, path: str) -> list[Issue]:
        """Faults that types cannot tell; `path` is where the catalog is declared."""
        return _undeclared(f"{path}.required", self.required, self.facts)


class Violation(NamedTuple):
    """A field that is not as the plan says; `refuse`: the event is refused, else the field alone is left out."""

    field: str
    reason: str
    refuse: bool


class EventPlan(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a track event carries.

    Attributes:
        properties: Name -> type; a property that is null counts as not sent.
        required: Properties that must be sent.
        unknown: What happens to a property that is not declared: kept, left out, or the event is refused.
    """

    properties: Mapping[str, ValueType] = {}
    required: tuple[str, ...] = ()
    unknown: Literal["allow", "drop", "refuse"] = "allow"
    description: str = ""

    def violations(self, properties: Mapping[str, Any]) -> list[Violation]:
        """How `properties` differ from the plan."""
        found = [
            Violation(f"properties.{name}", "required by the tracking plan, but missing", True)
            for name in self.required
            if properties.get(name) is None
        ]
        for name, value in properties.items():
            declared = self.properties.get(name)
            if declared is None:
                if self.unknown != "allow":
                    found.append(self._unknown(name))
            elif value is not None and not is_a(declared, value):
                found.append(Violation(f"properties.{name}", wrong_type(declared, value), True))
        return found

    def _unknown(self, name: str) -> Violation:
        reason = f"not in the tracking plan; {nearest(name, self.properties)}".rstrip("; ")
        return Violation(f"properties.{name}", reason, self.unknown == "refuse")


class TrackingPlan(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """``tracking-plan.yaml``: which events and traits a project expects.

    Attributes:
        events: Track event name -> what it carries.
        traits: Trait name -> type; others are let in as they are.
        unknown_events: What happens to a track event that is not declared.
    """

    events: Mapping[str, EventPlan] = {}
    traits: Mapping[str, ValueType] = {}
    unknown_events: Literal["allow", "refuse"] = "allow"

    def types(self) -> Declared:
        """The declared types, as the rule language takes them: text that is an instant or a date is read as one."""
        return Declared(
            traits=dict(self.traits), properties={name: dict(event.properties) for name, event in self.events.items()}
        )

    def check(self, path: str) -> list[Issue]:
        """Faults that types cannot tell: a required property that is not declared."""
        return [
            issue
            for name, event in self.events.items()
            for issue in _undeclared(f"{path}: events.{name}.required", event.required, event.properties)
        ]

    def check_event(self, name: str, properties: Mapping[str, Any]) -> list[Violation]:
        """How a track event, before sealing, differs from the plan; empty if it does not."""
        plan = self.events.get(name)
        if plan is not None:
            return plan.violations(properties)
        if self.unknown_events == "allow":
            return []
        return [Violation("event", f"{name!r} is not in the tracking plan; {nearest(name, self.events)}", True)]

    def check_traits(self, traits: Mapping[str, Any]) -> list[Violation]:
        """Traits of a wrong type: they are left out, and the rest of the identify is taken."""
        return [
            Violation(f"traits.{name}", wrong_type(declared, traits[name]), False)
            for name, declared in self.traits.items()
            if traits.get(name) is not None and not is_a(declared, traits[name])
        ]


def is_a(declared: ValueType, value: Any) -> bool:
    """Whether a JSON value has a declared type. Nothing is converted: ``'1'`` is no number."""
    match declared:
        case "text":
            return isinstance(value, str)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "list":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "instant":
            return isinstance(value, str) and _is_instant(value)
        case "date":
            return isinstance(value, str) and as_date(value, UTC) is not None


def wrong_type(declared: ValueType, value: Any) -> str:
    """In words, what is wrong with a value that is not of the declared type."""
    shown = msgspec.json.encode(value).decode()
    hint = {"instant": "; write it like 2026-11-22T09:30:00Z", "date": "; write it like 2026-11-22"}.get(declared, "")
    return f"{shown[:60]}{'...' if len(shown) > 60 else ''} is no {declared}{hint}"


def _is_instant(text: str) -> bool:
    try:
        parse_iso(text)
    except InvalidInput:
        return False
    return True


def _undeclared(path: str, required: tuple[str, ...], declared: Mapping[str, Any]) -> list[Issue]:
    return [
        Issue(path=path, message=f"{name!r} is required but not declared", hint=nearest(name, declared))
        for name in required
        if name not in declared
    ]
