"""Exports of other systems: change topics, GA4, product feeds, former mail services."""

import io

import pytest

from mailwright.core.errors import InvalidInput
from mailwright.ingest.change_topic import change_of
from mailwright.ingest.drafts import PassedOver
from mailwright.ingest.former_service import SERVICES, former_drafts
from mailwright.ingest.ga4 import Ga4Drafts
from mailwright.ingest.product_feed import price_of, read_feed

# --- change topics ---------------------------------------------------------------------------------------------------

UPDATE = {
    "op": "u",
    "before": {"id": 7, "city": "Ulm"},
    "after": {"id": 7, "city": "Bonn"},
    "ts_ms": 1767225601000,
    "source": {"ts_ms": 1767225600500, "lsn": 24023128, "table": "contacts"},
}


def test_a_change_with_its_envelope_or_without():
    expected = ({"id": 7, "city": "Bonn"}, False, "2026-01-01T00:00:00.500000Z", 24023128)
    assert tuple(change_of(UPDATE)) == expected
    assert tuple(change_of({"schema": {"type": "struct"}, "payload": UPDATE})) == expected
    gone = change_of({**UPDATE, "op": "d", "after": None})
    assert (gone.row, gone.deleted) == ({"id": 7, "city": "Ulm"}, True)
    assert change_of({"schema": None, "payload": None}) is None
    assert change_of({"status": "BEGIN", "id": "571", "ts_ms": 1}) is None


@pytest.mark.parametrize(
    ("source", "position"),
    [
        ({"file": "mysql-bin.000003", "pos": 154, "row": 1}, 3 << 40 | 154 << 8 | 1),
        ({"scn": "2868546"}, 2868546),
        ({"change_lsn": "00000027:00000ac0:0002"}, 0x2700000AC00002),
        ({"ts_ms": 5}, 5),
        ({}, 1767225601000),
        ({"ts_ms": 10**18}, 1767225601000),
        ({"scn": "9" * 5000}, 1767225601000),
        ({"file": "mysql-bin." + "9" * 5000, "pos": 4}, 9 * (10**18 - 1) // 9 << 40 & (1 << 63) - 1 | 4 << 8),
    ],
)
def test_the_place_of_a_change_among_all(source, position):
    assert change_of({**UPDATE, "source": source}).position == position


def test_a_time_that_no_calendar_has_is_none():
    assert change_of({**UPDATE, "source": {"ts_ms": 10**18, "lsn": 5}}).at == "2026-01-01T00:00:01Z"
    assert tuple(change_of({**UPDATE, "source": {}, "ts_ms": 10**18}))[2:] == ("", 0)
    assert change_of({**UPDATE, "source": {"ts_ms": 253_402_300_799_999}}).at == "9999-12-31T23:59:59.999000Z"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"op": "x"}, "op 'x' is none of"),
        ({"op": ["u"]}, "op .* is none of"),
        ({"op": {}}, "op .* is none of"),
        ({"op": "t"}, "TRUNCATE"),
        ({"op": "u", "before": {}}, "after is missing"),
        ({"payload": [1]}, "its payload is no object"),
        ({"id": 1}, "op None"),
    ],
)
def test_what_is_no_change_is_told(told, words):
    with pytest.raises(InvalidInput, match=words):
        change_of(told)


# --- GA4 -------------------------------------------------------------------------------------------------------------


def ga4(name, items=(), **params):
    kinds = {int: "int_value", float: "double_value", str: "string_value"}
    return {
        "event_date": "20260101",
        "event_timestamp": "1767225600000000",
        "event_name": name,
        "user_pseudo_id": "123.456",
        "event_params": [{"key": key, "value": {kinds[type(value)]: value}} for key, value in params.items()],
        "items": list(items),
        "device": {"category": "mobile", "operating_system": "iOS", "language": "de-de"},
        "geo": {"country": "Germany", "city": "(not set)"},
        "traffic_source": {"source": "google", "medium": "cpc"},
    }


MUG = {"item_id": "p1", "item_name": "Mug", "item_category": "Home", "price": 12.5, "quantity": 2}


def calls(row):
    return [draft.body for draft in Ga4Drafts()(1, row)]


