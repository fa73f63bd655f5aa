"""Sugar on numbers worked out by hand; interpreter and fold alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from cases_world import told, turns
from lang_world import ago, event

from mailwright.core.errors import InvalidInput
from mailwright.rules.parse import parse
from mailwright.rules.show import show
from mailwright.rules.sugar import Intent, Lifecycle, Rfm, cut_points, lower


def mail(kind: str, at: str, number: int = 1, **more: Any) -> Any:
    return event(f"Email {kind}", at, source="mailwright", message_id=f"{kind}{number}:{at}", mail=number, **more)


# --- calculations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("10 - (4 - 3)", 9),
        ("8 / 4 / 2", 1),
        ("7 / 2", 3.5),
        ("0.1 + 0.2", 0.3),  # decimals, not binary fractions
        ("1 / 0", None),
        ("0 / 0", None),
        ("1 + trait nothing", None),
        ("'1' + 1", None),
        ("true + 1", None),
        ("sum of 'O'.total / count of 'O'", 7.5),
        ("sum of 'O'.total / count of 'Other'", None),
        ("1 / 3 * 3 = 1", False),  # 28 digits, no more
    ],
)
def test_calculations(rule: str, expected: Any) -> None:
    assert told(rule, event("O", "2d", total=10), event("O", "1d", total=5)) == expected


def test_a_calculation_follows_its_windows() -> None:
    rule = "sum of 'O'.total within 30 days - sum of 'R'.total > 0"
    assert not turns(rule, event("O", "30d", total=5), event("R", "1d", total=2), at="0s")


# --- mails -----------------------------------------------------------------------------------------------------------


def test_machines_open_nothing() -> None:
    by_hand = mail("Opened", "1d", origin="campaign:spring", machine=False)
    by_machine = mail("Opened", "1d", 2, origin="campaign:spring", machine=True)
    unsaid = mail("Opened", "1d", 3, origin="journey:win_back")
    assert told("opened any mail", by_hand)
    assert not told("opened any mail", by_machine)
    assert told("opened any mail", unsaid)
    assert told("opened any mail at least 2 times within 2 days", by_hand, by_machine, unsaid)
    assert not told("opened any mail at least 3 times", by_hand, by_machine, unsaid)
    assert told("opened campaign 'spring' and not opened campaign 'summer'", by_hand)
    assert not told("opened campaign 'win_back'", unsaid)
    assert told("opened journey 'win_back'", unsaid)
    assert told("opened campaign 'Old news'", mail("Opened", "9d", campaign_name="Old news"))  # another tool's
    assert not turns("opened any mail within 7 days", mail("Opened", "7d"), at="0s")


def test_received_and_clicked() -> None:
    sent, clicked = mail("Sent", "2d", origin="campaign:spring"), mail("Link Clicked", "1d", origin="campaign:spring")
    rule = "received campaign 'spring' and not clicked campaign 'spring'"
    assert told(rule, sent)
    assert not told(rule, sent, clicked)
    assert told("received any mail at most 1 times", sent)


def mails(*opened: bool | None) -> list[Any]:
    """One mail a day, oldest first; None: opened by a machine."""
    found = []
    for place, how in enumerate(opened):
        key, day = f"m{place}", len(opened) - place
        found.append(event("Email Sent", f"{day}d", message_id=f"s{place}", source="mailwright"))
        found[-1] = msgspec.structs.replace(found[-1], properties={"message_id": key})
        if how is not False:
            seen = event("Email Opened", f"{day}d", message_id=f"o{place}", source="mailwright")
            found.append(msgspec.structs.replace(seen, properties={"message_id": key, "machine": how is None}))
    return found


@pytest.mark.parametrize(
    ("opened", "rate"),
    [
        ((), None),
        ((False,), 0),
        ((True, False), 0.5),
        ((True, True, True, False, False), 0.6),
        ((True, True, False, False, False), 0.4),
        ((True, False, False, False, False, False), 0),  # the first is no longer among the last five
        ((None, True, True, False, False), 0.4),
    ],
)
def test_open_rate(opened: tuple[bool | None, ...], rate: float | None) -> None:
    assert told("open rate over last 5 mails", *mails(*opened)) == rate


# --- scores ----------------------------------------------------------------------------------------------------------


def test_engagement() -> None:
    """3 opens + 2 clicks + 1 purchase = 12 (case 21); a half-life later 6; scaled by 12 it is 50 on 0..100."""
    done = [
        *(mail("Opened", "0s", n) for n in range(3)),
        *(mail("Link Clicked", "0s", n) for n in range(2)),
        event("Order Completed", "0s"),
        mail("Opened", "0s", 9, machine=True),
    ]
    points = "engagement {opened: 1, clicked: 2, 'Order Completed': 5}"
    assert told(points, *done) == 12
    assert told(f"{points} scaled to 0..100 by 12", *done) == 50
    older = [msgspec.structs.replace(each, stamp_at=ago("30d"), known_at=ago("30d")) for each in done]
    assert told(f"{points} half-life 30 days", *older) == pytest.approx(6)
    assert told(f"{points} half-life 30 days scaled to 0..100 by 6", *older) == pytest.approx(50)
    assert told(f"{points} scaled to 0..100 by 12") == 0
    with pytest.raises(InvalidInput, match="two numbers of points"):
        parse("engagement {opened: 1, 'Email Opened': 2} > 1")


def viewed(category: Any, at: str, name: str = "Product Viewed") -> Any:
    return event(name, at, category=category)


def test_affinity_is_a_share() -> None:
    """Hats a half-life ago count half: 2 shoes now = 2, 2 hats = 1, one bag added (3 points) now = 3: 2/6, 1/6, 3/6."""
    done = [
        *(viewed("Shoes", "0s") for _ in range(1)),
        event("Product Viewed", "0s", category="Shoes", message_id="again"),
        viewed("Hats", "30d"),
        event("Product Viewed", "30d", category="Hats", message_id="more"),
        viewed("Bags", "0s", "Product Added"),
        viewed(None, "0s"),  # of no category: it is no share of anything
    ]
    over = "by category over {'Product Viewed': 1, 'Product Added': 3} half-life 30 days"
    for category, share in (("Shoes", 2 / 6), ("Hats", 1 / 6), ("Bags", 3 / 6), ("Coats", 0)):
        assert told(f"affinity to '{category}' {over}", *done) == pytest.approx(share, rel=1e-9)
    assert told(f"affinity to 'Shoes' {over}", viewed(None, "1d")) is None
    later = told(f"affinity to 'Shoes' {over}", *done, t=ago("2026-09-01T00:00:00Z"))
    assert later == pytest.approx(2 / 6, rel=1e-9)  # a share stays while nothing happens


def test_affinity_to_a_traffic_source() -> None:
    came = [
        event("", f"{day}d", type="page", context={"traffic_source": source})
        for day, source in ((1, "google"), (2, "newsletter"), (3, "google"), (4, "google"))
    ]
    rule = "affinity to 'google' by context.traffic_source over {any page: 1} half-life 3650 days > 0.7"
    assert told(rule, *came)
    assert not told(rule, *came[:3])


def test_rising_interest() -> None:
    """Shoes long ago, hats now: hats' recent share is above their share in the long run."""
    done = [viewed("Shoes", "80d"), viewed("Shoes", "40d"), viewed("Hats", "1d")]
    over = "by category over {'Product Viewed': 1} half-life 7 days against 90 days"
    recent = [2 ** (-80 / 7), 2 ** (-40 / 7), 2 ** (-1 / 7)]
    long_run = [2 ** (-80 / 90), 2 ** (-40 / 90), 2 ** (-1 / 90)]
    rise = recent[2] / sum(recent) - long_run[2] / sum(long_run)
    assert rise == pytest.approx(0.54134, abs=1e-5)
    assert told(f"rising interest in 'Hats' {over}", *done) == pytest.approx(rise, rel=1e-9)
    assert told(f"rising interest in 'Shoes' {over}", *done) == pytest.approx(-rise, rel=1e-9)
    assert told(f"rising interest in 'Hats' {over} > 0.5", *done)
    assert told(f"rising interest in 'Hats' {over}") is None


