"""What a tracking plan says of the names and types in rules."""

from __future__ import annotations

import pytest

from mailwright.core.errors import InvalidInput
from mailwright.rules.show import show
from mailwright.runtime.project.load import Project, load_project

PLAN = """
events:
  Order Completed:
    properties: {total: number, products: list, delivered_at: instant, due: date}
    unknown: UNKNOWN
traits: {renewal: instant, birthday: date, visits: number}
unknown_events: EVENTS
"""


def project(rule: str, *, events: str = "allow", unknown: str = "allow", value: str = "trait renewal") -> Project:
    return load_project(
        {
            "tracking-plan.yaml": PLAN.replace("UNKNOWN", unknown).replace("EVENTS", events),
            "attributes.yaml": f"renewal:\n  title: Renewal\n  value: {value}\n",
            "segments.yaml": f"it:\n  title: It\n  rule: >\n    {rule}\n",
        }
    )


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("did 'Order Complete'", "did you mean 'Order Completed'?"),
        ("sum of 'Order Completed'.totl > 5", "did you mean 'total'?"),
        ("did 'Order Completed' where (totl > 5)", "did you mean 'total'?"),
        ("trait renewall is known", "did you mean 'renewal'?"),
        ("trait visits = 'many'", "by the tracking plan this can never be true"),
        ("did 'Order Completed' where (total contains 'x')", "by the tracking plan this can never be true"),
        ("last of 'Order Completed'.total = 'x'", "by the tracking plan this can never be true"),
    ],
)
def test_likely_slips_are_told_with_their_place(rule: str, said: str) -> None:
    made = project(rule)
    (warning,) = made.warnings
    assert said in str(warning)
    assert warning.path == "segments.yaml"
    assert warning.span is not None
    assert warning.span.line == 4


@pytest.mark.parametrize(
    "rule",
    [
        "did 'Something Else' and did 'Email Opened' and trait other = 5",
        "did 'Order Completed' where (anything = 5 and products.price > 3)",
        "trait renewal starts with '2026-' or trait renewal = '2026-01-01'",
        "did 'Order Completed' where (delivered_at > 2026-01-01)",
    ],
)
def test_what_may_come_is_no_slip(rule: str) -> None:
    assert project(rule).warnings == ()


@pytest.mark.parametrize(
    ("rule", "closed", "said"),
    [
        ("did 'Nothing Alike'", {"events": "block"}, "the tracking plan has no event 'Nothing Alike'"),
        ("did 'Order Completed' where (zzz = 1)", {"unknown": "drop"}, "no property 'zzz' of 'Order Completed'"),
        ("count of 'Order Completed'.zzz > 1", {"unknown": "block"}, "no property 'zzz' of 'Order Completed'"),
    ],
)
def test_a_closed_plan_makes_them_faults(rule: str, closed: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        project(rule, **closed)
    assert said in str(caught.value)
    assert project("did 'Email Opened' and did any page", events="block").warnings == ()


@pytest.mark.parametrize(
    ("rule", "becomes"),
    [
        ("trait renewal > 2026-01-31", "instant of trait renewal > 2026-01-31"),
        (
            "trait birthday between 1990-01-01 and 1999-12-31",
            "date of trait birthday between 1990-01-01 and 1999-12-31",
        ),
        ("trait renewal = '2026-01-31'", "trait renewal = '2026-01-31'"),
        (
            "did 'Order Completed' where (due < 2026-02-01 and delivered_at > 2026-02-01T00:00:00Z)",
            "did 'Order Completed' where (date of due < 2026-02-01 and instant of delivered_at > 2026-02-01T00:00:00Z)",
        ),
        ("last of 'Order Completed'.due < 2026-02-01", "date of last 'Order Completed'.due < 2026-02-01"),
        ("anniversary of birthday is today", "anniversary of birthday is today"),
        ("trait other = 5", "trait other = 5"),
    ],
)
def test_declared_times_are_read_as_time(rule: str, becomes: str) -> None:
    made = project(rule)
    assert show(made.memberships["it"]) == becomes
    assert made.warnings == ()


def test_an_attribute_of_a_declared_time_is_a_time() -> None:
    made = project("renewal > 2026-01-31")
    assert show(made.expressions["renewal"]) == "instant of trait renewal"
    assert made.warnings == ()
    with pytest.raises(InvalidInput, match="renewal is an instant, 5 is a number"):
        project("renewal > 5")
