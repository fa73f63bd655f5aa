"""Webhooks by HTTP: genuine ones are durable before the answer, forged and replayed ones make nothing."""

from __future__ import annotations

import base64
import gzip
import hmac
import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient
from seeded_engine import StandingClock
from seeded_shop import Shop
from visitors import client_of, sign_in

from mailwright.core.errors import Transient
from mailwright.core.events import Events, Items
from mailwright.core.instants import DAY, MINUTE, SECOND, Instant, parse_iso
from mailwright.core.sources import QuarantineFilter
from mailwright.delivery.gate import Audience, SenderIdentity, gate
from mailwright.ingest.hooks import IngestRules
from mailwright.ingest.plan import EventPlan, TrackingPlan
from mailwright.ingest.webhooks.definitions import WebhookDefinition
from mailwright.runtime.collected import Collected
from mailwright.runtime.project.documents import parse_yaml
from mailwright.runtime.project.outside import webhook_of

sys.path[:0] = [str(Path(__file__).parent.parent / "unit" / "ingest")]

from mail_service_bodies import MAILGUN, POSTMARK, WHO  # noqa: E402
from webhook_bodies import PURPOSE, SHOPIFY_CUSTOMER, SHOPIFY_ORDER, STRIPE, onetrust  # noqa: E402

NOW = parse_iso("2026-11-22T09:00:00Z")
PING = """
verify: { kind: token, secret_env: PING_SECRET }
challenge: { parameter: hub.challenge, token_parameter: hub.verify_token, token_env: PING_SECRET }
ignore: $.kind == "test"
events:
  - for_each: $.people
    when: item.kind != "robot"
    name: Ping
    user_id: text(item.id)
    properties: { n: number(item.n), name: $.who }
items:
  - when: exists($.sku)
    catalog: products
    item_id: $.sku
    facts: { title: $.title }
suppressions:
  - when: exists($.bounced)
    email: $.bounced
    reason: bounce
"""
CHOICES = """
verify: { kind: token, secret_env: PING_SECRET }
events:
  - { name: Choice Made, email: $.email }
consents:
  - when: exists($.agreed)
    email: $.email
    purpose: marketing
    granted: $.agreed
    wording: Mails, please
    timestamp: $.at
suppressions:
  - { when: exists($.gone), email: $.email, reason: gone }
"""
FILES = {
    "choices": CHOICES,
    "numbered": CHOICES + "delivery_id: $.id\n",
    "mailgun": "preset: mailgun\n",
    "shopify": "preset: shopify\n",
    "stripe": "preset: stripe\n",
    "onetrust": f"preset: onetrust\noptions: {{ purposes: {{ {PURPOSE}: marketing }} }}\n",
    "postmark": "preset: postmark\n",
    "ping": PING,
}


def defined(name: str, text: str) -> WebhookDefinition:
    return webhook_of(name, parse_yaml(f"webhooks/{name}.yaml", text))


@pytest.fixture
def shop(fresh_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for name in (
        "SHOPIFY_SECRET",
        "STRIPE_WEBHOOK_SECRET",
        "ONETRUST_SECRET",
        "POSTMARK_SECRET",
        "PING_SECRET",
        "MAILGUN_SECRET",
    ):
        monkeypatch.setenv(name, "s3cret")
    webhooks = {name: defined(name, text) for name, text in FILES.items()}
    project = replace(fresh_shop.context.project, webhooks=webhooks)
    clock = StandingClock(NOW)
    fresh_shop.context = replace(fresh_shop.context, project=project, clock=clock, lease_clock=clock)
    return fresh_shop


@pytest.fixture
def door(shop: Shop) -> TestClient:
    return client_of(shop)


def shopify(body: Any, topic: str = "orders/create", id: str = "w-1", secret: bytes = b"s3cret") -> dict[str, Any]:
    raw = json.dumps(body).encode()
    signature = base64.b64encode(hmac.digest(secret, raw, "sha256")).decode()
    headers = {"X-Shopify-Hmac-Sha256": signature, "X-Shopify-Topic": topic, "X-Shopify-Webhook-Id": id}
    return {"content": raw, "headers": {**headers, "Content-Type": "application/json"}}


def grown(shop: Shop, before: int) -> list[Any]:
    return [record.body for record in shop.log.read(before, 100)]


def test_an_order_is_in_the_log_before_the_answer(shop: Shop, door: TestClient) -> None:
    before = shop.log.last()[0]
    answer = door.post("/w/shopify", **shopify(SHOPIFY_ORDER))
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "events": 1, "refused": []})
    [event] = grown(shop, before)[0].events
    assert (event.source, event.name, event.message_id) == (
        "webhook:shopify",
        "Order Completed",
        "shopify-order-820982911946154508",
    )
    assert [one.kind for one in event.identifiers] == ["user_id", "email", "shopify_order"]
    assert event.properties["total"] == 212.0
    assert "jon@shop.example" not in str(event)
    assert "203.0.113.7" not in str(event)


