"""The definitions as the door and the pages see them, over real Records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from seeded_definitions import START
from seeded_engine import StandingClock

from mailwright.core.instants import Instant
from mailwright.core.ports import DefinitionVersion
from mailwright.stores.records_sql import SqlRecords
from mailwright.web.project import LOOK_EVERY_MICROS, CurrentProject

ATTRIBUTES = """
orders: {title: Orders, value: "count of 'Order Completed'"}
last_order: {title: Since the last order, value: "time since last 'Order Completed'"}
first_order: {title: First order, value: "first 'Order Completed'"}
"""
SEGMENTS = '{name}: {{title: {title}, rule: "orders >= 3"}}\n'
CAMPAIGN = """
title: Weekly offers
audience: in segment loyal
purpose: marketing
schedule: {every: week, on: monday, at: "09:00"}
send_by: 12 hours
mail: {template: weekly}
"""


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqlRecords]:
    with SqlRecords.open(tmp_path / "records.sqlite") as opened:
        yield opened


def _apply(records: SqlRecords, version: int, segment: str) -> None:
    files = {
        "attributes.yaml": ATTRIBUTES,
        "segments.yaml": SEGMENTS.format(name=segment, title=segment.title()),
        "campaigns/weekly.yaml": CAMPAIGN.replace("loyal", segment),
        "templates/weekly.mjml": "---\nsubject: Hello\n---\n<mjml><mj-body></mj-body></mjml>\n",
    }
    records.definitions.store(DefinitionVersion(version=version, applied_at=START, digest="d", files=files))


def test_before_the_first_apply_there_is_nothing(records: SqlRecords) -> None:
    project = CurrentProject(records.definitions, StandingClock(START))
    assert dict(project.segments) == {}
    assert dict(project.campaigns) == {}


def test_a_new_version_is_seen_within_a_second(records: SqlRecords) -> None:
    clock = StandingClock(START)
    _apply(records, 1, "loyal")
    project = CurrentProject(records.definitions, clock)
    assert list(project.segments) == ["loyal"]
    _apply(records, 2, "champions")
    clock.at = Instant(clock.at + LOOK_EVERY_MICROS - 1)
    assert list(project.segments) == ["loyal"]
    clock.at = Instant(clock.at + 1)
    assert list(project.segments) == ["champions"]
    assert project.segments["champions"].text == "orders >= 3"


def test_attributes_tell_their_kind(records: SqlRecords) -> None:
    _apply(records, 1, "loyal")
    project = CurrentProject(records.definitions, StandingClock(START))
    kinds = {name: one.kind for name, one in project.attributes.items()}
    assert kinds == {"orders": "number", "last_order": "duration", "first_order": "instant"}


def test_campaigns_have_their_title_and_file(records: SqlRecords) -> None:
    _apply(records, 1, "loyal")
    found = CurrentProject(records.definitions, StandingClock(START)).campaigns["weekly"]
    assert found.title == "Weekly offers"
    assert "audience: in segment loyal" in found.text
