"""After two people were taken for one and parted again, the gate says of each address what it said before."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

import msgspec
import pytest
from delivery_shop import IDENTITY, NOW, facts_of, message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "runtime"))

from engine_world import at
from split_world import Told, told

from mailwright.core.events import (
    AddressSuppressed,
    ClockMoved,
    ConsentChanged,
    Defined,
    Event,
    Events,
    Identifier,
    LogRecord,
    PeopleMerged,
    Person,
    PersonSplit,
    Tick,
)
from mailwright.core.instants import Instant
from mailwright.core.ports import Consent
from mailwright.delivery.gate import Audience, gate
from mailwright.privacy import KeyRing, Sealer
from mailwright.stores.records_sql import SqlRecords

SEALER = Sealer(KeyRing.generate())
WHO = {"u": Identifier("user_id", "u1"), "a": Identifier("anonymous_id", "a1")}
FILES = {"mailwright.toml": '[project]\nname = "Shop"\ntime_zone = "UTC"\n'}
EXAMPLES = count()


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    with SqlRecords.open(str(tmp_path_factory.mktemp("gate") / "records.sqlite")) as opened:
        yield opened


class Shop:
    """A log of its own, and Records that may be shared: they are asked by address alone."""

    def __init__(self, records: SqlRecords, example: int) -> None:
        self._records, self._example, self._number = records, example, 0
        self.history = Told()
        self.state = told([], history=self.history)
        self.add(Defined(version=1, files=FILES))

    def add(self, body: object) -> None:
        self._number += 1
        self.state.apply(LogRecord(self._number, at(self._number / 3), body), self.history.folded)

    def address(self, letter: str) -> str:
        return f"{letter}{self._example}@example.com"

    def step(self, what: str, who: str, letter: str) -> None:
        digest = SEALER.hash_address(self.address(letter))
        now = Instant(NOW + self._number)
        match what:
            case "identify":
                self.add(Events([self._identify(who, letter)]))
            case "suppress":
                self._records.consents.suppress({digest: "complaint"}, now)
                self.add(AddressSuppressed(address_hash=digest, reason="complaint", told_at=now))
            case "grant" | "withdraw":
                granted = what == "grant"
                row = Consent(address_hash=digest, purpose="marketing", granted=granted, at=now, source="shop")
                self._records.consents.record([row])
                self.add(ConsentChanged(address_hash=digest, purpose="marketing", granted=granted, source="shop"))

    def _identify(self, who: str, letter: str) -> Event:
        when = at(self._number / 3)
        return Event(
            message_id=f"m{self._number}",
            source="shop",
            type="identify",
            stamp_at=when,
            received_at=when,
            known_at=when,
            identifiers=[WHO[who]],
            traits={"email": SEALER.seal("email", self.address(letter))},
        )

    def person(self, who: str) -> Person:
        found = self.state.identity.number_of(WHO[who])
        assert found is not None
        return found

    def verdicts(self) -> dict[str, tuple[str, str]]:
        """What the gate says of each of the two, and of which address."""
        return {who: self._verdict(self.person(who)) for who in WHO}

    def _verdict(self, person: Person) -> tuple[str, str]:
        traits = self.state.profiles.view(person).traits
        facts = msgspec.structs.replace(facts_of(person, SEALER, None), traits=traits)
        sealed = traits["email"].value
        digest = sealed["hash"]
        barred = gate(
            message(person),
            facts,
            address=SEALER.unseal(sealed),
            consent=digest in self._records.consents.granted([digest], "marketing"),
            suppressed=self._records.consents.suppressed([digest]).get(digest),
            audience=Audience(),
            now=NOW,
            identity=IDENTITY,
        )
        return SEALER.unseal(sealed), str(barred.reason) if barred else "goes"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["identify", "grant", "grant", "withdraw", "suppress"]),
        st.sampled_from(["u", "a"]),
        st.sampled_from("xyz"),
    ),
    max_size=8,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(before=STEPS, between=STEPS)
def test_the_gate_says_after_a_split_what_it_would_have_said_without_the_merge(records, before, between):
    example = next(EXAMPLES)
    merged, plain = Shop(records, example), Shop(records, example)
    for shop in (merged, plain):
        for step in [("identify", "u", "x"), ("identify", "a", "y"), *before]:
            shop.step(*step)
        shop.add(Tick())
    said = merged.verdicts()
    assert said == plain.verdicts()
    one, other = merged.person("u"), merged.person("a")
    merged.add(PeopleMerged(one=one, other=other, reason="alike", by="test"))
    plain.add(ClockMoved())
    assert len(set(merged.verdicts().values())) == 1
    for shop in (merged, plain):
        for step in between:
            shop.step(*step)
    merged.add(PersonSplit(person=one, merge=1, reason="wrong", by="test"))
    plain.add(ClockMoved())
    assert merged.verdicts() == plain.verdicts()
    if not between:
        assert merged.verdicts() == said


def test_one_persons_consent_and_the_others_suppression_stay_with_their_addresses(records):
    shop = Shop(records, next(EXAMPLES))
    for step in [("identify", "u", "x"), ("identify", "a", "y"), ("grant", "u", "x"), ("suppress", "a", "y")]:
        shop.step(*step)
    said = {"u": (shop.address("x"), "goes"), "a": (shop.address("y"), "on_suppression_list")}
    assert shop.verdicts() == said
    one = shop.person("u")
    shop.add(PeopleMerged(one=one, other=shop.person("a"), reason="alike", by="test"))
    assert shop.verdicts() == {"u": said["a"], "a": said["a"]}, "the newest address is everybody's"
    shop.step("withdraw", "a", "y")
    shop.add(PersonSplit(person=one, merge=1, reason="wrong", by="test"))
    assert shop.verdicts() == said
