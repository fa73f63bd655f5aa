"""Archived people: campaigns leave them out."""

from __future__ import annotations

from pathlib import Path

from mailwright.core.instants import DAY
from mailwright.runtime.material import conditions, plans
from mailwright.runtime.project import starter
from mailwright.runtime.project.load import load_project

TEMPLATE = Path(starter.__file__).parent / "templates" / "news.mjml"
CAMPAIGN = """\
title: Weekly
audience: everyone
schedule: {every: day, at: "09:00"}
mail: {template: weekly}
"""


def test_campaigns_leave_archived_people_out_unless_they_say_otherwise() -> None:
    files = {
        "quality.yaml": "audit: {archive_after: 10 days}\n",
        "campaigns/weekly.yaml": CAMPAIGN,
        "campaigns/all.yaml": CAMPAIGN + "archived: true\n",
        "templates/weekly.mjml": TEMPLATE.read_text(),
    }
    found = {origin: plan.audience for (origin, _), plan in plans(load_project(files)).items()}
    assert (found["campaign:weekly"].archived, found["campaign:weekly"].unseen_micros) == ("list:archived", 10 * DAY)
    assert found["campaign:all"].archived is None
    assert conditions(load_project(files))["list:archived"].rule == "in list archived"
    undeclared = load_project({**files, "quality.yaml": "{}\n"})
    assert {plan.audience.archived for plan in plans(undeclared).values()} == {None}
    assert "list:archived" not in undeclared.conditions
