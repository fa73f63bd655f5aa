"""A small shop with real stores behind the pages: SQLite records, an in-memory log, History tables in DuckDB.

Everybody and everything in it is derived from numbers, so that a test can count by hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa
from fastapi import FastAPI

from mailwright.core.commits import TickCommit
from mailwright.core.errors import NotFound
from mailwright.core.events import Event, Events, Identifier, Item, Offset, Person
from mailwright.core.facts import AccountFacts, EngineStatus, Known, Member, PersonFacts
from mailwright.core.happenings import Place, Unwritten, Whose
from mailwright.core.instants import DAY, HOUR, MINUTE, Instant, parse_iso
from mailwright.core.messages import Failed, Message, MessageState, SendRequest, Sent, Unknown
from mailwright.core.person_graph import GraphIdentifier, PersonGraph
from mailwright.core.ports import Consent, DefinitionVersion, Handing, ModelVersion, Refusal
from mailwright.core.previews import Count, Preview
from mailwright.core.transitions import Cursor, TransitionPage
from mailwright.decisions.content_rules import ContentRuleDefinition, RowDefinition, condition_name
from mailwright.decisions.decide import Decision, decide
from mailwright.decisions.mail import MailDefinition, RecommendDefinition, VariableDefinition
from mailwright.decisions.matched import Match
from mailwright.decisions.recommend import Ranked
from mailwright.decisions.record import Refused, record
from mailwright.delivery.links import MailLinks
from mailwright.experiments.definitions import ExperimentDefinition, VariantDefinition
from mailwright.ingest.definitions import CatalogDefinition, TrackingPlan
from mailwright.ingest.forms.definitions import FormDefinition
from mailwright.ingest.hooks import IngestRules, Normaliser, Resolve
from mailwright.ingest.identifiers import Seal
from mailwright.ingest.imports import ImportDefinition
from mailwright.ingest.limits import LIMITS, Limits
from mailwright.ingest.lookups import LookupDefinition
from mailwright.ingest.normalise.normaliser import Normaliser as SchemaNormaliser
from mailwright.ingest.schema import AccountsDefinition, ProfileSchema, RollUp, TraitDefinition
from mailwright.ingest.segment import Source
from mailwright.ingest.webhooks.definitions import WebhookDefinition
from mailwright.privacy.keys import KeyRing
from mailwright.privacy.sealing import Sealer
from mailwright.privacy.tokens import Tokens
from mailwright.reports.quality.definitions import QualityDefinition
from mailwright.rules.parse import parse
from mailwright.rules.syntax import Expression, InSegment, from_json
from mailwright.runtime.engine.history_rows import EVENTS, TRANSITIONS
from mailwright.runtime.project.asked import asked_rule
from mailwright.runtime.project.load import Project
from mailwright.stores.history_delta import DeltaHistory
from mailwright.stores.memory import MemoryBlobs, MemoryEventLog
from mailwright.stores.records_sql import SqlRecords
from mailwright.web.context import Definition, WebContext, WebSettings

NOW = parse_iso("2017-12-28T13:00:00Z")
START = parse_iso("2017-11-30T00:00:00Z")
N_PEOPLE = 140
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
FIRST = ["Ada", "Bruno", "Chloe", "Deniz", "Edda", "Farid", "Greta", "Hugo", "Ines", "Jonas"]
LAST = ["Keller", "Lindqvist", "Moreau", "Novak", "Okafor", "Petrov", "Quist", "Rossi", "Silva", "Toth"]
PRODUCTS = {
    "1029743": "Whole milk, 1 gallon",
    "1082185": "Bananas",
    "995242": "Skim milk, half gallon",
    "1106523": "Orange juice, not from concentrate",
    "981760": "Large eggs, 12",
    "1127831": "Strawberries, 1 lb",
    "840361": "Sourdough loaf",
}


ACCOUNTS = {
    name: AccountFacts(
        id=name,
        traits={"plan": Known(value="gold", at=NOW, source="crm")},
        history={
            "plan": [Known(value="gold", at=NOW, source="crm"), Known(value=None, at=START, source="till")],
            "city": [Known(value=None, at=START, source="till")],
        },
        n_members=3,
        first_seen_at=START,
        last_seen_at=NOW,
        members=[Member(person=Person(n), first_at=START, last_at=NOW) for n in (1, 2, 13)],
        figures={"people": 3},
    )
    for name in ["acme", "a/b <script>alert(1)</script>"]
}


class StandingClock:
    """A clock that a test moves by hand."""

    def __init__(self, at: Instant) -> None:
        self.at = at

    def now(self) -> Instant:
        return self.at


class FixedEngine:
    """EngineReads over facts that a test made."""

    def __init__(self, people: dict[Person, PersonFacts]) -> None:
        self.people = people
        self.down: Exception | None = None

    def status(self) -> EngineStatus:
        self._answer()
        names = [name for facts in self.people.values() for name in facts.segments]
        return EngineStatus(
            offset=Offset(4096 * 900),
            tick_offset=Offset(4096 * 899),
            at=NOW,
            version=3,
            n_persons=len(self.people),
            n_events=sum(facts.n_events for facts in self.people.values()),
            n_duplicates=12,
            n_items=len(PRODUCTS),
            segments={name: names.count(name) for name in SEGMENTS},
        )

    def facts(
        self, persons: Sequence[Person], conditions: Sequence[str] = (), *, past: bool = False
    ) -> dict[Person, PersonFacts]:
        self._answer()
        found = {person: self.people[person] for person in persons if person in self.people}
        return found if past else {n: msgspec.structs.replace(one, history={}) for n, one in found.items()}

    def having(self, trait: str, value: Any) -> list[Person]:
        self._answer()
        told = {person: facts.traits[trait].value for person, facts in self.people.items() if trait in facts.traits}
        asked = value["hash"] if isinstance(value, dict) else value
        return [n for n, one in told.items() if (one["hash"] if isinstance(one, dict) else one) == asked]

    def accounts(self, after: str | None, limit: int) -> list[AccountFacts]:
        self._answer()
        if after is not None and after not in ACCOUNTS:
            raise NotFound("account.unknown", f"there is no account {after!r}")
        start = 0 if after is None else list(ACCOUNTS).index(after) + 1
        return list(ACCOUNTS.values())[start : start + limit]

    def account(self, group: str) -> AccountFacts | None:
        self._answer()
        return ACCOUNTS.get(group)

    def find(self, kind: str, value: str) -> Person | None:
        self._answer()
        wanted = Identifier(kind, value)
        return next((facts.person for facts in self.people.values() if wanted in facts.identifiers), None)

    def graph(self, person: int) -> PersonGraph:
        """Everybody's identifiers came with their first one; nobody was ever merged."""
        facts = self.people[Person(person)]
        keys = [f"{one.kind}:{one.value}" for one in facts.identifiers]
        return PersonGraph(
            person=facts.person,
            numbers=[facts.person],
            identifiers=[
                GraphIdentifier(key=key, since_at=START, offset=Offset(4096), via=keys[0] if place else "")
                for place, key in enumerate(keys)
            ],
            merges=[],
            refused=[],
            apart=[],
        )

    def members(self, segment: str, after: Person | None, limit: int) -> list[Person]:
        self._answer()
        if segment not in SEGMENTS:
            raise NotFound("segment.unknown", f"there is no segment {segment!r}")
        start = -1 if after is None else after
        inside = (person for person, facts in self.people.items() if segment in facts.segments and person > start)
        return list(itertools.islice(inside, limit))

    def first_identifiers(self, persons: Sequence[Person]) -> dict[Person, str]:
        self._answer()
        return {person: self.people[person].first_identifier for person in persons if person in self.people}

    def overlap(self, segment: str, others: Sequence[str]) -> dict[str, int]:
        members = {name: set(self.members(name, None, 10**6)) for name in (segment, *others)}
        return {name: len(members[segment] & members[name]) for name in others}

    def preview(self, rule: bytes, against: str | None, limit: int) -> Preview:
        """Understands ``in segment X`` alone; anything else needs leaves that are not kept."""
        self._answer()
        node = from_json(rule)
        if not isinstance(node, InSegment):
            return Preview(at=NOW, n_persons=len(self.people), exact=False, missing=["leaf"])
        inside = self.members(node.name, None, 10**6)
        before = self.members(against, None, 10**6) if against in SEGMENTS else []
        entering, leaving = sorted(set(inside) - set(before)), sorted(set(before) - set(inside))
        return Preview(
            at=NOW,
            n_persons=len(self.people),
            exact=True,
            size=Count.of(len(inside)),
            entering=Count.of(len(entering)) if against is not None else None,
            leaving=Count.of(len(leaving)) if against is not None else None,
            sample=inside[:limit],
            entering_sample=entering[:limit],
            leaving_sample=leaving[:limit],
        )

    def transitions(self, after: Cursor | None, segments: Sequence[str] | None, limit: int) -> TransitionPage:
        """It remembers nothing: History has all."""
        self._answer()
        since = Cursor(Offset(4096 * 899))
        return TransitionPage(changes=[], cursor=after or since, kept_since=since)

    def latest_transitions(self, segment: str, limit: int) -> TransitionPage:
        self._answer()
        return TransitionPage(changes=[], cursor=Cursor(Offset(4096 * 899)))

    def unwritten(self, whose: Whose, before: Place, limit: int) -> Unwritten:
        """History has all."""
        self._answer()
        return Unwritten(rows=[], after=Offset(2**62))

    def items(self, catalog: str, item_ids: Sequence[str]) -> dict[str, Item]:
        return {
            i: Item(catalog=catalog, item_id=i, stamp_at=START, facts={"title": PRODUCTS[i]})
            for i in item_ids
            if i in PRODUCTS
        }

    def _answer(self) -> None:
        if self.down:
            raise self.down


