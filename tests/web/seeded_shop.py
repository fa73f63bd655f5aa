"""A small shop with real stores behind the pages: SQLite records, an in-memory log, History tables in DuckDB.

Everybody and everything in it is derived from numbers, so that a test can count by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from fastapi import FastAPI
from seeded_definitions import EXPERIMENT, HERO, MAIL, NOW, PRODUCTS, SEGMENTS, START, ShopProject
from seeded_engine import ACCOUNTS, FixedEngine, StandingClock

from mailwright.core.commits import TickCommit
from mailwright.core.events import Event, Events, Identifier, Offset, Person
from mailwright.core.facts import Known, PersonFacts
from mailwright.core.instants import DAY, HOUR, MINUTE, Instant, parse_iso
from mailwright.core.messages import Failed, Message, MessageState, SendRequest, Sent, Unknown
from mailwright.core.ports import Consent, DefinitionVersion, Handing, ModelVersion, Refusal
from mailwright.decisions.content_rules import condition_name
from mailwright.decisions.decide import Decision, decide
from mailwright.decisions.matched import Match
from mailwright.decisions.recommend import Ranked
from mailwright.decisions.record import Refused, record
from mailwright.delivery.links import MailLinks
from mailwright.ingest.segment import Source
from mailwright.privacy.keys import KeyRing
from mailwright.privacy.sealing import Sealer
from mailwright.privacy.tokens import Tokens
from mailwright.runtime.engine.history_rows import EVENTS, TRANSITIONS
from mailwright.stores.history_delta import DeltaHistory
from mailwright.stores.memory import MemoryBlobs, MemoryEventLog
from mailwright.stores.records_sql import SqlRecords
from mailwright.web.context import WebContext, WebSettings

N_PEOPLE = 140
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
FIRST = ["Ada", "Bruno", "Chloe", "Deniz", "Edda", "Farid", "Greta", "Hugo", "Ines", "Jonas"]
LAST = ["Keller", "Lindqvist", "Moreau", "Novak", "Okafor", "Petrov", "Quist", "Rossi", "Silva", "Toth"]


class ShopRecommender:
    """Ranks the shop's products in their own order."""

    def ready(self, source: str) -> str | None:
        return "its gate refused it: below own purchase count" if source == "for_you" else None

    def items(self, source: str, facts: PersonFacts, n: int) -> Sequence[Ranked]:
        return [Ranked(item, 0.93 - 0.11 * i, "Bought by many this week") for i, item in enumerate(PRODUCTS)][:n]

    def version(self, source: str) -> str:
        return f"{source} 2"


@dataclass
class Shop:
    """The context of the pages, and what a test needs to count and to act."""

    context: WebContext
    engine: FixedEngine
    log: MemoryEventLog
    records: SqlRecords
    history: DeltaHistory
    wall: StandingClock
    links: MailLinks
    sealer: Sealer
    message_ids: list[str]
    app: FastAPI | None = None
    """Set by a test that serves it."""

    def events(self) -> list[Event]:
        """All events in the log."""
        bodies = [one.body for one in self.log.read(0, 10_000)]
        return [event for body in bodies if isinstance(body, Events) for event in body.events]


