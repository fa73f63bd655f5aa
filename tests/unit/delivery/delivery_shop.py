"""A small shop for the delivery tests: an engine and models in memory, real keys, real templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mailwright.core.commits import TickCommit
from mailwright.core.errors import NotFound, Transient
from mailwright.core.events import Identifier, Item, Offset, Person
from mailwright.core.facts import EngineStatus, Known, PersonFacts
from mailwright.core.instants import HOUR, Instant, parse_iso
from mailwright.core.messages import Message, MessageState, SendRequest
from mailwright.core.ports import Consent
from mailwright.decisions.content_rules import ContentRuleDefinition, RowDefinition
from mailwright.decisions.mail import MailDefinition, RecommendDefinition, VariableDefinition
from mailwright.decisions.recommend import Ranked
from mailwright.delivery.compose import Composer
from mailwright.delivery.gate import Audience, SenderIdentity
from mailwright.delivery.links import MailLinks
from mailwright.delivery.plan import Condition, Material, Plan, Templates
from mailwright.delivery.prepare import Preparation
from mailwright.experiments.definitions import ExperimentDefinition, VariantDefinition
from mailwright.privacy.keys import KeyRing
from mailwright.privacy.sealing import Sealer
from mailwright.privacy.tokens import Tokens
from mailwright.rendering.template import parse_template

NOW = parse_iso("2026-11-02T09:00:00Z")
ORIGIN = "campaign:weekly"
IDENTITY = SenderIdentity(
    from_name="Maple Grove",
    from_address="shop@maple.example",
    postal_address="Maple Grove & Sons, 1 Long Road, 12345 Springfield",
    base_url="https://mail.maple.example",
    allow_reserved_domains=True,
)
TEMPLATE = """---
subject: "Offers for {{ first_name }}"
preheader: "{{ content.hero.headline }}"
---
<mjml><mj-body>
<mj-section><mj-column>
  <mj-text>Hello {{ first_name }}, {{ content.hero.headline }}</mj-text>
  <mj-button href="https://maple.example/offers?a=1&amp;b=2">See all</mj-button>
  {% for item in recommendations %}
  <mj-text><a href="https://maple.example/p/{{ item.item_id }}">{{ item.name }} {{ item.price }}</a></mj-text>
  {% endfor %}
  <mj-text>{{ sender.postal_address }} <a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
