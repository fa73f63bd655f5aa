"""A rule taken apart, as a tree that a narrow terminal can show."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import Any

import msgspec
from rich.text import Text
from rich.tree import Tree

from mailwright.core.events import Event
from mailwright.core.instants import Instant, iso_or_none, to_datetime
from mailwright.rules.why import Why
from mailwright.runtime.rehearsal.person import PersonWhy

_SHOWN = 3
"""Properties of an event that a line names at most."""

Plain = Callable[[Any], bool]


def local(at: Instant, zone: tzinfo) -> str:
    """An instant in the shop's zone, to the second."""
    return to_datetime(at).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def why_tree(why: Why, zone: tzinfo) -> Tree:
    """The tree of a rule: one branch per part, one line per event behind it."""
    tree = Tree(_label(why, zone), guide_style="dim")
    _grow(tree, why, zone)
    return tree


def _grow(tree: Tree, why: Why, zone: tzinfo) -> None:
    hidden = why.n_events - len(why.events)
    if hidden:
        tree.add(Text(f"{hidden:,} older {'event' if hidden == 1 else 'events'}", style="dim"))
    for _, event in why.events:
        tree.add(_event(event, zone))
    for part in why.parts:
        _grow(tree.add(_label(part, zone)), part, zone)


def _label(why: Why, zone: tzinfo) -> Text:
    label = Text()
    if why.holds is None:
        label.append(why.text).append(" is ", style="dim").append(_short(why.value), style="bold")
        return label
    label.append("yes " if why.holds else "no  ", style="bold green" if why.holds else "bold red").append(why.text)
    if why.changes_at is not None:
        label.append(f" — until {local(why.changes_at, zone)}", style="cyan")
    elif not why.foreseen:
        label.append(" — may change at any time", style="cyan")
    return label


def _event(event: Event, zone: tzinfo) -> Text:
    line = Text(f"{local(event.stamp_at, zone)} ", style="dim").append(event.name or event.type, style="default")
    told = event.properties or event.traits
    shown = [f"{name}={_short(value)}" for name, value in list(told.items())[:_SHOWN]]
    more = len(told) - len(shown)
    if shown:
        line.append(f" ({', '.join(shown)}{f', and {more} more' if more > 0 else ''})")
    return line


def _short(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, dict) and "sealed" in value:
        return "(sealed)"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 40 else f"{text[:39]}…"


def why_json(found: PersonWhy) -> dict[str, Any]:
    """The same as plain data."""
    return {"person": found.person, "identifier": found.first_identifier, "why": _part(found.why)}


def _part(why: Why) -> dict[str, Any]:
    told: dict[str, Any] = {"rule": why.text}
    if why.holds is None:
        told["value"] = why.value
    else:
        told |= {"holds": why.holds, "changes_at": iso_or_none(why.changes_at), "foreseen": why.foreseen}
    if why.n_events:
        told |= {"n_events": why.n_events, "events": [_told(offset, event) for offset, event in why.events]}
    return told | ({"parts": [_part(part) for part in why.parts]} if why.parts else {})


def _told(offset: int, event: Event) -> dict[str, Any]:
    what = {"properties": event.properties} if event.properties else {}
    what |= {"traits": event.traits} if event.traits else {}
    return {"offset": offset, "stamp_at": iso_or_none(event.stamp_at), "name": event.name or event.type, **what}