@pytest.mark.parametrize("secret", [b"wrong", b""])
def test_a_forged_one_makes_nothing(shop: Shop, door: TestClient, secret: bytes) -> None:
    before, rows = shop.log.last(), shop.records.webhooks.tallies()
    answer = door.post("/w/shopify", **shopify(SHOPIFY_CUSTOMER, "customers/update", secret=secret))
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "webhook.signature")
    assert "does not fit" not in answer.text
    assert (shop.log.last(), shop.records.webhooks.tallies()) == (before, rows)
    assert shop.records.consents.ledger(shop.sealer.hash_address("bob@shop.example")) == []


def test_one_that_comes_again_makes_nothing_twice(shop: Shop, door: TestClient) -> None:
    asked = shopify(SHOPIFY_CUSTOMER, "customers/update")
    assert door.post("/w/shopify", **asked).json() == {"accepted": 2, "events": 1, "consents": 1, "refused": []}
    before = shop.log.last()
    asked["headers"]["X-Shopify-Webhook-Id"] = "another"  # it is not signed: it cannot make an old body new
    assert door.post("/w/shopify", **asked).json() == {"accepted": 0, "refused": [], "replayed": True}
    other = shopify({**SHOPIFY_CUSTOMER, "note": "changed"}, "customers/update")  # a body anew under an old id
    assert door.post("/w/shopify", **other).json()["replayed"]
    assert shop.log.last() == before
    assert len(shop.records.consents.ledger(shop.sealer.hash_address("bob@shop.example"))) == 1
    tally = shop.records.webhooks.tallies()["shopify"]
    assert (tally.received, tally.accepted, tally.replayed) == (3, 2, 2)


