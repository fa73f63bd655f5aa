"""An example of every node of the rule language; each must parse to a tree that holds the node."""

from __future__ import annotations

from mailwright.rules import syntax as s

SHORT: dict[str, tuple[str, ...]] = {
    "Mails, without what machines open and follow by themselves": (
        "opened any mail within 30 days",
        "clicked campaign 'spring' at least 2 times",
        "received journey 'win_back' and not opened journey 'win_back'",
        "open rate over last 5 mails > 50%",
        "click rate over last 10 mails",
    ),
    "Engagement: points per action, fading, on 0 to 100": (
        "engagement {opened: 1, clicked: 2, 'Order Completed': 5} half-life 30 days scaled to 0..100 by 20 > 70",
    ),
    "A cart left behind: true from the deadline until something is ordered or added; each cart by itself with `by`": (
        "abandoned a cart",
        "abandoned a cart by cart_id after 45 minutes within 7 days",
    ),
    "Affinity: the share, 0 to 1, of one value in all that a person did; without any such action missing": (
        "affinity to 'Shoes' by category over {'Product Viewed': 1, 'Product Added': 3} half-life 30 days > 0.5",
        "affinity to 'google' by context.traffic_source over {any page: 1} half-life 90 days",
    ),
    "Rising interest: the recent affinity minus the long-run one, -1 to 1": (
        "rising interest in 'Shoes' by category over {'Product Viewed': 1} half-life 7 days against 90 days > 0.2",
    ),
    "Lifetime value to date": ("lifetime value >= 500",),
}
"""Short ways of saying things, by what they are about."""

EXAMPLES: dict[type[s.Node], tuple[str, ...]] = {
    s.Within: ("did 'Order Completed' within 30 days",),
    s.Between: (
        "did 'Order Completed' between 2026-11-01 and 2026-11-30",
        "did 'Order Completed' on 2026-11-27",
        "did 'Order Completed' in month 2026-11",
    ),
    s.Calendar: ("did 'Order Completed' today", "sum of 'Order Completed'.total this month"),
    s.Constant: (
        "trait city = 'Paris'",
        "trait visits >= 2.5",
        "trait member = true",
        "date of trait signup > 2026-01-31",
        "first 'Order Completed' > 2026-01-31T08:00:00Z",
        "time since last 'Order Completed' < 7 days",
    ),
    s.Property: (
        "did 'Order Completed' where total >= 100",
        "did 'Order Completed' where products.product.department = 'Produce'",
    ),
    s.Trait: ("trait email.domain = 'example.com'",),
    s.Attribute: ("spend_90d >= 1000", "attribute spend_90d >= 1000"),
    s.Age: ("age between 25 and 34",),
    s.Aggregate: (
        "count of 'Order Completed' within 90 days",
        "sum of 'Order Completed'.total where (currency = 'EUR') within 90 days",
        "most frequent of 'Order Completed'.products.product.department",
        "first 'Order Completed'",
    ),
    s.TimeSince: ("time since last 'Order Completed' where total > 50",),
    s.LastDistinct: ("last 20 distinct of 'Order Completed'.products.product_id",),
    s.ListOf: ("list of 'Product Added'.product_id removed by 'Product Removed' cleared by 'Order Completed'",),
    s.Rate: ("rate of 'Email Link Clicked' over last 10 'Email Sent' by message_id where machine = false",),
    s.Score: ("score {'Email Opened': 1, 'Order Completed': 5} half-life 30 days scaled to 0..100 by 40",),
    s.Session: ("count of sessions with gap 30 minutes", "pages of last session with gap 30 minutes"),
    s.ContextFact: ("geo.city = 'Berlin'", "traffic source = 'newsletter'"),
    s.LocalTime: ("local hour between 8 and 20", "local weekday = 1"),
    s.Case: ("case when orders >= 10 then 'regular' when orders >= 1 then 'customer' else 'visitor' end",),
    s.AsTime: ("date of trait signup >= 2026-01-01", "instant of trait trial_ends < 2026-12-01T00:00:00Z"),
    s.Arithmetic: ("spend / orders > 50", "sum of 'Order Completed'.total - sum of 'Order Refunded'.total"),
    s.Compare: ("spend_90d > 100", "trait city starts with 'San'", "trait sku matches '^A[0-9]+$'"),
    s.BetweenValues: ("orders between 2 and 5",),
    s.In: ("trait city in ('Paris', 'Lyon')",),
    s.IsKnown: ("trait birthday is known", "trait birthday is missing"),
    s.Did: (
        "did 'Order Completed' at least 2 times within 60 days",
        "not did 'Order Completed' within 21 days",
    ),
    s.AnyOf: ("did 'Order Completed' where any of products (price > 50 and quantity >= 2)",),
    s.Step: ("did 'Checkout Started' then no 'Order Completed' within 1 hour",),
    s.Sequence: (
        "did 'Product Viewed' then 'Product Added' within 1 day then no 'Order Completed' within 2 hours, "
        "same product_id, completed within 7 days",
    ),
    s.InSegment: ("in segment high_spenders", "has been in segment high_spenders for 30 days"),
    s.InList: ("in list press",),
    s.Anniversary: ("anniversary of birthday is within next 7 days", "anniversary of date of trait signup is today"),
    s.RandomBucket: ("random bucket 'holdout-2026' < 10%",),
    s.And: ("orders >= 1 and trait city = 'Paris'",),
    s.Or: ("in segment champions or in segment loyal",),
    s.Not: ("not in segment dormant",),
    s.Always: ("everyone",),
}
