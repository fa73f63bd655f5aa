"""One person asked by the interpreter and by the fold at once, for the worked cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from lang_world import NEW_YORK, NOW, ago, shop, value

from mailwright.core.events import Event, Offset, Person
from mailwright.core.instants import DAY, Instant
from mailwright.rules.fold import Arrival, Fold, Rules
from mailwright.rules.parse import parse
from mailwright.rules.show import show
from mailwright.rules.syntax import Expression
from mailwright.rules.values import plain

ME = "user_id:1"
Texts = Mapping[str, "str | Expression"]


def _read(texts: Texts | None) -> dict[str, Expression]:
    return {name: parse(text) if isinstance(text, str) else text for name, text in (texts or {}).items()}


def _fold(rule: str, events: tuple[Event, ...], attributes: Texts | None, segments: Texts | None) -> Fold:
    rules = Rules(
        attributes=_read(attributes) | {"it": parse(rule)},
        segments=_read(segments) | {"it_is": parse(rule)},
        conditions={},
        zone=NEW_YORK,
        lists={"press": frozenset({ME})},
    )
    fold = Fold(rules, shop())
    fold.ingest([Arrival(Offset(place), Person(0), each) for place, each in enumerate(events)])
    return fold


def told(
    rule: str, *events: Event, t: str | Instant = NOW, attributes: Texts | None = None, segments: Texts | None = None
) -> Any:
    """What a rule says at `t`, JSON-shaped: of the interpreter, a fold ticked once, and one ticked at each event."""
    at = ago(t) if isinstance(t, str) else t
    shown = {name: text if isinstance(text, str) else show(text) for name, text in (attributes or {}).items()}
    said = {name: text if isinstance(text, str) else show(text) for name, text in (segments or {}).items()}
    meant = plain(value(rule, *events, t=at, attributes=shown, segments=said, lists=["press"], first_identifier=ME))
    stamps = sorted({each.stamp_at for each in events if each.stamp_at < at} | {Instant(at - DAY)})
    for ticks in ([at], [*stamps, at]):
        fold = _fold(rule, events, attributes, segments)
        for tick in ticks:
            fold.tick(tick, [ME])
        found = fold.attribute("it", [Person(0)])[0]
        assert found == (pytest.approx(meant, rel=1e-9) if isinstance(meant, float) else meant), rule
        assert bool(fold.members("it_is")[0]) is (meant is True)
    return meant


def turns(
    rule: str, *events: Event, at: str | Instant, attributes: Texts | None = None, segments: Texts | None = None
) -> bool:
    """What the rule becomes at `at`, by time alone; a microsecond before it is the opposite, and the fold knows."""
    edge = ago(at) if isinstance(at, str) else at
    before = Instant(edge - 1)
    was, now = (told(rule, *events, t=t, attributes=attributes, segments=segments) for t in (before, edge))
    assert {was, now} == {True, False}, (rule, was, now)
    fold = _fold(rule, events, attributes, segments)
    fold.tick(before, [ME])
    due = fold.next_due()
    assert due is not None
    assert due <= edge
    changes = [change for change in fold.tick(edge, [ME]) if change.segment == "it_is"]
    assert [(change.entered, change.cause) for change in changes] == [(now, "time")]
    return bool(now)