def chosen(shop: Shop, webhook: str, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each delivery is answered with, one a day."""
    told = []
    for day, body in enumerate(bodies):
        clock = StandingClock(Instant(NOW + day * DAY))
        shop.context = replace(shop.context, clock=clock, lease_clock=clock)
        told.append(client_of(shop).post(f"/w/{webhook}?token=s3cret", json=body).json())
    return told


def test_who_withdraws_twice_in_the_same_words_gets_no_mail(shop: Shop) -> None:
    email = "new@maple.example"
    yes, no, before = {"email": email, "agreed": True}, {"email": email, "agreed": False}, shop.log.last()[0]
    told = chosen(shop, "choices", [yes, no, {**yes, "again": 1}, no, yes])
    assert [one.get("consents", 0) for one in told] == [1, 1, 1, 1, 0]
    assert [one.get("replayed", False) for one in told] == [False, False, False, True, True]
    assert may_send(shop, email) == "no_consent"
    ledger = shop.records.consents.ledger(shop.sealer.hash_address(email))
    assert [(one.granted, (one.at - NOW) // DAY) for one in ledger] == [(True, 0), (False, 1), (True, 2), (False, 3)]
    assert sum(len(body.events) for body in grown(shop, before) if isinstance(body, Events)) == 3
    tally = shop.records.webhooks.tallies()["choices"]
    assert (tally.received, tally.accepted, tally.replayed) == (5, 7, 2)


def test_a_withdrawal_that_says_when_is_written_once(shop: Shop) -> None:
    email = "new@maple.example"
    no = {"email": email, "agreed": False, "at": "2026-11-22T08:00:00Z", "gone": True}
    told = chosen(shop, "choices", [no, {"email": email, "agreed": True}, no])
    assert told[2] == {"accepted": 0, "refused": [], "replayed": True}
    assert [one.granted for one in shop.records.consents.ledger(shop.sealer.hash_address(email))] == [False, True]


def test_an_address_that_is_let_in_again_is_kept_out_again_by_the_same_words(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {"email": "new@maple.example", "gone": 1}
    [first] = chosen(shop, "choices", [gone])
    monkeypatch.setattr(shop.records.consents, "suppressed", lambda _: {})  # as if somebody had lifted it
    [again] = chosen(shop, "choices", [gone])
    assert (first["suppressions"], again["suppressions"], again["replayed"]) == (1, 1, True)


def test_a_delivery_with_an_id_makes_nothing_again(shop: Shop) -> None:
    email = "new@maple.example"
    no = {"email": email, "agreed": False, "id": "1"}
    told = chosen(shop, "numbered", [no, {"email": email, "agreed": True, "id": "2"}, no])
    assert told[2] == {"accepted": 0, "refused": [], "replayed": True}


def mailgun(recipient: str, token: str = "t0ken", secret: bytes = b"s3cret") -> dict[str, Any]:
    at = str(NOW // SECOND)
    signature = hmac.digest(secret, f"{at}{token}".encode(), "sha256").hex()
    data = {**MAILGUN[0]["event-data"], "recipient": recipient, "event": "unsubscribed", "id": f"m-{recipient}"}
    return {"event-data": data, "signature": {"timestamp": at, "token": token, "signature": signature}}


def test_a_token_of_mailgun_carries_one_body_also_at_the_same_moment(
    shop: Shop, door: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as racing:  # as both see it before either is done
        racing.setattr(shop.records.webhooks, "seen", lambda *_: False)
        assert door.post("/w/mailgun", json=mailgun("a@maple.example")).json()["accepted"] == 2
        before = shop.log.last()
        assert door.post("/w/mailgun", json=mailgun("b@maple.example")).status_code == 401
        assert shop.log.last() == before
        assert door.post("/w/mailgun", json=mailgun("a@maple.example")).status_code == 200, "after a failure"
        assert door.post("/w/mailgun", json=mailgun("b@maple.example", "other")).status_code == 200
    assert shop.records.consents.ledger(shop.sealer.hash_address("b@maple.example")) != []
    assert door.post("/w/mailgun", json=mailgun("c@maple.example")).json()["replayed"]
    assert shop.records.consents.ledger(shop.sealer.hash_address("c@maple.example")) == []


def test_of_two_bodies_under_one_token_at_once_one_counts(shop: Shop, door: TestClient) -> None:
    for n in range(10):
        who = [f"{place}{n}@maple.example" for place in "abcd"]
        with ThreadPoolExecutor(4) as threads:
            asked = [threads.submit(door.post, "/w/mailgun", json=mailgun(one, str(n))) for one in who]
        answers = [each.result() for each in asked]
        assert sum(each.status_code == 200 and not each.json().get("replayed") for each in answers) == 1
        assert sum(bool(shop.records.consents.ledger(shop.sealer.hash_address(one))) for one in who) == 1


def test_what_the_plan_is_against_is_held_told_and_counted(shop: Shop) -> None:
    plan = TrackingPlan(events={"Ping": EventPlan(properties={"n": "text"}, violation="quarantine")})
    collected = Collected(shop.records.sources, shop.context.clock, shop.log)
    project = replace(shop.context.project, tracking_plan=plan)
    shop.context = replace(shop.context, project=project, collected=collected)
    door, before = client_of(shop), shop.log.last()
    body = {"people": [{"id": "a", "n": "1"}, {"n": "2"}], "who": "x"}
    told = door.post("/w/ping?token=s3cret", json=body).json()
    assert (told["accepted"], [one["index"] for one in told["quarantined"]], len(told["refused"])) == (0, [0], 1)
    assert shop.log.last() == before
    [held] = shop.records.quarantine.find(QuarantineFilter(), 9)
    assert (held.source, held.event, held.reasons[0].field) == ("webhook:ping", "Ping", "properties.n")
    collected.flush()
    key = {"Authorization": "Bearer sk_server"}
    [seen] = [one for one in door.get("/v1/sources", headers=key).json()["sources"] if one["name"] == "webhook:ping"]
    assert (seen["accepted"], seen["held"], seen["refused"]) == (0, 1, 1)
    told = door.get("/v1/violations", headers=key).json()["violations"]
    assert [(one["source"], one["field"], one["n"]) for one in told] == [("webhook:ping", "properties.n", 1)]
    replayed = shop.context.quarantine.replay([held.id], IngestRules(sealer=shop.context.sealer), who="me")
    assert replayed.taken == [held.id]
    [event] = grown(shop, before[0])[0].events
    assert (event.source, event.name, event.properties["n"]) == ("webhook:ping", "Ping", 1)


def test_consents_of_a_delivery_are_counted_beside_its_events(shop: Shop) -> None:
    collected = Collected(shop.records.sources, shop.context.clock, shop.log)
    shop.context = replace(shop.context, collected=collected)
    door = client_of(shop)
    for _ in range(2):  # the second is a replay and counts nothing
        door.post("/w/shopify", **shopify(SHOPIFY_CUSTOMER, "customers/update"))
    collected.flush()
    told = {one.kind: one.accepted for one in shop.records.sources.days(0) if one.source == "webhook:shopify"}
    assert told == {"events": 1, "consents": 1}


def test_one_body_under_two_topics_is_two_deliveries(shop: Shop, door: TestClient) -> None:
    told = [
        door.post("/w/shopify", **shopify(SHOPIFY_ORDER, *more)).json()
        for more in (
            ("orders/create", "w-1"),
            ("orders/paid", "w-2"),
            ("orders/paid", "w-3"),
            ("orders/create", "w-4"),
        )
    ]
    assert [(one["accepted"], one.get("replayed", False)) for one in told] == [
        (1, False),
        (1, False),
        (0, True),
        (0, True),
    ]


@pytest.mark.parametrize("why", ["ignored", "refused"])
def test_what_came_to_nothing_may_be_sent_again_once_the_definition_is_mended(shop: Shop, why: str) -> None:
    wrong = "preset: shopify\nevents:\n  - { when: %s, name: Odd, user_id: $.none }\n"
    old = defined("shopify", wrong % ("exists($.nowhere)" if why == "ignored" else "exists($.id)"))
    odd = [one for one in old.events if one.name == "Odd"]
    old = msgspec.structs.replace(old, events=odd, consents=[], suppressions=[], items=[], ignore="")
    asked, mended = shopify(SHOPIFY_ORDER), shop.context.project.webhooks
    broken = replace(shop.context.project, webhooks={**mended, "shopify": old})
    door = client_of(replace_context(shop, project=broken))
    for _ in range(2):
        told = door.post("/w/shopify", **asked).json()
        assert (told["accepted"], told.get("ignored", False), bool(told["refused"])) == (
            0,
            why == "ignored",
            why == "refused",
        )
    door = client_of(replace_context(shop, project=replace(broken, webhooks=mended)))
    assert door.post("/w/shopify", **asked).json()["accepted"] == 1
    assert door.post("/w/shopify", **asked).json()["replayed"]


def test_what_failed_may_be_sent_again(shop: Shop, door: TestClient) -> None:
    log = shop.context.log
    fails = SimpleNamespace(append=_full, last=log.last)
    broken = client_of(replace_context(shop, log=fails))
    assert broken.post("/w/shopify", **shopify(SHOPIFY_ORDER)).status_code == 503
    assert door.post("/w/shopify", **shopify(SHOPIFY_ORDER)).json()["accepted"] == 1


def _full(*_: object) -> None:
    raise Transient("log.full", "the disk is full")


def replace_context(shop: Shop, **changes: Any) -> Shop:
    return replace(shop, context=replace(shop.context, **changes))


def test_stripe_signatures_are_checked_for_their_time(shop: Shop, door: TestClient) -> None:
    raw = json.dumps(STRIPE["checkout.session.completed"]).encode()

    def signed(at: int) -> Mapping[str, str]:
        told = f"t={at},v1={hmac.digest(b's3cret', f'{at}.'.encode() + raw, 'sha256').hex()}"
        return {"Stripe-Signature": told}

    now = shop.context.lease_clock.now() // 1_000_000
    assert door.post("/w/stripe", content=raw, headers=signed(now - 301)).status_code == 401
    assert door.post("/w/stripe", content=raw, headers=signed(now)).json()["accepted"] == 1
    assert door.post("/w/stripe", content=raw, headers=signed(now - 10)).json()["replayed"]  # its id came before


def may_send(shop: Shop, email: str) -> str:
    """What the sender's gate says of a marketing mail to an address, with what Records say now."""
    message = next(one for one in shop.records.messages.page(before=None, limit=1))
    facts = next(iter(shop.engine.facts([one for one in range(12)]).values()))
    digest = shop.sealer.hash_address(email)
    barred = gate(
        replace(message, purpose="marketing", send_by_at=Instant(NOW + MINUTE)),
        facts,
        address=email,
        consent=digest in shop.records.consents.granted([digest], "marketing"),
        suppressed=shop.records.consents.suppressed([digest]).get(digest),
        audience=Audience(),
        now=NOW,
        identity=SenderIdentity(
            from_name="Shop",
            from_address="shop@maple.example",
            postal_address="1 Street",
            base_url="https://shop.example",
            allow_reserved_domains=True,
        ),
    )
    return barred.reason if barred else "sends"


def test_a_preference_changed_elsewhere_binds_the_gate_at_once(shop: Shop, door: TestClient) -> None:
    headers, email = {"Authorization": "Bearer s3cret"}, "new@maple.example"
    told = [(at, event) for at, event in enumerate(("ACTIVE", "WITHDRAWN", "ACTIVE"), NOW // 1_000_000 - 100)]
    seen = [may_send(shop, email)]
    for at, status in told:
        body = onetrust(status, str(at), email, event=f"{status}{at}")
        answer = door.post("/w/onetrust", json=body, headers=headers)
        assert answer.json() == {"accepted": 1, "consents": 1, "refused": []}
        seen.append(may_send(shop, email))
    assert seen == ["no_consent", "sends", "no_consent", "sends"]
    [first, *_] = shop.records.consents.ledger(shop.sealer.hash_address(email))
    assert (first.source, first.wording) == ("webhook:onetrust", f"OneTrust consent receipt ACTIVE{told[0][0]}")
    again = onetrust("WITHDRAWN", str(told[1][0]), email, event=f"WITHDRAWN{told[1][0]}")
    assert door.post("/w/onetrust", json=again, headers=headers).json()["replayed"]
    assert may_send(shop, email) == "sends"
    assert door.post("/w/onetrust", json=again).status_code == 401


def test_a_template_of_ones_own_with_an_answer_for_each_thing(shop: Shop, door: TestClient) -> None:
    people = [{"id": 11, "n": "2"}, {"id": 12, "n": "two"}, {"kind": "robot"}, {"n": 1}, "odd"]
    before = shop.log.last()[0]
    body = {"people": people, "who": "x", "sku": "P1", "title": "Pear", "bounced": "gone@shop.example"}
    answer = door.post("/w/ping?token=s3cret", json=body).json()
    assert {name: answer[name] for name in ("accepted", "events", "suppressions", "items")} == {
        "accepted": 3,
        "events": 1,
        "suppressions": 1,
        "items": 1,
    }
    assert sorted((one["output"], one["index"], one["field"], one["reason"]) for one in answer["refused"]) == [
        ("events.0", 1, "properties.n", "is no number"),
        ("events.0", 3, "userId", "nobody is named: send userId or anonymousId"),
        ("events.0", 4, "userId", "nobody is named: send userId or anonymousId"),
    ]
    assert [type(body) for body in grown(shop, before)] == [Items, Events]
    digest = shop.sealer.hash_address("gone@shop.example")
    assert shop.records.consents.suppressed([digest]) == {digest: "bounce"}
    tally = shop.records.webhooks.tallies()["ping"]
    assert (tally.accepted, tally.refused, tally.last_fault) == (3, 3, "events.0: properties.n")


def test_what_nothing_is_asked_of_is_told_and_counted(shop: Shop, door: TestClient) -> None:
    assert door.post("/w/ping?token=s3cret", json={"a": 1}).json() == {"accepted": 0, "refused": [], "ignored": True}
    assert door.post("/w/ping?token=s3cret", json={"kind": "test"}).json() == {"accepted": 0, "refused": []}
    sign_in(door, shop)
    [row] = [one for one in door.get("/v1/webhooks").json()["webhooks"] if one["name"] == "ping"]
    assert (row["received"], row["ignored"], row["source"]) == (2, 1, "webhook:ping")
    assert row["address"] == "http://testserver/w/ping"
    assert client_of(shop).get("/v1/webhooks").status_code == 401


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b'{"a": NaN}', {}, 400),
        (b'{"a": "\\ud800"}', {}, 400),
        (b"\xff", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"null", {}, 200),
        (b"[1, 2]", {}, 200),
        (b'"text"', {}, 200),
        (b" " * 600_000 + b"{}", {}, 413),
        (gzip.compress(b'{"people": [{"id": 1}]}', mtime=0), {"Content-Encoding": "gzip"}, 200),
        (gzip.compress(b" " * 5_000_000, mtime=0), {"Content-Encoding": "gzip"}, 413),
        (b"no gzip", {"Content-Encoding": "gzip"}, 400),
        (b"{}", {"Content-Encoding": "br"}, 415),
        (b"sku=P2&title=Plum&title=Prune", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, 200),
        (b"a=%ff", {"Content-Type": "application/x-www-form-urlencoded"}, 200),
    ],
)
def test_odd_bodies(door: TestClient, content: bytes, headers: Mapping[str, str], status: int) -> None:
    answer = door.post("/w/ping?token=s3cret", content=content, headers=headers)
    assert answer.status_code == status, answer.text


