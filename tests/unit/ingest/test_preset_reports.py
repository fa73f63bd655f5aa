"""What becomes of each column of a mail service's export, and of GA4's."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mailwright.ingest.dry_run import FileReport, Report
from mailwright.ingest.ga4 import COLUMNS, Ga4Drafts
from mailwright.ingest.preset_reports import FormerReport, Ga4Report


def is_personal(name: str) -> bool:
    return name in ("email", "firstName", "phone")


def report_of(report: Report, *rows: Mapping[str, Any]) -> FileReport:
    for row in rows:
        report.see(row)
    return report.told()


def goes(told: FileReport) -> dict[str, tuple[str, int, Sequence[str]]]:
    return {one.column: (one.to, one.n_filled, list(one.examples)) for one in told.columns}


# --- former mail services --------------------------------------------------------------------------------------------


def test_of_several_columns_for_one_thing_those_that_were_taken_are_told() -> None:
    columns = ["Birthday", "Email", "Email Address", "FNAME", "First Name", "CONFIRM_TIME", "Tags"]
    rows = (
        {"Email": "old@a.test", "Email Address": "ada@shop.test", "First Name": "Ada", "Birthday": "1815-12-10"},
        {"Email Address": "bob@shop.test", "First Name": "Bob", "CONFIRM_TIME": "2024-01-05", "Tags": None},
    )
    told = report_of(FormerReport("mailchimp", "subscribed_x.csv", columns, is_personal), *rows)
    assert goes(told) == {
        "Email Address": ("traits.email", 2, ["a***@s***.test", "b***@s***.test"]),
        "FNAME": ("traits.firstName", 0, []),
        "First Name": ("traits.firstName", 2, ["A***", "B***"]),
        "CONFIRM_TIME": ("consent or suppression, consent.at, timestamp", 1, ["2024-01-05"]),
        "Tags": ("traits.tags", 0, []),
        "Birthday": ("", 1, []),  # and of what is not read nothing is shown
        "Email": ("", 1, []),
    }
    absent = dict(told.absent)
    assert list(absent["traits.country"]) == ["cc", "country"]
    assert not {"traits.email", "traits.firstName", "consent or suppression", "consent.at"} & absent.keys()


@pytest.mark.parametrize(
    ("name", "status", "at"),
    [("contacts.csv", True, True), ("unsubscribes.csv", True, True), ("bounces.csv", True, False)],
)
def test_what_a_file_could_tell_goes_by_its_name(name: str, status: bool, at: bool) -> None:
    absent = dict(report_of(FormerReport("sendgrid", name, ["email"], is_personal), {"email": "a@b.test"}).absent)
    assert ("consent or suppression" in absent, "consent.at" in absent) == (status, at)
    assert list(absent["consent or suppression"]) == ["status"]


def test_a_column_that_dates_what_the_service_knew_is_told_where_it_counts() -> None:
    """When something was changed counts before when the person came."""
    columns = ["Email", "Updated", "Profile Created On"]
    rows = (
        {"Email": "a@b.test", "Updated": "2024-01-05", "Profile Created On": "2023-01-05"},
        {"Email": "c@b.test", "Profile Created On": "2023-01-06"},
    )
    both = goes(report_of(FormerReport("klaviyo", "a.csv", columns, is_personal), *rows))
    assert (both["Updated"][0], both["Profile Created On"][0]) == ("timestamp", "timestamp")
    first = goes(report_of(FormerReport("klaviyo", "a.csv", columns, is_personal), rows[0]))
    assert (first["Updated"][0], first["Profile Created On"][0]) == ("timestamp", "")


def test_rows_of_what_people_did_go_into_events() -> None:
    rows = (
        {"Email": "a@b.test", "Action": "open", "Timestamp": "2024-01-05T10:00:00Z", "Campaign": "May", "City": "Ulm"},
        {"Email": "a@b.test", "Action": "click", "Timestamp": "2024-01-05T10:00:00Z", "Link": "https://a.test"},
    )
    told = report_of(FormerReport("mailchimp", "activity.jsonl", None, is_personal), *rows)
    assert {column: to for column, (to, _, _) in goes(told).items()} == {
        "Email": "context.traits.email",
        "Action": "event",
        "Timestamp": "timestamp",
        "Campaign": "properties.campaign",
        "Link": "properties.url",
        "City": "",
    }
    assert dict(told.absent) == {"properties.subject": ("subject",)}


def test_a_file_of_both_tells_both_and_one_without_rows_what_it_could_tell() -> None:
    rows = ({"email": "a@b.test", "city": "Ulm"}, {"email": "a@b.test", "event": "open", "time": "2024-01-05"})
    told = report_of(FormerReport("klaviyo", "all.csv", ["email", "city", "event", "time"], is_personal), *rows)
    assert goes(told)["email"][0] == "traits.email, context.traits.email"
    assert goes(told)["city"][0] == "traits.city"
    none = report_of(FormerReport("klaviyo", "all.csv", ["E-Mail", "City", "Age"], is_personal))
    assert goes(none) == {"E-Mail": ("traits.email", 0, []), "City": ("traits.city", 0, []), "Age": ("", 0, [])}
    acts = report_of(FormerReport("klaviyo", "all.csv", ["email", "metric"], is_personal))
    assert goes(acts)["metric"][0] == "event"


def test_a_value_is_masked_also_where_another_column_is_taken() -> None:
    """The first row's `fname` counts, the second row's other column does."""
    rows = ({"email": "a@b.test", "first name": "Ada", "fname": "Ida"}, {"email": "a@b.test", "first name": "Eva"})
    told = report_of(FormerReport("mailchimp", "x.csv", None, is_personal), *rows)
    assert goes(told)["first name"] == ("traits.firstName", 2, ["A***", "E***"])


# --- GA4 -------------------------------------------------------------------------------------------------------------


def param(key: str, **value: Any) -> dict[str, Any]:
    return {"key": key, "value": {"string_value": None, "int_value": None} | value}


def row(event: str, *params: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "event_name": event,
        "event_timestamp": "1735689600000000",
        "user_pseudo_id": "1.2",
        "event_params": list(params),
        **more,
    }


def test_columns_of_ga4_are_told_with_everything_that_they_fill() -> None:
    order = row(
        "purchase",
        param("value", double_value=12.5),
        param("ga_session_id", int_value="77"),
        items=[{"item_id": "p1", "price": "12.5"}, {"item_id": "p2", "item_brand": "B", "item_params": []}],
        ecommerce={"purchase_revenue": 12.5, "unique_items": 2},
        user_properties=[param("firstName", string_value="Ada")],
        geo={"country": "DE", "city": "(not set)"},
        event_date="20250101",
    )
    told = report_of(Ga4Report("a.jsonl", is_personal), order, row("page_view", param("page_title", string_value="Hi")))
    assert goes(told) == {
        "event_name": ("event, type", 2, ["purchase", "page_view"]),
        "event_timestamp": ("timestamp", 2, ["1735689600000000"]),
        "user_pseudo_id": ("anonymousId", 2, ["1.2"]),
        "event_params.value": ("properties.revenue, properties.total", 1, ["12.5"]),
        "items.item_id": ("properties.products.product_id", 1, ["p1"]),
        "items.price": ("properties.products.price", 1, ["12.5"]),
        "items.item_brand": ("properties.products.brand", 1, ["B"]),
        "user_properties.firstName": ("traits.firstName", 1, ["A***"]),
        "geo.country": ("context.location.country", 1, ["DE"]),
        "event_params.page_title": ("context.page.title, name, properties.title", 1, ["Hi"]),
        "event_params.ga_session_id": ("", 1, []),
        "ecommerce.purchase_revenue": ("", 1, []),  # for the event says its value
        "ecommerce.unique_items": ("", 1, []),
        "event_date": ("", 1, []),
    }
    assert dict(told.absent) == {
        "userId": ["user_id"],
        "context.device, context.os, context.locale": ["device"],
        "context.campaign": ["traffic_source"],
    }


def test_a_column_that_counts_in_the_place_of_another_is_told_where_it_does() -> None:
    both = row("purchase", param("value", int_value=3), ecommerce={"purchase_revenue": 3})
    told = report_of(Ga4Report("a", is_personal), both, row("purchase", ecommerce={"purchase_revenue": 3}))
    assert goes(told)["ecommerce.purchase_revenue"][0] == "properties.revenue, properties.total"


def test_events_that_are_not_taken_take_no_columns() -> None:
    nobody = row("view_item", items=[{"item_id": "p1"}]) | {"user_pseudo_id": ""}
    told = report_of(Ga4Report("a", is_personal), nobody, row("session_start", param("source", string_value="x")))
    assert {one.to for one in told.columns} == {""}
    assert {one.column for one in told.columns} >= {"items.item_id", "event_params.source"}


def test_rows_of_other_shapes_are_told_as_well() -> None:
    """Whatever stands in a file; a fault of a row is told by the drafts, not here."""
    odd = [{}, {"event_name": 3, "device": "x"}, row("view_cart", items="x", geo=[1, 2]), row("x", user_properties=3)]
    told = report_of(Ga4Report("a", is_personal), *odd, row("view_cart", device={"category": "tv"}, items=[3]))
    assert goes(told)["device.category"][0] == "context.device.type"
    assert goes(told)["device"] == ("", 1, [])
    assert goes(told)["items"] == ("", 2, [])


def test_every_column_that_is_read_is_one_that_can_be_missing() -> None:
    read: set[str] = set()

    class Watched(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            read.add(key)
            return super().get(key, default)

    for event in ("purchase", "page_view", "x"):
        Ga4Drafts()(1, Watched(row(event, user_properties=[param("a", string_value="b")])))
    assert read == COLUMNS.keys()