def test_lifetime_value() -> None:
    done = [event("Order Completed", "900d", total=120.5), event("Order Completed", "1d", total=30)]
    assert told("lifetime value", *done, event("Order Refunded", "0s", total=20.25)) == 130.25
    assert told("lifetime value") == 0


# --- carts -----------------------------------------------------------------------------------------------------------


def test_an_abandoned_cart() -> None:
    def added(at: str, cart: Any = "c1") -> Any:
        return event("Product Added", at, cart_id=cart)

    def bought(at: str, cart: Any = "c1") -> Any:
        return event("Order Completed", at, cart_id=cart)

    rule = "abandoned a cart"
    assert turns(rule, added("30m"), at="0s")
    assert not told(rule, added("40m"), bought("10m 1s"))  # bought at 29:59
    assert not told(rule, added("40m"), bought("10m"))  # at 30:00 sharp: in time
    assert told(rule, added("40m"), bought("9m 59s"), t="9m 59s 1u")  # at 30:01 it was abandoned ...
    assert not told(rule, added("40m"), bought("9m 59s"))  # ... until that order
    assert turns(rule, added("50m"), added("30m"), at="0s")  # a changed cart begins the wait anew
    assert not told(rule, added("90m"), added("10m"))
    assert turns(rule, added("9h"), bought("8h"), added("30m"), at="0s")
    assert turns("abandoned a cart after 45 minutes", added("45m"), at="0s")
    two = [added("60m", "c1"), bought("50m", "c1"), added("60m", "c2")]
    assert told("abandoned a cart by cart_id", *two)
    assert not told("abandoned a cart by cart_id", *two, bought("10m", "c2"))
    assert not told("abandoned a cart by cart_id", added("60m", None))  # without the key it takes no part
    assert not turns("abandoned a cart within 7 days", added("7d 30m"), at="0s")  # 7 days from when it was abandoned


