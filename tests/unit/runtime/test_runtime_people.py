"""What of a plan changes segments, and its rules in terms of the version in force."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from engine_world import STORY, defined, fold, records

from mailwright.core.events import Body
from mailwright.core.previews import Count
from mailwright.rules.syntax import to_json
from mailwright.runtime.engine import reads
from mailwright.runtime.project.load import Project, load_project
from mailwright.runtime.project.people import needing, segment_changes, whole_rule

OLD = {
    "mailwright.toml": '[project]\nname = "Shop"\ntime_zone = "UTC"\n',
    "attributes.yaml": "orders: {title: Orders, value: count of 'Order Completed'}\n",
    "segments.yaml": (
        "customers: {title: Customers, rule: orders >= 1}\n"
        "recent: {title: Recent, rule: did 'Order Completed' within 3 days}\n"
        "long: {title: Long, rule: has been in segment customers for 1 day}\n"
        "same: {title: Same, rule: did 'Product Viewed'}\n"
        "gone: {title: Gone, rule: in segment same}\n"
    ),
}
NEW = OLD | {
    "attributes.yaml": "orders: {title: Orders, value: count of 'Order Completed' within 400 days}\n",
    "segments.yaml": (
        "customers: {title: Customers, rule: orders >= 2}\n"
        "recent: {title: Recent, rule: did 'Order Completed' within 3 days}\n"
        "long: {title: Long, rule: has been in segment customers for 1 day}\n"
        "same: {title: Now with another title, rule: did 'Product Viewed'}\n"
        "fresh: {title: Fresh, rule: in segment customers and in segment recent}\n"
        "later: {title: Later, rule: has been in segment fresh for 1 day}\n"
    ),
}


@pytest.fixture(scope="module")
def projects() -> tuple[Project, Project]:
    return load_project(OLD), load_project(NEW)


def test_what_changes_is_told_by_meaning(projects: tuple[Project, Project]) -> None:
    assert segment_changes(*projects) == {
        "customers": "changed",
        "long": "changed",
        "fresh": "added",
        "later": "added",
        "gone": "removed",
    }


def test_what_needs_a_segment_is_named(projects: tuple[Project, Project]) -> None:
    assert needing(projects[0], "same") == ["segment gone"]
    assert needing(projects[0], "gone") == []


@pytest.mark.parametrize("name", ["customers", "long", "fresh", "later"])
def test_a_planned_rule_holds_for_those_whom_applying_it_would_let_in(
    projects: tuple[Project, Project], name: str
) -> None:
    """Previewed in the old version, then applied: the same people, but for leaves that are not live before."""
    new = NEW | {"attributes.yaml": OLD["attributes.yaml"]}
    story: list[tuple[float, Body]] = [(days, body) for days, body in STORY if days < 9]
    story[0] = (0, defined(OLD))
    state, _ = fold(records(story))
    found = reads.preview(state, to_json(whole_rule(load_project(OLD), load_project(new), name)), name, 10)
    assert found.exact
    before = set(reads.members(state, name, None, 100)) if name in OLD["segments.yaml"] else set()
    story_after = [*story, (2.2, defined(new, 2)), (2.2, story[-1][1])]
    after, _ = fold(records(story_after))
    assert after.version == 2
    inside = set(reads.members(after, name, None, 100))
    assert found.size == Count.of(len(inside))
    assert set(found.sample) == inside
    assert found.entering == Count.of(len(inside - before))
    assert found.leaving == Count.of(len(before - inside))