def make_shop(folder: Path, base_url: str = "http://testserver", *, n_people: int = N_PEOPLE) -> Shop:
    """A shop with four weeks of orders and two campaigns behind it."""
    keys = KeyRing.generate()
    sealer, tokens = Sealer(keys), Tokens(keys)
    people = {Person(n): _facts(sealer, n) for n in range(n_people)}
    records = SqlRecords.open(folder / "records.sqlite")
    links = MailLinks(tokens, base_url)
    _consents(records, people)
    ids = _mails(records, sealer, people, links)
    _models(records)
    _definitions(records)
    outcome_events = [event for _, body in records.outbox.pending(100_000) for event in getattr(body, "events", [])]
    history = DeltaHistory(folder / "history")
    for table, rows in _history([*_shop_events(people), *outcome_events, *_reactions(outcome_events)], people).items():
        history.append(table, rows, Offset(10**9))
    log, engine, wall = MemoryEventLog(), FixedEngine(people), StandingClock(parse_iso("2026-11-22T09:00:00Z"))
    context = WebContext(
        log=log,
        records=records,
        engine=engine,
        history=history,
        blobs=MemoryBlobs(),
        clock=StandingClock(NOW),
        lease_clock=wall,
        sealer=sealer,
        tokens=tokens,
        sources={"sk_server": Source("till", "server"), "pk_browser": Source("shop", "browser")},
        project=ShopProject(),
        settings=WebSettings(base_url=base_url, page_rows=50),
    )
    return Shop(context, engine, log, records, history, wall, links, sealer, ids)


# --- people ----------------------------------------------------------------------------------------------------------