def test_a_form_is_an_object_of_its_fields(shop: Shop, door: TestClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    before = shop.log.last()[0]
    assert door.post("/w/ping?token=s3cret", content=b"sku=P2&title=Plum+%26+more", headers=headers).status_code == 200
    [item] = grown(shop, before)[0].items
    assert (item.item_id, item.facts) == ("P2", {"title": "Plum & more"})


def test_senders_that_ask_first(door: TestClient) -> None:
    asked = {"hub.challenge": "abc-123", "hub.verify_token": "s3cret"}
    answer = door.get("/w/ping", params=asked)
    assert (answer.status_code, answer.text) == (200, "abc-123")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert door.get("/w/ping", params={**asked, "hub.verify_token": "x"}).status_code == 401
    assert door.get("/w/ping", params={**asked, "hub.challenge": "<script>"}).status_code == 404
    assert door.get("/w/ping").status_code == 404
    assert door.get("/w/stripe", params=asked).status_code == 404
    assert (door.head("/w/ping").status_code, door.head("/w/none").status_code) == (200, 404)


def test_what_is_not_there(door: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert door.post("/w/none", json={}).status_code == 404
    assert door.post("/w/..%2Fx", json={}).status_code in (404, 405, 422, 400)
    monkeypatch.delenv("PING_SECRET")
    missing = door.post("/w/ping?token=", json={})
    assert (missing.status_code, missing.json()["error"]["code"]) == (503, "webhook.secret")
    assert "PING_SECRET" not in missing.text


def test_what_a_mail_service_tells_counts_once_and_a_bounce_ends_all_mail(shop: Shop, door: TestClient) -> None:
    before = shop.log.last()[0]
    for again in (False, True):
        for body in POSTMARK:
            told = door.post("/w/postmark", json=body, auth=("mailwright", "s3cret")).json()
            assert told.get("replayed", False) is again, told
    assert door.post("/w/postmark", json=POSTMARK[0], auth=("mailwright", "other")).status_code == 401
    events = [event for body in grown(shop, before) for event in body.events]
    assert sorted(event.name for event in events) == [
        "Email Bounced",
        "Email Delivered",
        "Email Link Clicked",
        "Email Marked as Spam",
        "Email Opened",
        "Unsubscribed",
    ]
    digest = shop.sealer.hash_address(WHO)
    assert {one.value for event in events for one in event.identifiers} == {digest}
    assert shop.records.consents.suppressed([digest]) == {digest: "hard bounce told by Postmark"}
    [withdrawn] = shop.records.consents.ledger(digest)
    assert not withdrawn.granted