SEGMENTS = {
    "frequent_buyers": Definition(
        name="frequent_buyers",
        title="Frequent buyers",
        description="Shop at least weekly",
        text="did 'Order Completed' at least 4 times within the last 28 days",
    ),
    "high_value": Definition(
        name="high_value",
        title="High value",
        text="sum of 'Order Completed'.total within the last 90 days >= 500\nand not in segment lapsing",
    ),
    "lapsing": Definition(
        name="lapsing",
        title="Lapsing",
        description="Used to come, and stopped",
        text="orders >= 3 and time since last 'Order Completed' > 21 days",
    ),
    "coupon_lovers": Definition(
        name="coupon_lovers", title="Coupon lovers", text="did 'Coupon Applied' at least 2 times within 90 days"
    ),
    "produce_fans": Definition(
        name="produce_fans",
        title="Produce fans",
        text="most frequent of 'Order Completed'.products.product.department = 'PRODUCE'",
    ),
    "everyone": Definition(name="everyone", title="Everyone with an order", text="did 'Order Completed'"),
}
ATTRIBUTES = {
    "orders": Definition(name="orders", title="Orders", text="count of 'Order Completed'"),
    "spend": Definition(name="spend", title="Spend, all time", text="sum of 'Order Completed'.total"),
    "favourite_department": Definition(name="favourite_department", title="Favourite department", text="..."),
    "since_order": Definition(name="since_order", title="Since the last order", text="...", kind="duration"),
    "first_order": Definition(name="first_order", title="First order", text="...", kind="instant"),
    "engagement": Definition(name="engagement", title="Engagement, 0 to 100", text="..."),
    "recently_bought": Definition(name="recently_bought", title="Recently bought", text="..."),
}
EXPERIMENT = ExperimentDefinition(
    name="personal_offers",
    variants={"popular": VariantDefinition(share=0.5), "personalised": VariantDefinition(share=0.5)},
)
HERO = ContentRuleDefinition(
    title="Hero",
    slot="hero",
    rows=[
        RowDefinition(name="produce", when="in segment produce_fans", use={"headline": "Fresh this week"}),
        RowDefinition(name="frequent", when="in segment frequent_buyers", use={"headline": "Your weekly basket"}),
    ],
    otherwise={"headline": "Offers for your week"},
)
MAIL = MailDefinition(
    template="weekly_offers",
    content_rules=["hero"],
    recommend=RecommendDefinition(sources=["for_you", "popular"], n=4, exclude_recent=True),
    variables={
        "first_name": VariableDefinition(source="trait firstName", fallback="there"),
        "department": VariableDefinition(source="attribute favourite_department", fallback="grocery"),
    },
)