# --- declared --------------------------------------------------------------------------------------------------------

RFM = {
    "within": "90 days",
    "recency": ["7 days", "21 days"],
    "frequency": [2, 4],
    "monetary": ["100.5", 400],
    "cells": [
        {"cell": "Champions", "recency": 3, "frequency": 3, "monetary": 2},
        {"cell": "Loyal", "recency": 2, "frequency": 2},
    ],
    "otherwise": "Dormant",
}


def orders(*told_of: tuple[str, Any]) -> list[Any]:
    return [event("Order Completed", at, total=total, message_id=f"{at}") for at, total in told_of]


@pytest.mark.parametrize(
    ("done", "scores", "cell"),
    [
        ((), (None, None, None), None),
        ((("100d", 999),), (1, 1, 1), "Dormant"),
        ((("1d", 50), ("2d", 50.5)), (3, 2, 2), "Loyal"),
        ((("1d", 50), ("2d", 50.49)), (3, 2, 1), "Loyal"),
        ((("1d", 100), ("2d", 100), ("3d", 100), ("4d", 99.99)), (3, 3, 2), "Champions"),
        ((("1d", 100), ("2d", 100), ("3d", 100), ("4d", 100)), (3, 3, 3), "Champions"),
        ((("7d", 5), ("8d", 1)), (2, 2, 1), "Loyal"),  # 7 days sharp is no longer less than 7 days
        ((("6d 23h 59m 59s", 5), ("8d", 1)), (3, 2, 1), "Loyal"),
        ((("21d", 5), ("22d", 1)), (1, 2, 1), "Dormant"),
        ((("1d", 1), ("90d", 999)), (3, 1, 1), "Dormant"),  # 90 days sharp are outside the window
    ],
)
def test_rfm(done: tuple[tuple[str, Any], ...], scores: tuple[int | None, ...], cell: str | None) -> None:
    given = lower("rfm", msgspec.convert(RFM, Rfm, strict=False))
    asked = ("rfm_recency", "rfm_frequency", "rfm_monetary", "rfm")
    assert tuple(told(name, *orders(*done), attributes=given) for name in asked) == (*scores, cell)


def test_an_rfm_cell_ends_by_time_alone() -> None:
    given = lower("rfm", msgspec.convert(RFM, Rfm, strict=False))
    assert not turns("rfm = 'Loyal'", *orders(("21d", 5), ("22d", 1)), at="0s", attributes=given)


