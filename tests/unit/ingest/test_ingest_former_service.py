"""Exports of former mail services, row by row: who is kept out, who may be written to, and what is wrong with a row."""

from typing import Any

import pytest

from mailwright.core.errors import InvalidInput
from mailwright.ingest.former_service import former_drafts
from mailwright.ingest.imports import Preset


def made(preset: Preset, name: str, **row: Any) -> list[tuple[str, Any]]:
    found = former_drafts(preset, name=name, purpose="newsletter", zone="UTC")(2, {"email": "a@shop.test", **row})
    return [(one.kind, one.body.get("granted", one.body.get("reason"))) for one in found[1:]]


def test_a_file_of_bounces_keeps_out_whatever_its_status_says() -> None:
    row = {"status": "5.1.1", "reason": "550 5.1.1 user unknown", "created": "1704189600"}
    assert made("sendgrid", "suppression_bounces.csv", **row) == [("suppression", "bounced at sendgrid")]
    kept_out = made("mailchimp", "cleaned_members_export.csv", status="subscribed")
    assert kept_out == [("suppression", "cleaned at mailchimp")]
    assert made("mailchimp", "unsubscribed_members_export.csv", status="cleaned") == kept_out, "the stronger counts"


@pytest.mark.parametrize(
    ("asked", "granted"),
    [("2024-01-02 10:00:00", True), ("soon", False), ("", False), ("9999-12-31T23:59:59-10:00", False)],
)
def test_a_file_of_subscribers_grants_only_where_a_time_says_so(asked: str, granted: bool) -> None:
    found = made("mailchimp", "subscribed_members_export.csv", OPTIN_TIME=asked)
    assert found == ([("consent", True)] if granted else [])


def test_a_time_zone_becomes_the_trait_that_rules_go_by() -> None:
    row = {"email": "a@shop.test", "TIMEZONE": "Europe/Berlin"}
    [call, *_] = former_drafts("mailchimp", name="members.csv", purpose="newsletter", zone="UTC")(2, row)
    assert call.body["traits"]["timezone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ('"VIP"', ["VIP"]),
        ('"VIP","Gold, large", "Says ""hi"""', ["VIP", "Gold, large", 'Says "hi"']),
        ("VIP, new", ["VIP", "new"]),
        ("VIP|new", ["VIP|new"]),
        ('5" shoes, ,new', ['5" shoes', "new"]),
        ("two\nlines,new", ["two lines", "new"]),
        (["VIP"], ["VIP"]),
    ],
)
def test_tags_become_a_list(cell: Any, tags: list[str]) -> None:
    row = {"email": "a@shop.test", "TAGS": cell}
    [call, *_] = former_drafts("mailchimp", name="members.csv", purpose="newsletter", zone="UTC")(2, row)
    assert call.body["traits"]["tags"] == tags


@pytest.mark.parametrize(("email", "message"), [("none", "the e-mail address is none"), ("", "no column holds")])
def test_what_is_wrong_with_an_address_is_told_without_it(email: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        made("klaviyo", "people.csv", email=email)
    [issue] = caught.value.issues
    assert (issue.path, bool(issue.hint)) == ("line 2", True)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("0", []),
        ("[]", []),
        ("", []),
        ("1", [("consent", False)]),
        ("2", [("suppression", "bounced at mautic")]),
        ("3", [("consent", False)]),
        ("4", [("suppression", "kept out at mautic")]),
        ("1, 9", [("suppression", "kept out at mautic")]),
        ("yes", [("suppression", "kept out at mautic")]),
        ("no longer interested", [("suppression", "kept out at mautic")]),
        ("unknown", [("suppression", "kept out at mautic")]),
    ],
)
@pytest.mark.parametrize("column", ["dnc", "Do not contact"])
def test_a_reason_not_to_write_that_nobody_knows_keeps_out(
    column: str, told: str, found: list[tuple[str, Any]]
) -> None:
    assert made("mautic", "contacts.csv", **{column: told}) == found
    granted = found if found else [("consent", True)]
    assert made("mautic", "contacts.csv", **{column: told, "status": "subscribed"}) == granted


@pytest.mark.parametrize(
    ("preset", "row", "at"),
    [
        ("mailchimp", {"LAST_CHANGED": "2024-03-01 10:00:00", "OPTIN_TIME": "2025-01-01"}, "2024-03-01T10:00:00Z"),
        ("mailchimp", {"OPTIN_TIME": "2024-01-02", "CONFIRM_TIME": "2024-01-03 08:00"}, "2024-01-03T08:00:00Z"),
        ("mailchimp", {"LAST_CHANGED": "soon", "UNSUB_TIME": "2024-05-01 10:00:00"}, "2024-05-01T10:00:00Z"),
        ("mailchimp", {"LAST_CHANGED": "0000-00-00 00:00:00"}, None),
        ("klaviyo", {"Email Marketing Consent Timestamp": "2023-07-01T09:00:00+02:00"}, "2023-07-01T07:00:00Z"),
        ("klaviyo", {"Updated": "2024-07-01", "Profile Created On": "2020-01-01"}, "2024-07-01T00:00:00Z"),
        ("klaviyo", {"Profile Created On": "2020-01-01"}, "2020-01-01T00:00:00Z"),
        (
            "mautic",
            {"date_added": "2020-01-01 00:00:00", "date_modified": "2021-01-01 00:00:00"},
            "2021-01-01T00:00:00Z",
        ),
        (
            "listmonk",
            {"created_at": "2020-01-01T00:00:00.5Z", "updated_at": "2020-01-01T00:00:01Z"},
            "2020-01-01T00:00:01Z",
        ),
        (
            "listmonk",
            {"subscription_updated_at": "2020-01-01T00:00:00.5Z", "created_at": "2020-01-01T00:00:00Z"},
            "2020-01-01T00:00:00.500000Z",
        ),
        (
            "sendgrid",
            {"CREATED_AT": "2022-01-01T00:00:00Z", "UPDATED_AT": "2022-06-01T00:00:00Z"},
            "2022-06-01T00:00:00Z",
        ),
        ("sendgrid", {"created": "1704189600"}, "2024-01-02T10:00:00Z"),
        ("sendgrid", {"UPDATED_AT": "1970-01-01T00:00:00Z"}, None),
        ("sendgrid", {"FIRST_NAME": "Ada"}, None),
    ],
)
def test_what_a_service_knew_of_a_person_is_as_old_as_its_row_says(
    preset: Preset, row: dict[str, str], at: str | None
) -> None:
    """Else what a service held years ago would count before what a CRM has said since."""
    drafts = former_drafts(preset, name="contacts.csv", purpose="newsletter", zone="UTC")
    contact, again = (drafts(line, {"email": "a@shop.test", **row})[0].body for line in (2, 7))
    assert contact.get("timestamp") == at
    assert contact == again, "the same row is the same message"