FORMS = {
    "club": msgspec.convert(
        {
            "title": "Our club",
            "fields": [
                {"trait": "email", "label": "E-mail", "type": "email", "required": True},
                {"trait": "firstName", "label": "First name", "worth": 5},
                {"trait": "city", "label": "City", "type": "city", "worth": 4},
                {"trait": "postalCode", "label": "Postal code", "type": "postal_code", "worth": 3},
                {"trait": "birthday", "label": "Birthday", "type": "date", "worth": 2},
            ],
            "at_once": 3,
            "country": "DE",
            "purposes": [{"purpose": "marketing", "wording": "Yes, write to me."}],
            "double_opt_in": {},
        },
        FormDefinition,
    ),
    "plain": msgspec.convert(
        {
            "title": "Short",
            "fields": [
                {"trait": "email", "label": "E-mail", "type": "email", "required": True},
                {"trait": "firstName", "label": "First name"},
            ],
            "purposes": [{"purpose": "marketing", "wording": "Yes, write to me."}],
            "domains": ["shop.example"],
            "redirect": "https://shop.example/thanks",
        },
        FormDefinition,
    ),
    "nps": msgspec.convert(
        {
            "title": "How do you like us?",
            "kind": "survey",
            "fields": [
                {"trait": "score", "label": "Tell friends?", "type": "rating", "required": True},
                {
                    "trait": "sport",
                    "label": "Your sport",
                    "type": "choice",
                    "options": [
                        {"value": "run", "label": "Running", "set": {"interest": "running"}, "tag": "trail"},
                        {"value": "swim", "tag": "water"},
                    ],
                },
            ],
        },
        FormDefinition,
    ),
    "centre": msgspec.convert(
        {
            "title": "Your mail",
            "kind": "preferences",
            "purposes": [{"purpose": "marketing", "wording": "Yes, write to me."}],
            "fields": [{"trait": "city", "label": "City", "type": "city"}],
            "thanks": "Saved.",
        },
        FormDefinition,
    ),
}