@pytest.mark.parametrize(
    ("done", "stage"),
    [
        ((), "prospect"),
        (("1d",), "new"),
        (("29d 23h", "1d"), "new"),
        (("30d",), "active"),
        (("30d", "1d"), "active"),
        (("59d 23h",), "active"),
        (("60d",), "at risk"),
        (("119d",), "at risk"),
        (("120d",), "lapsed"),
    ],
)
def test_lifecycle(done: tuple[str, ...], stage: str) -> None:
    given = lower("stage", Lifecycle())
    assert told("stage", *orders(*((at, 1) for at in done)), attributes=given) == stage


def test_lifecycle_moves_with_time() -> None:
    given = lower("stage", Lifecycle())
    for at, stage in (("30d", "active"), ("60d", "at risk"), ("120d", "lapsed")):
        assert turns(f"stage = '{stage}'", *orders((at, 1)), at="0s", attributes=given)


@pytest.mark.parametrize(
    ("seconds", "band"),
    [
        ((), "none"),
        ((5,), "low"),
        ((59,), "low"),
        ((60,), "medium"),  # by dwell
        ((1, 1), "medium"),  # by frequency
        ((299, 0.5), "medium"),
        ((299, 1), "high"),
        ((1, 1, 1, 1), "medium"),
        ((1, 1, 1, 1, 1), "high"),
    ],
)
def test_intent(seconds: tuple[float, ...], band: str) -> None:
    bands = {"high": {"times": 5, "dwell": 300}, "medium": {"times": 2, "dwell": 60}}
    given = lower("intent", msgspec.convert({"dwell": "seconds", **bands}, Intent))
    views = [event("Product Viewed", f"{place}m", seconds=each) for place, each in enumerate(seconds)]
    assert told("intent", *views, event("Product Viewed", "7d", seconds=999), attributes=given) == band


@pytest.mark.parametrize(
    ("kind", "declared", "key", "said"),
    [
        (Rfm, RFM | {"recency": ["7 days", "1 day"]}, "recency", "does not ascend"),
        (Rfm, RFM | {"recency": ["7 dais"]}, "recency", "unknown unit"),
        (Rfm, RFM | {"within": "0 days"}, "within", "no time"),
        (Rfm, RFM | {"frequency": [2, 2]}, "frequency", "does not ascend"),
        (Rfm, RFM | {"monetary": [0, 5]}, "monetary", "without any order"),
        (Rfm, RFM | {"cells": [{"cell": "X", "recency": 4}]}, "cells", "the most is 3"),
        (Rfm, RFM | {"cells": [{"cell": "X"}]}, "cells", "holds everybody"),
        (Lifecycle, {"new": "60 days"}, "active", "not longer than new"),
        (Intent, {"high": {"times": 2}, "medium": {"times": 2}}, "high", "where medium does"),
        (Intent, {"high": {"times": 3, "dwell": 5}, "medium": {"times": 2}}, "high", "of which property"),
    ],
)
def test_declarations_that_do_not_fit(kind: Any, declared: Any, key: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        lower("x", msgspec.convert(declared, kind, strict=False))
    (issue,) = caught.value.issues
    assert issue.path == key
    assert said in str(issue)


@pytest.mark.parametrize("declared", [msgspec.convert(RFM, Rfm, strict=False), Lifecycle()])
def test_what_they_become_can_be_written(declared: Any) -> None:
    for node in lower("x", declared).values():
        assert parse(show(node)) == node


def test_cut_points_are_quantiles_by_nearest_rank() -> None:
    ten = [Decimal(n) for n in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)]
    assert cut_points(ten, 4) == [3, 5, 8]
    assert cut_points(ten, 5) == [2, 4, 6, 8]
    assert cut_points([Decimal(1)] * 99 + [Decimal(7)], 4) == [1]
    assert cut_points([Decimal("0.1")], 2) == [Decimal("0.1")]
    for values, bands in (([], 4), (ten, 1), (ten, 11)):
        with pytest.raises(InvalidInput):
            cut_points(values, bands)