</mj-column></mj-section>
</mj-body></mjml>
"""
ITEMS = {
    "1": {"name": "Tea", "price": 2.5},
    "2": {"name": "No price"},
    "3": {"name": "Coffee", "price": 4},
    "4": {"name": "Negative", "price": -1},
    "5": {"name": "Bread", "price": 0.0},
}


class MemoryEngine:
    """The EngineReads port over dicts; `is_out` makes it unreachable."""

    def __init__(self) -> None:
        self.people: dict[Person, PersonFacts] = {}
        self.catalog = dict(ITEMS)
        self.is_out = False
        self.n_reads = 0

    def _reach(self) -> None:
        self.n_reads += 1
        if self.is_out:
            raise Transient("engine.out", "the engine does not answer")

    def status(self) -> EngineStatus:
        raise Transient("engine.out", "delivery never asks how the engine stands")

    def facts(
        self, persons: Sequence[Person], conditions: Sequence[str] = (), *, past: bool = False
    ) -> dict[Person, PersonFacts]:
        self._reach()
        return {person: self.people[person] for person in persons if person in self.people}

    def find(self, kind: str, value: str) -> Person | None:
        self._reach()
        return None

    def members(self, segment: str, after: Person | None, limit: int) -> list[Person]:
        raise NotFound("segment.unknown", segment)

    def items(self, catalog: str, item_ids: Sequence[str]) -> dict[str, Item]:
        self._reach()
        return {
            item_id: Item(catalog=catalog, item_id=item_id, stamp_at=NOW, facts=self.catalog[item_id])
            for item_id in item_ids
            if item_id in self.catalog
        }


class ListRecommender:
    """Everybody gets the catalog in order."""

    def ready(self, source: str) -> str | None:
        return None

    def items(self, source: str, facts: PersonFacts, n: int) -> Sequence[Ranked]:
        return [Ranked(item_id, 1.0 / int(item_id), "often bought") for item_id in ITEMS][:n]

    def version(self, source: str) -> str:
        return f"{source} 1"


def facts_of(person: int, sealer: Sealer, email: str | None, first_name: str | None = "Anna") -> PersonFacts:
    traits = {}
    if email is not None:
        traits["email"] = Known(value=sealer.seal("email", email), at=NOW, source="shop")
    if first_name is not None:
        traits["firstName"] = Known(value=sealer.seal("firstName", first_name), at=NOW, source="shop")
    return PersonFacts(
        person=Person(person),
        at=NOW,
        offset=Offset(4096),
        first_identifier=f"user_id:{person}",
        identifiers=[Identifier("user_id", str(person))],
        traits=traits,
        attributes={},
        segments=["shoppers"],
        truths={"campaign:weekly:audience": True, "content:hero:loyal": person % 2 == 0},
        first_seen_at=NOW,
        last_seen_at=NOW,
        n_events=3,
    )


def plan(**changes: object) -> Plan:
    mail = MailDefinition(
        template="weekly",
        content_rules=["hero"],
        recommend=RecommendDefinition(sources=["popular"], n=2),
        variables={"first_name": VariableDefinition(source="trait firstName", fallback="there")},
    )
    variants = {
        "a": VariantDefinition(share=0.5),
        "b": VariantDefinition(share=0.5, mail={"subject": "B for {{ first_name }}"}),
    }
    experiment = ExperimentDefinition(name="subject", control="a", metric="click", variants=variants)
    values = {"mail": mail, "experiment": experiment, "audience": Audience(holds="campaign:weekly:audience")}
    return Plan(**{**values, **changes})


def material(template: str = TEMPLATE, **changes: object) -> Material:
    rows = [RowDefinition(name="loyal", when="in segment loyal", use={"headline": "thank you"})]
    hero = ContentRuleDefinition(title="Hero", slot="hero", rows=rows, otherwise={"headline": "welcome"})
    values = {
        "version": 7,
        "plans": {(ORIGIN, "mail"): plan()},
        "content_rules": {"hero": hero},
        "conditions": {
            "campaign:weekly:audience": Condition(rule="in segment shoppers", uses=("segment shoppers",)),
            "content:hero:loyal": Condition(rule="in segment loyal", uses=("segment loyal",)),
        },
        "templates": Templates({"weekly": parse_template("weekly", template)}),
        "recommender": ListRecommender(),
    }
    return Material(**{**values, **changes})


class Shop:
    """Keys, engine, composer and definitions, put together."""

    def __init__(self, keys: KeyRing | None = None, identity: SenderIdentity = IDENTITY) -> None:
        self.keys = keys or KeyRing.generate()
        self.sealer = Sealer(self.keys)
        self.engine = MemoryEngine()
        self.links = MailLinks(Tokens(self.keys), identity.base_url)
        self.identity = identity
        self.composer = Composer(sealer=self.sealer, links=self.links, identity=identity)
        self.material = material()

    def add(self, person: int, email: str | None = "", first_name: str | None = "Anna", **truths: bool) -> PersonFacts:
        address = f"household-{person}@example.com" if email == "" else email
        facts = facts_of(person, self.sealer, address, first_name)
        self.engine.people[Person(person)] = facts
        return facts

    def hash(self, person: int) -> str:
        return self.engine.people[Person(person)].traits["email"].value["hash"]

    def preparation(self, consents: object) -> Preparation:
        return Preparation(
            engine=self.engine,
            consents=consents,
            sealer=self.sealer,
            composer=self.composer,
            material=lambda: self.material,
            identity=self.identity,
        )

    def consent(self, records: object, *persons: int, granted: bool = True) -> None:
        rows = [
            Consent(address_hash=self.hash(person), purpose="marketing", granted=granted, at=NOW, source="demo")
            for person in persons
        ]
        records.consents.record(rows)


def request(person: int, **changes: object) -> SendRequest:
    values = {
        "send_key": f"{person:064x}",
        "origin": ORIGIN,
        "step": "mail",
        "occurrence": "2026-11-02T09:00:00Z",
        "person": Person(person),
        "purpose": "marketing",
        "queued_at": NOW,
        "send_by_at": Instant(NOW + 12 * HOUR),
    }
    return SendRequest(**{**values, **changes})


def message(person: int = 1, **changes: object) -> Message:
    """A message as claimed."""
    asked = request(person)
    values = {name: getattr(asked, name) for name in asked.__dataclass_fields__}
    claimed = Message(**values, id=f"m{person}", state=MessageState.CLAIMED, fence=1, attempts=0, not_before_at=NOW)
    return replace(claimed, **changes)


def queue(records: object, *requests: SendRequest) -> None:
    epoch = records.engine.take_over()
    offset = Offset(records.engine.applied() + 4096)
    records.engine.commit_tick(epoch, TickCommit(offset=offset, at=NOW, requests=requests))


class FixedClock:
    """A clock that stands where it was put."""

    def __init__(self, now: Instant = NOW) -> None:
        self.at = now

    def now(self) -> Instant:
        return self.at
