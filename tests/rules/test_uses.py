"""What a rule reads, for the data map."""

from __future__ import annotations

import pytest

from mailwright.rules.parse import parse
from mailwright.rules.uses import uses_of


@pytest.mark.parametrize(
    ("rule", "events", "properties", "traits", "context"),
    [
        ("trait country = 'DE'", set(), set(), {"country"}, set()),
        ("trait address.city = 'Graz'", set(), set(), {"address"}, set()),
        ("age > 30", set(), set(), {"birthday"}, set()),
        (
            "did 'Order Completed' where total > 10 within 30 days",
            {"Order Completed"},
            {("Order Completed", "total")},
            set(),
            set(),
        ),
        (
            "sum of 'Order Completed'.total > 5 and trait vip = true",
            {"Order Completed"},
            {("Order Completed", "total")},
            {"vip"},
            set(),
        ),
        ("context geo.city = 'New York'", set(), set(), set(), {"geo.city"}),
        (
            "score {'Product Viewed': 1, 'Product Added': 3} > 5",
            {"Product Viewed", "Product Added"},
            set(),
            set(),
            set(),
        ),
        ("in segment vip", set(), set(), set(), set()),
    ],
)
def test_what_a_rule_reads(
    rule: str, events: set[str], properties: set[tuple[str, str]], traits: set[str], context: set[str]
) -> None:
    found = uses_of(parse(rule))
    assert (found.events, found.properties, found.traits, found.context) == (events, properties, traits, context)