def test_shopping_events_of_ga4_are_those_of_the_segment_spec():
    row = ga4("purchase", [MUG], transaction_id="o1", value=25.0, shipping=4.0, tax=1, currency="EUR", ga_session_id=7)
    (order,) = calls(row)
    assert order == {
        "type": "track",
        "event": "Order Completed",
        "messageId": order["messageId"],
        "anonymousId": "123.456",
        "timestamp": "2026-01-01T00:00:00Z",
        "properties": {
            "currency": "EUR",
            "order_id": "o1",
            "revenue": 25.0,
            "total": 30.0,
            "shipping": 4.0,
            "tax": 1,
            "products": [
                {"product_id": "p1", "name": "Mug", "category": "Home", "price": 12.5, "quantity": 2, "currency": "EUR"}
            ],
        },
        "context": {
            "device": {"type": "mobile"},
            "os": {"name": "iOS"},
            "location": {"country": "Germany"},
            "campaign": {"source": "google", "medium": "cpc"},
            "locale": "de-de",
        },
    }
    assert calls(row)[0]["messageId"] == order["messageId"]
    two = calls(ga4("view_item", [MUG, {**MUG, "item_id": "p2"}], value=1))
    assert [(one["event"], one["properties"]["product_id"]) for one in two] == [
        ("Product Viewed", "p1"),
        ("Product Viewed", "p2"),
    ]
    assert len({one["messageId"] for one in two}) == 2


def test_an_order_whose_sums_stand_in_ecommerce():
    row = ga4("purchase", [MUG]) | {"ecommerce": {"transaction_id": "o2", "purchase_revenue": 9.5, "tax_value": 0.5}}
    (order,) = calls(row)
    assert (order["properties"]["order_id"], order["properties"]["total"]) == ("o2", 10.0)


def test_pages_own_events_and_users_of_ga4():
    (page,) = calls(ga4("page_view", page_location="https://shop.test/a", page_title="A"))
    assert (page["type"], page["name"], page["properties"]["url"]) == ("page", "A", "https://shop.test/a")
    (own,) = calls(ga4("newsletter_signup", plan="gold", engagement_time_msec=5))
    assert (own["event"], own["properties"]) == ("newsletter_signup", {"plan": "gold"})
    assert calls(ga4("session_start")) == []
    drafts = Ga4Drafts()
    user = ga4("login") | {
        "user_id": "ada",
        "user_properties": [{"key": "tier", "value": {"string_value": "gold", "set_timestamp_micros": "1"}}],
    }
    first, second = drafts(1, user), drafts(2, {**user, "event_timestamp": "1767225601000000"})
    assert [draft.body["type"] for draft in first] == ["identify", "track"]
    assert first[0].body["traits"] == {"tier": "gold"}
    assert [draft.body["type"] for draft in second] == ["track"]
    with pytest.raises(InvalidInput, match="no row of a GA4 export"):
        drafts(3, {"event": "x"})


@pytest.mark.parametrize(
    ("row", "what"),
    [
        *((ga4(name), name) for name in ("session_start", "first_visit", "first_open", "user_engagement", "scroll")),
        (ga4("login") | {"user_pseudo_id": None}, "with neither user_id nor user_pseudo_id"),
        (ga4("view_item"), "view_item without items"),
    ],
)
def test_rows_of_ga4_that_tell_nothing_are_passed_over(row, what):
    passed = Ga4Drafts()(1, row)
    assert (passed, isinstance(passed, PassedOver) and passed.what) == ((), what)


def test_an_event_of_ga4_that_is_passed_over_still_tells_of_the_person():
    drafts = Ga4Drafts()
    row = ga4("session_start") | {"user_properties": [{"key": "tier", "value": {"string_value": "gold"}}]}
    (told,) = drafts(1, row)
    assert (told.body["type"], told.body["traits"]) == ("identify", {"tier": "gold"})
    assert isinstance(drafts(2, row), PassedOver)  # for it says no more than before


# --- product feeds ---------------------------------------------------------------------------------------------------