def _facts(sealer: Sealer, n: int) -> PersonFacts:
    email, first = f"household-{n}@example.com", HOSTILE if n == 13 else FIRST[n % 10]
    traits = {"email": email, "firstName": first, "lastName": LAST[n // 10 % 10]}
    orders = n % 9 + 1
    segments = ["everyone"]
    segments += ["frequent_buyers"] if orders >= 4 else []
    segments += ["high_value"] if n % 5 == 0 else []
    segments += ["lapsing"] if n % 7 == 3 else []
    segments += ["coupon_lovers"] if n % 6 == 1 else []
    segments += ["produce_fans"] if n % 4 == 2 else []
    seen = Instant(NOW - (n % 17) * 7 * HOUR)
    attributes = {
        "orders": orders,
        "spend": round(31.85 * orders + n, 2),
        "favourite_department": ["GROCERY", "PRODUCE", "DRUG GM"][n % 3],
        "since_order": 273556,
        "first_order": "2017-12-01T14:30:00Z",
        "engagement": 20 + n % 70,
        "recently_bought": list(PRODUCTS)[n % 4 : n % 4 + 2],
    }
    told = {name: Known(value=sealer.seal(name, value), at=START, source="till") for name, value in traits.items()}
    told["kids"] = Known(value=n % 4, at=START, source="till")
    if n == 2:
        street = {"street": sealer.seal("address.street", "12 Elm Row"), "city": "York"}
        told["address"] = Known(value=street, at=START, source="till")
    return PersonFacts(
        person=Person(n),
        at=NOW,
        offset=Offset(4096 * 899),
        first_identifier=f"user_id:household-{n}",
        identifiers=[Identifier("user_id", f"household-{n}"), Identifier("email", sealer.hash("email", email))],
        traits=told,
        attributes={name: Known(value=value, at=seen, source="attribute") for name, value in attributes.items()},
        segments=segments,
        truths={
            condition_name("hero", "produce"): n % 4 == 2,
            condition_name("hero", "frequent"): orders >= 4,
        },
        first_seen_at=START,
        last_seen_at=seen,
        n_events=orders + 1,
        sources={"till": seen},
        accounts=list(ACCOUNTS) if n in (1, 2, 13) else [],
        history={
            "kids": [told["kids"], Known(value=None, at=Instant(START - DAY), source="crm")],
            "lastName": [told["lastName"], Known(value=sealer.seal("lastName", HOSTILE), at=START, source="crm")],
            "plan": [Known(value=None, at=START, source="crm")],
        },
    )


def address_hash(facts: PersonFacts) -> str:
    return next(one.value for one in facts.identifiers if one.kind == "email")


def _consents(records: SqlRecords, people: dict[Person, PersonFacts]) -> None:
    rows = [_consent(facts, True, START, "demo", "Yes, send me offers.") for facts in people.values()]
    rows += [_consent(f, False, Instant(START + DAY), "form", "") for n, f in people.items() if n % 23 == 5]
    records.consents.record(rows)


def _consent(facts: PersonFacts, granted: bool, at: Instant, source: str, wording: str) -> Consent:
    return Consent(
        address_hash=address_hash(facts),
        purpose="marketing",
        granted=granted,
        at=at,
        source=source,
        wording=wording,
    )


# --- mails -----------------------------------------------------------------------------------------------------------


def _mails(records: SqlRecords, sealer: Sealer, people: dict[Person, PersonFacts], links: MailLinks) -> list[str]:
    epoch = records.engine.take_over()
    ids: list[str] = []
    for week in range(2):
        at = Instant(parse_iso("2017-12-18T14:00:00Z") + week * 7 * DAY)
        requests = [_request(n, week, at) for n in people]
        records.engine.commit_tick(epoch, TickCommit(offset=Offset(4096 * (700 + week)), at=at, requests=requests))
        taken = records.messages.claim(at, 10_000, "sender-1", lease_now=at, lease_until=Instant(at + HOUR))
        ids += [message.id for message in taken]
        _finish(records, sealer, people, links, taken, at)
    return ids


def _request(n: int, week: int, at: Instant) -> SendRequest:
    back = n % 7 == 3
    return SendRequest(
        send_key=f"key-{n}-{week}",
        origin="journey:win_back" if back else "campaign:weekly_offers",
        step="miss_you" if back else "mail",
        occurrence="2017-12-18T14:00:00Z",
        person=Person(n),
        purpose="marketing",
        queued_at=at,
        send_by_at=Instant(at + 12 * HOUR),
    )


def _finish(
    records: SqlRecords, sealer: Sealer, people: Any, links: MailLinks, taken: list[Message], at: Instant
) -> None:
    refusals, handings, results = [], [], []
    for message in taken:
        facts, n = people[message.person], int(message.person)
        state, reason = _refusal(n)
        decided = (
            Refused(reason=reason)
            if state
            else decide(MAIL, EXPERIMENT, facts, {"hero": HERO}, ShopRecommender(), at, _lookup)
        )
        kept = record(decided, _request(n, 0, at), facts, matched=[_match(facts)], definitions_version=3, now=at)
        if state:
            refusals.append(
                Refusal(send_key=message.send_key, fence=message.fence, state=state, reason=reason, decision=kept)
            )
            continue
        assert isinstance(decided, Decision)
        handings.append(_handing(message, facts, kept, sealer, links))
        outcome: Any = Failed("550 5.1.1 no such mailbox") if n % 41 == 9 else Sent("250 ok")
        outcome = Unknown("the connection broke after the final dot") if n == 17 else outcome
        results.append((message.send_key, message.fence, outcome))
    records.messages.refuse(refusals, at)
    records.messages.handing(handings)
    records.messages.dot([(one.send_key, one.fence) for one in handings])
    records.messages.result(results, Instant(at + 2 * MINUTE))


def _refusal(n: int) -> tuple[MessageState | None, str]:
    if n % 23 == 5:
        return MessageState.SUPPRESSED, "no_consent"
    return (MessageState.EXPIRED, "expired") if n % 61 == 7 else (None, "")


def _match(facts: PersonFacts) -> Match:
    return Match(
        condition="campaign:weekly_offers:audience",
        rule="in segment everyone and not in segment lapsing",
        truth=True,
        uses=("attribute orders", "attribute favourite_department", "trait firstName"),
    )


def _lookup(item_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {item: {"title": PRODUCTS[item], "price": 2.49} for item in item_ids if item in PRODUCTS}


def _handing(message: Message, facts: PersonFacts, kept: dict[str, Any], sealer: Sealer, links: MailLinks) -> Handing:
    name = sealer.unseal(facts.traits["firstName"].value)
    subject = f"{'Welcome back' if message.step != 'mail' else 'Picked for your week'}, {FIRST[facts.person % 10]}"
    assigned = kept["experiment"]
    return Handing(
        send_key=message.send_key,
        fence=message.fence,
        body=mail_bytes(message.id, facts, subject, name, kept, links),
        subject=subject,
        decision=kept,
        template_version="weekly_offers@3",
        experiment=assigned["name"],
        variant=assigned["variant"],
        p_variant=assigned["probability"],
    )


def mail_bytes(message_id: str, facts: PersonFacts, subject: str, name: str, kept: Any, links: MailLinks) -> bytes:
    """A mail as the sender would make it, with a link that is tracked, a pixel and an unsubscribe link."""
    rows = "".join(
        f'<tr><td style="padding:14px 24px;border-top:1px solid #eee"><b>{item["facts"]["title"]}</b><br>'
        f'<span style="color:#667">{item["reason"]}</span></td><td style="padding:14px 24px;text-align:right">'
        f'<a style="background:#1d6b4f;color:#fff;padding:9px 16px;border-radius:6px;text-decoration:none" '
        f'href="{links.click(message_id, place, "https://shop.example/p/" + item["item_id"])}">$2.49</a></td></tr>'
        for place, item in enumerate(kept["recommendations"]["items"])
    )
    leave = links.unsubscribe(message_id, address_hash(facts), "marketing")
    headline = next(one["use"]["headline"] for one in kept["content"])
    html = (
        '<html><body style="margin:0;background:#f2f5f3;font-family:Arial,sans-serif">'
        '<table width="100%" style="max-width:600px;margin:24px auto;background:#fff;border-radius:10px">'
        f'<tr><td colspan="2" style="padding:30px 24px 10px"><h1 style="margin:0;font-size:26px">{headline}</h1>'
        f"<p>Hello {name}, these are in your shop this week.</p></td></tr>{rows}"
        f'<tr><td colspan="2" style="padding:20px 24px;color:#778;font-size:12px">Corner Grocery, 1 Main Street. '
        f'<a href="{leave}">Unsubscribe</a></td></tr></table><img src="{links.pixel(message_id)}" width="1" height="1" '
        'alt=""></body></html>'
    )
    mail = EmailMessage()
    mail["From"] = "Corner Grocery <hello@grocery.example>"
    mail["To"] = f"household-{facts.person}@example.com"
    mail["Subject"] = subject
    mail["List-Unsubscribe"] = f"<{leave}>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    titles = [f"- {item['facts']['title']}" for item in kept["recommendations"]["items"]]
    mail.set_content(
        "\n".join([headline, "", "These are in your shop this week:", *titles, "", f"Unsubscribe: {leave}"])
    )
    mail.add_alternative(html, subtype="html")
    return mail.as_bytes()


# --- models, definitions, history ------------------------------------------------------------------------------------


def _models(records: SqlRecords) -> None:
    figures = {
        "for_you": {"precision@10": 0.1482, "recall@10": 0.0917, "ndcg@10": 0.1733},
        "popularity": {"precision@10": 0.0821, "recall@10": 0.0463, "ndcg@10": 0.0907},
        "own_purchase_count": {"precision@10": 0.1618, "recall@10": 0.1022, "ndcg@10": 0.1951},
    }
    records.models.register(
        ModelVersion(
            name="for_you",
            version=1,
            created_at=START,
            kind="ease",
            parameters={"items": 2000, "regularisation": 250.0},
            metrics=figures,
            passed=False,
            gate="refused: ndcg@10 0.1733 is below own_purchase_count 0.1951 (it beats popularity 0.0907)",
            blob=None,
            data_hash="5f0c1d9a" * 8,
            code_version="0.1.0",
        )
    )
    records.models.register(
        ModelVersion(
            name="usual_buys",
            version=1,
            created_at=START,
            kind="own_purchase_count",
            parameters={},
            metrics={"usual_buys": figures["own_purchase_count"], "popularity": figures["popularity"]},
            passed=True,
            gate="passed: ndcg@10 0.1951 beats popularity 0.0907",
            blob=None,
            data_hash="a1b2c3d4" * 8,
            code_version="0.1.0",
        )
    )


def _definitions(records: SqlRecords) -> None:
    segments = "".join(f"{s.name}:\n  title: {s.title}\n  rule: |\n    {s.text}\n" for s in SEGMENTS.values())
    files = {
        "segments.yaml": segments,
        "campaigns/weekly_offers.yaml": "title: Weekly offers\naudience: in segment everyone\npurpose: marketing\n",
        "templates/weekly_offers.mjml": "<mjml>\n  <mj-body>\n    <mj-text>Hello {{ first_name }}</mj-text>\n</mjml>\n",
    }
    records.definitions.store(DefinitionVersion(version=1, applied_at=START, digest="c0ffee" * 8, files=files))


def _event(person: Person, name: str, stamp: Instant, key: str, properties: dict[str, Any]) -> Event:
    return Event(
        message_id=key,
        source="till",
        type="track",
        name=name,
        stamp_at=stamp,
        received_at=stamp,
        known_at=stamp,
        identifiers=[Identifier("user_id", f"household-{person}")],
        properties=properties,
    )


def _shop_events(people: dict[Person, PersonFacts]) -> Iterator[Event]:
    for n, facts in people.items():
        for i in range(facts.attributes["orders"].value):
            stamp = Instant(START + (n * 7 + i * 83) % (28 * 24) * HOUR + n * MINUTE)
            lines = [{"product_id": item, "quantity": 1, "price": 2.49} for item in list(PRODUCTS)[: 1 + i % 3]]
            yield _event(
                n, "Order Completed", stamp, f"o{n}-{i}", {"order_id": f"{n}-{i}", "total": 31.85, "products": lines}
            )
        if n % 6 == 1:
            yield _event(n, "Coupon Applied", Instant(START + n * HOUR), f"k{n}", {"coupon": "SAVE-10"})


def _reactions(outcomes: list[Event]) -> Iterator[Event]:
    sent = [event for event in outcomes if event.name == "Email Sent"]
    for i, event in enumerate(sent):
        told = {"message_id": event.properties["message_id"], "machine": False}
        later = Instant(event.stamp_at + (i % 9 + 1) * HOUR)
        if i % 3 != 2:
            yield msgspec.structs.replace(
                event, name="Email Opened", message_id=f"open-{i}", stamp_at=later, properties=told
            )
        if i % 7 == 0 or (i % 5 == 0 and event.properties.get("variant") == "personalised"):
            clicked = {**told, "url": "https://shop.example/p/1082185"}
            yield msgspec.structs.replace(
                event, name="Email Link Clicked", message_id=f"click-{i}", stamp_at=later, properties=clicked
            )


def history_row(offset: int, event: Event) -> dict[str, Any]:
    """An event as the engine writes it."""
    return {
        "offset": offset,
        "recorded_at": event.received_at,
        "message_id": event.message_id,
        "source": event.source,
        "type": event.type,
        "name": event.name,
        "stamp_at": event.stamp_at,
        "received_at": event.received_at,
        "known_at": event.known_at,
        "identifier_kind": event.identifiers[0].kind,
        "identifier": event.identifiers[0].value,
        "properties": msgspec.json.encode(event.properties).decode() if event.properties else None,
        "traits": None,
        "context": None,
        "history": event.history,
    }


def _history(events: Sequence[Event], people: dict[Person, PersonFacts]) -> dict[str, pa.Table]:
    rows = [history_row(4096 + i, event) for i, event in enumerate(events)]
    entered = [
        {
            "offset": 900 + n * 9 + i,
            "at": START + (n + i) * HOUR,
            "person": n,
            "segment": name,
            "entered": True,
            "cause": "event",
        }
        for n, facts in people.items()
        for i, name in enumerate(facts.segments)
    ]
    return {"events": pa.Table.from_pylist(rows, EVENTS), "transitions": pa.Table.from_pylist(entered, TRANSITIONS)}
