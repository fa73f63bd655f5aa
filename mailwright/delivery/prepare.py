"""Preparing a batch of claimed messages: one read of each kind, then gate, decide and render person by person."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailwright.core.events import NOBODY, Offset, Person
from mailwright.core.facts import PersonFacts
from mailwright.core.instants import Instant
from mailwright.core.messages import Message, MessageState
from mailwright.core.ports import ConsentRecords, EngineReads, OptIn, OptInRecords, Refusal
from mailwright.delivery.compose import Composer, Ready
from mailwright.delivery.gate import Barred, Reason, SenderIdentity, gate
from mailwright.delivery.plan import Material, Plan
from mailwright.privacy.sealing import Sealer

ADDRESS_TRAIT = "email"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A batch, sorted into what may be handed over and what may not."""

    ready: Sequence[Ready]
    refusals: Sequence[Refusal]


class Shelf:
    """Catalog items of one batch: each is asked for once, and one that lacks a needed fact is not shown."""

    def __init__(self, engine: EngineReads, material: Material) -> None:
        """Nothing is read yet."""
        self._engine = engine
        self._catalog = material.catalog
        self._needed = material.needed_facts
        self._known: dict[str, Mapping[str, Any] | None] = {}

    def __call__(self, item_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Item id -> facts in force, of those that may be shown."""
        unknown = [item_id for item_id in item_ids if item_id not in self._known]
        if unknown:
            items = self._engine.items(self._catalog, unknown)
            self._known |= {item_id: items[item_id].facts if item_id in items else None for item_id in unknown}
        found = {item_id: facts for item_id in item_ids if (facts := self._known[item_id]) is not None}
        return {item_id: facts for item_id, facts in found.items() if all(_has(facts, name) for name in self._needed)}


def _has(facts: Mapping[str, Any], name: str) -> bool:
    """Whether a fact can be shown: text that is not empty, a number that is one and not negative."""
    match facts.get(name):
        case bool() | None | "":
            return False
        case int() | float() as number:
            return math.isfinite(number) and number >= 0
    return True


@dataclass(frozen=True, slots=True)
class _Standing:
    """What Records and the keys say about a batch's people."""

    addresses: Mapping[Person, Mapping[str, Any]]
    granted: Mapping[str, set[str]]
    suppressed: Mapping[str, str]
    opt_ins: Mapping[str, OptIn]


class Preparation:
    """Prepares batches. Reads the engine and Records, writes nothing."""

    def __init__(
        self,
        *,
        engine: EngineReads,
        consents: ConsentRecords,
        sealer: Sealer,
        composer: Composer,
        material: Callable[[], Material],
        identity: SenderIdentity,
        opt_ins: OptInRecords | None = None,
    ) -> None:
        """Take the parts.

        `opt_ins` is asked for the addresses of confirmation mails; `material` gives the definitions in force and is
        asked once per batch.
        """
        self._engine = engine
        self._consents = consents
        self._sealer = sealer
        self._composer = composer
        self._material = material
        self._identity = identity
        self._opt_ins = opt_ins

    def prepare(self, messages: Sequence[Message], now: Instant) -> Prepared:
        """Gate, decide and render every message as of the engine's last tick and `now`.

        Raises:
            Transient: If the engine or Records cannot be reached; nothing has happened then.
        """
        if not messages:
            return Prepared(ready=(), refusals=())
        material = self._material()
        plans = {one.send_key: material.plans.get((one.origin, one.step)) for one in messages}
        facts = self._facts(messages, plans.values(), material)
        standing = self._standing(messages, facts)
        shelf = Shelf(self._engine, material)
        done = [
            self._one(one, plans[one.send_key], material, facts.get(one.person), standing, shelf, now)
            for one in messages
        ]
        return Prepared(
            ready=[one for one in done if isinstance(one, Ready)],
            refusals=[one for one in done if isinstance(one, Refusal)],
        )

    def _facts(self, messages: Sequence[Message], plans: Any, material: Material) -> Mapping[Person, PersonFacts]:
        conditions = dict.fromkeys(name for plan in plans if plan for name in material.asked(plan))
        persons = dict.fromkeys(message.person for message in messages if message.person != NOBODY)
        return self._engine.facts(list(persons), list(conditions))

    def _standing(self, messages: Sequence[Message], facts: Mapping[Person, PersonFacts]) -> _Standing:
        addresses = {person: address for person, known in facts.items() if (address := self._address(known))}
        purposes: dict[str, list[str]] = {}
        for message in messages:
            if message.purpose and message.person in addresses:
                purposes.setdefault(message.purpose, []).append(addresses[message.person]["hash"])
        asked = [message.occurrence for message in messages if message.person == NOBODY]
        opt_ins = self._opt_ins.by_ids(asked) if asked and self._opt_ins else {}
        found = [address["hash"] for address in addresses.values()] + [one.address_hash for one in opt_ins.values()]
        hashes = list(dict.fromkeys(found))
        return _Standing(
            addresses=addresses,
            granted={purpose: self._consents.granted(asked, purpose) for purpose, asked in purposes.items()},
            suppressed=self._consents.suppressed(hashes) if hashes else {},
            opt_ins=opt_ins,
        )

    def _address(self, facts: PersonFacts) -> Mapping[str, Any] | None:
        known = facts.traits.get(ADDRESS_TRAIT)
        return known.value if known and self._sealer.is_sealed(known.value) else None

    def _one(
        self,
        message: Message,
        plan: Plan | None,
        material: Material,
        facts: PersonFacts | None,
        standing: _Standing,
        shelf: Shelf,
        now: Instant,
    ) -> Ready | Refusal:
        address = standing.addresses.get(message.person)
        opt_in = standing.opt_ins.get(message.occurrence) if message.person == NOBODY else None
        if opt_in is not None:
            facts, address = _stranger(opt_in, now), opt_in.address
        barred = self._barred(message, plan, facts, address, standing, now)
        if barred or plan is None or facts is None or address is None:
            gone = Barred(state=MessageState.CANCELLED, reason=Reason.NO_DEFINITION, detail=message.origin)
            return self._composer.refuse(message, plan, material, facts, barred or gone, now)
        return self._composer.compose(message, plan, material, facts, address, shelf, now, opt_in)

    def _barred(
        self,
        message: Message,
        plan: Plan | None,
        facts: PersonFacts | None,
        address: Mapping[str, Any] | None,
        standing: _Standing,
        now: Instant,
    ) -> Barred | None:
        digest = address["hash"] if address else ""
        if plan is None:
            return None
        return gate(
            message,
            facts,
            address=self._sealer.unseal(address).strip() if address else None,
            consent=digest in standing.granted.get(message.purpose, ()),
            suppressed=standing.suppressed.get(digest),
            audience=plan.audience,
            now=now,
            identity=self._identity,
        )


def _stranger(opt_in: OptIn, now: Instant) -> PersonFacts:
    """Whoever asked by a form: the engine need not know them, and the confirmation mail says nothing about them."""
    return PersonFacts(
        person=NOBODY,
        at=now,
        offset=Offset(0),
        first_identifier=opt_in.identifier,
        identifiers=[],
        traits={},
        attributes={},
        segments=[],
        truths={},
        first_seen_at=opt_in.asked_at,
        last_seen_at=opt_in.asked_at,
        n_events=0,
    )