RSS = """<?xml version="1.0"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title>
<item><g:id>p1</g:id><title>A &amp; B</title><g:price>12.50 EUR</g:price><g:sale_price>9.99 EUR</g:sale_price>
<g:sale_price_effective_date>2026-01-01T00:00+0100/2026-02-01T00:00+0100</g:sale_price_effective_date>
<g:availability>in stock</g:availability><g:product_type>Home &gt; Kitchen &gt; Mugs</g:product_type>
<g:additional_image_link>https://a.test/1</g:additional_image_link>
<g:additional_image_link>https://a.test/2</g:additional_image_link></item>
<item><g:id>p2</g:id><title>C</title><g:price>JPY 1200</g:price><g:availability>out_of_stock</g:availability></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">
<entry><g:id>p1</g:id><title>A</title><link href="https://a.test/p1"/><g:price>1</g:price></entry></feed>"""


def feed(text, name="feed.xml"):
    return [row for _, row in read_feed(io.BytesIO(text.encode()), name, pytest.fail)]


def test_a_product_feed():
    first, second = feed(RSS)
    assert first == {
        "id": "p1",
        "title": "A & B",
        "price": 12.5,
        "price_minor": 1250,
        "sale_price": 9.99,
        "sale_price_minor": 999,
        "currency": "EUR",
        "sale_price_effective_date": "2026-01-01T00:00+0100/2026-02-01T00:00+0100",
        "sale_from": "2026-01-01T00:00:00+01:00",
        "sale_until": "2026-02-01T00:00:00+01:00",
        "availability": "in_stock",
        "available": True,
        "product_type": "Home > Kitchen > Mugs",
        "department": "Home",
        "category": "Mugs",
        "additional_image_link": ["https://a.test/1", "https://a.test/2"],
    }
    assert (second["price"], second["price_minor"], second["currency"], second["available"]) == (
        1200,
        1200,
        "JPY",
        False,
    )
    (atom,) = feed(ATOM)
    assert atom == {"id": "p1", "title": "A", "link": "https://a.test/p1", "price": 1, "price_minor": 100}
    (tsv,) = feed("id\ttitle\tprice\timage link\np1\tA\t3.20 EUR\thttps://a.test/i\n", "feed.tsv")
    assert tsv["image_link"] == "https://a.test/i"
    assert (tsv["price"], tsv["price_minor"]) == (3.2, 320)


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("1,299.00 USD", (1299, "USD")),
        ("1.299,00 EUR", (1299, "EUR")),
        ("9,90 eur", (9.9, "EUR")),
        ("15", (15, "")),
        ("free", (None, "")),
        ("", (None, "")),
    ],
)
def test_prices(text, price):
    assert price_of(text) == price


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (RSS[:-40], "after 1 products the XML cannot be read on"),
        ("<html>", "cannot be read on"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><rss><item><id>&a;</id></item></rss>', "declares entities or a document type"),
        ("", "cannot be read on"),
    ],
)
def test_a_wrong_feed_is_told(text, words):
    with pytest.raises(InvalidInput, match=words):
        feed(text)


# --- former mail services --------------------------------------------------------------------------------------------


def former(preset, row, name="export.csv", purpose="newsletter"):
    return [(draft.kind, draft.body) for draft in former_drafts(preset, name=name, purpose=purpose, zone="UTC")(2, row)]


def standing(preset, row, name="export.csv"):
    """What is told beside the contact."""
    told = former(preset, {"Email": "a@shop.test", **row}, name)
    assert told[0][0] == "call"
    assert told[0][1]["traits"]["email"] == "a@shop.test"
    return [
        ("granted" if body["granted"] else "withdrawn") if kind == "consent" else body["reason"]
        for kind, body in told[1:]
    ]


SUBSCRIBED = "subscribed_members_export_1.csv"