@dataclass
class ShopProject:
    """The definitions of the shop, as runtime would show them."""

    name: str = "Corner Grocery"
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("America/New_York"))
    segments: Mapping[str, Definition] = field(default_factory=lambda: SEGMENTS)
    attributes: Mapping[str, Definition] = field(default_factory=lambda: ATTRIBUTES)
    campaigns: Mapping[str, Definition] = field(
        default_factory=lambda: {"weekly_offers": Definition(name="weekly_offers", title="Weekly offers")}
    )
    journeys: Mapping[str, Definition] = field(
        default_factory=lambda: {"win_back": Definition(name="win_back", title="Win-back")}
    )
    models: Mapping[str, Definition] = field(
        default_factory=lambda: {"for_you": Definition(name="for_you", title="For you")}
    )
    experiments: Mapping[str, ExperimentDefinition] = field(default_factory=lambda: {EXPERIMENT.name: EXPERIMENT})
    catalogs: Mapping[str, CatalogDefinition] = field(
        default_factory=lambda: {
            "products": msgspec.convert({"title": "Products", "facts": {"title": "text"}}, CatalogDefinition)
        }
    )
    tracking_plan: TrackingPlan = field(default_factory=TrackingPlan)
    profile: ProfileSchema = field(
        default_factory=lambda: ProfileSchema(
            traits={
                "kids": TraitDefinition(title="Children", type="number", index=True),
                "lastName": TraitDefinition(policy="personal", index=True),
            },
            accounts=AccountsDefinition(rollup={"people": RollUp(people="count", title="People")}),
        )
    )

    @property
    def quality(self) -> QualityDefinition:
        return QualityDefinition()

    @property
    def normaliser(self) -> Normaliser:
        return SchemaNormaliser(self.profile)

    def ingest_rules(self, sealer: Seal, resolve: Resolve | None = None, limits: Limits = LIMITS) -> IngestRules:
        return IngestRules(
            sealer=sealer, plan=self.tracking_plan, normaliser=self.normaliser, resolve=resolve, limits=limits
        )

    forms: Mapping[str, FormDefinition] = field(default_factory=lambda: FORMS)
    webhooks: Mapping[str, WebhookDefinition] = field(default_factory=dict)
    lookups: Mapping[str, LookupDefinition] = field(default_factory=dict)
    imports: Mapping[str, ImportDefinition] = field(default_factory=dict)

    def asked_rule(self, rule: str | Mapping[str, Any], name: str = "") -> Expression:
        parsed = {segment: parse(one.text) for segment, one in self.segments.items()}
        return asked_rule(
            Project(memberships=parsed, expressions={"orders": parse("count of 'Order Completed'")}), rule, name
        )


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
