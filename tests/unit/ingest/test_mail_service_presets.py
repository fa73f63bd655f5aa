"""Mail services' webhooks end as the events of Segment's e-mail spec, on the person of the address."""

import json
from urllib.parse import urlencode

import pytest
from mail_service_bodies import AT, MAILGUN, MANDRILL, OWN, POSTMARK, SENDGRID, SES, SEVERAL, WHO, ses

from mailwright.core.errors import InvalidInput
from mailwright.ingest.webhooks.mapping import Mapped, Mapper
from mailwright.ingest.webhooks.verification import Request
from mailwright.runtime.project.documents import parse_yaml
from mailwright.runtime.project.outside import webhook_of

FORM = {"content-type": "application/x-www-form-urlencoded"}


def bodies(name: str) -> list[Request]:
    match name:
        case "sendgrid":
            return [Request(body=json.dumps(SENDGRID).encode())]
        case "mandrill":
            return [Request(body=urlencode({"mandrill_events": json.dumps(MANDRILL)}).encode(), headers=FORM)]
    told = {"mailgun": MAILGUN, "postmark": POSTMARK, "ses": SES}[name]
    return [Request(body=json.dumps(one).encode()) for one in told]


def mapped(name: str) -> list[Mapped]:
    text = f"preset: {name}\n{OWN.get(name, '')}\n"
    mapper = Mapper(name, webhook_of(name, parse_yaml(f"webhooks/{name}.yaml", text)))
    found = [mapper.map(request) for request in bodies(name)]
    assert [refused for one in found for refused in one.refused] == []
    assert not any(one.ignored for one in found)
    return found


SERVICES = ["sendgrid", "mailgun", "postmark", "ses", "mandrill"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_fate_of_a_mail_is_the_right_event_of_the_right_person(name):
    events = [event for one in mapped(name) for event in one.events]
    by_name = {event["event"]: event for event in events}
    assert set(by_name) == {
        "Email Delivered",
        "Email Opened",
        "Email Link Clicked",
        "Email Bounced",
        "Email Marked as Spam",
        "Unsubscribed",
    }
    assert {event["context"]["traits"]["email"] for event in events} == {WHO}
    assert {event["timestamp"][:11] for event in events} == {
        "2026-11-20T" if name in ("postmark", "ses") else "2026-11-18T"
    }
    assert by_name["Email Link Clicked"]["properties"]["link_url"] == "https://shop.example/"
    assert all(event["properties"]["email_id"] for event in events)
    assert len({event["messageId"] for event in events}) == len(events)
    again = [event["messageId"] for one in mapped(name) for event in one.events]
    assert again == [event["messageId"] for event in events]  # so that a repetition counts once


@pytest.mark.parametrize("name", SERVICES)
def test_hard_bounces_and_complaints_end_all_mail_and_unsubscribing_withdraws_consent(name):
    found = mapped(name)
    suppressed = [one for each in found for one in each.suppressions]
    assert sorted(one["reason"].split(" told")[0] for one in suppressed) == ["complaint", "hard bounce"]
    assert {one["email"] for one in suppressed} == {WHO}
    [withdrawn] = [one for each in found for one in each.consents]
    assert (withdrawn["email"], withdrawn["purpose"], withdrawn["granted"]) == (WHO, "marketing", False)


def test_opens_by_machines_are_told_apart():
    for name in ("sendgrid", "mailgun"):
        [opened] = [e for one in mapped(name) for e in one.events if e["event"] == "Email Opened"]
        assert opened["properties"]["machine"] is True


def test_a_bounce_is_hard_or_soft():
    told = [e["properties"]["bounce"] for one in mapped("sendgrid") for e in one.events if "Bounced" in e["event"]]
    assert told == ["hard", "soft"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("sendgrid", "public_key is no P-256 key"), ("ses", "sns needs topic"), ("mandrill", "needs url")],
)
def test_what_only_the_shop_knows_is_asked_for(name, words):
    with pytest.raises(InvalidInput, match=words):
        webhook_of(name, parse_yaml(f"webhooks/{name}.yaml", f"preset: {name}\n"))


def test_of_several_recipients_each_one_that_bounced_or_complained_is_kept_out():
    mapper = Mapper("ses", webhook_of("ses", parse_yaml("webhooks/ses.yaml", f"preset: ses\n{OWN['ses']}\n")))
    for told in (
        ses("Bounce", bounce={"bounceType": "Permanent", "bouncedRecipients": SEVERAL, "timestamp": AT}),
        ses("Complaint", complaint={"complainedRecipients": SEVERAL, "timestamp": AT}),
    ):
        found = mapper.map(Request(body=json.dumps(told).encode()))
        wanted = ["eve@shop.example", "bob@shop.example"]
        assert [one["email"] for one in found.suppressions] == wanted
        assert [one["context"]["traits"]["email"] for one in found.events] == wanted
    soft = ses("Bounce", bounce={"bounceType": "Transient", "bouncedRecipients": SEVERAL, "timestamp": AT})
    assert mapper.map(Request(body=json.dumps(soft).encode())).suppressions == []