@pytest.mark.parametrize(
    ("preset", "row", "name", "expected"),
    [
        ("mailchimp", {"CONFIRM_TIME": "2024-05-01 10:00:00"}, SUBSCRIBED, ["granted"]),
        ("mailchimp", {"CONFIRM_TIME": ""}, SUBSCRIBED, []),
        ("mailchimp", {"CONFIRM_TIME": "2024-05-01 10:00:00"}, "people.csv", []),
        ("mailchimp", {"Status": "Subscribed"}, "people.csv", ["granted"]),
        ("mailchimp", {"UNSUB_TIME": "2024-05-01 10:00:00"}, "unsubscribed_members_export_1.csv", ["withdrawn"]),
        ("mailchimp", {}, "cleaned_members_export_1.csv", ["cleaned at mailchimp"]),
        ("klaviyo", {"Email Marketing Consent": "SUBSCRIBED"}, "p.csv", ["granted"]),
        ("klaviyo", {"Email Marketing Consent": "NEVER_SUBSCRIBED"}, "p.csv", []),
        ("klaviyo", {"Email Marketing Consent": "UNSUBSCRIBED"}, "p.csv", ["withdrawn"]),
        (
            "klaviyo",
            {"Email Marketing Consent": "SUBSCRIBED", "Email Suppressions": "[{'reason': 'HARD_BOUNCE'}]"},
            "p.csv",
            ["bounced at klaviyo"],
        ),
        ("klaviyo", {"Email Marketing Consent": "something new"}, "p.csv", []),
        ("mautic", {"doNotContact": "2"}, "p.csv", ["bounced at mautic"]),
        ("mautic", {"doNotContact": "0"}, "p.csv", []),
        ("mautic", {"doNotContact": "1"}, "p.csv", ["withdrawn"]),
        ("listmonk", {"status": "enabled", "subscription_status": "confirmed"}, "p.csv", ["granted"]),
        ("listmonk", {"status": "enabled", "subscription_status": "unconfirmed"}, "p.csv", []),
        ("listmonk", {"status": "enabled"}, "p.csv", []),
        ("listmonk", {"status": "blocklisted", "subscription_status": "confirmed"}, "p.csv", ["withdrawn"]),
        ("sendgrid", {"created": "1714557600"}, "suppression_bounces.csv", ["bounced at sendgrid"]),
        ("sendgrid", {"created": "1714557600"}, "suppression_spam_reports.csv", ["complained at sendgrid"]),
        ("sendgrid", {"created": "1714557600"}, "suppression_unsubscribes.csv", ["withdrawn"]),
        ("sendgrid", {"FIRST_NAME": "Ada"}, "contacts.csv", []),
    ],
)
def test_how_a_former_service_held_somebody(preset, row, name, expected):
    assert standing(preset, row, name) == expected


@pytest.mark.parametrize("preset", SERVICES)
def test_nobody_is_granted_anything_that_the_file_does_not_say(preset):
    for name in (*SERVICES[preset].files, SUBSCRIBED, "subscribers.csv"):
        assert "granted" not in standing(preset, {"First Name": "Ada"}, f"{name}.csv")


def test_a_consent_carries_its_proof():
    _, (kind, consent) = former(
        "mailchimp",
        {"Email Address": "a@shop.test", "First Name": "Ada", "OPTIN_TIME": "", "CONFIRM_TIME": "05/01/2024 10:00"},
        SUBSCRIBED,
    )
    assert kind == "consent"
    assert consent == {
        "email": "a@shop.test",
        "purpose": "newsletter",
        "granted": True,
        "source": "import:mailchimp",
        "wording": "imported from mailchimp: subscribed since 2024-05-01T10:00:00Z",
        "at": "2024-05-01T10:00:00Z",
    }
    with pytest.raises(InvalidInput, match="not what for"):
        former("klaviyo", {"Email": "a@b.test", "Email Marketing Consent": "SUBSCRIBED"}, purpose="")
    with pytest.raises(InvalidInput, match="no column holds an e-mail address"):
        former("klaviyo", {"Name": "Ada"})


def test_what_people_did_becomes_history():
    row = {"Email": "a@shop.test", "Campaign": "May", "Action": "click", "Timestamp": "2024-05-01T10:00:00+00:00"}
    ((kind, call),) = former("mailchimp", {**row, "URL": "https://a.test"})
    assert (kind, call["event"], call["timestamp"]) == ("call", "Email Link Clicked", "2024-05-01T10:00:00Z")
    assert call["properties"] == {"campaign": "May", "url": "https://a.test", "imported_from": "mailchimp"}
    assert call["context"] == {"traits": {"email": "a@shop.test"}}
    assert former("mailchimp", {**row, "Action": "forwarded"}) == []
    opened = {"Email": "a@shop.test", "Metric": "Opened Email", "Timestamp": "1714557600"}
    assert former("klaviyo", opened)[0][1]["event"] == "Email Opened"
    with pytest.raises(InvalidInput, match="an activity without a time"):
        former("mailchimp", {**row, "Timestamp": ""})
