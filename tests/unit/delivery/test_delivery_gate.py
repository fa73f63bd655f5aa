"""The gate: one table of what bars a mail, and in which order."""

from dataclasses import replace

import msgspec
import pytest
from delivery_shop import IDENTITY, NOW, Shop, message

from mailwright.core.instants import DAY, Instant
from mailwright.core.messages import MessageState
from mailwright.delivery.gate import Audience, Reason, address_fault, gate

FACTS = Shop().add(1)
GOOD = {
    "address": "household-1@example.com",
    "consent": True,
    "suppressed": None,
    "audience": Audience(holds="campaign:weekly:audience"),
    "now": NOW,
    "identity": IDENTITY,
}
LATE = Instant(message().send_by_at + 1)


def judge(facts: object = FACTS, purpose: str = "marketing", **changes: object) -> object:
    return gate(message(purpose=purpose), facts, **{**GOOD, **changes})


def test_nothing_bars_a_good_mail() -> None:
    assert judge() is None
    assert judge(now=message().send_by_at) is None


IN_ORDER = [
    ({"facts": None}, Reason.NO_PERSON),
    ({"address": None}, Reason.NO_ADDRESS),
    ({"suppressed": "hard_bounce"}, Reason.ON_SUPPRESSION_LIST),
    ({"consent": False}, Reason.NO_CONSENT),
    ({"identity": replace(IDENTITY, postal_address=" ")}, Reason.NO_POSTAL_ADDRESS),
    ({"identity": replace(IDENTITY, base_url="mail.example.com")}, Reason.NO_UNSUBSCRIBE),
    ({"now": LATE}, Reason.EXPIRED),
    ({"audience": Audience(holds="gone")}, Reason.LEFT_AUDIENCE),
    ({"address": "household@@example.com"}, Reason.BAD_ADDRESS),
    ({"identity": replace(IDENTITY, from_address="shop")}, Reason.NO_SENDER),
]


@pytest.mark.parametrize(("change", "reason"), IN_ORDER, ids=[reason for _, reason in IN_ORDER])
def test_each_bar_alone(change: dict[str, object], reason: Reason) -> None:
    barred = judge(**change)
    assert barred.reason == reason
    assert barred.state is (MessageState.EXPIRED if reason is Reason.EXPIRED else MessageState.SUPPRESSED)


@pytest.mark.parametrize("first", range(len(IN_ORDER) - 1))
def test_the_first_bar_gives_the_reason(first: int) -> None:
    changes = {}
    for change, _ in reversed(IN_ORDER[first:]):
        changes |= change
    assert judge(**changes).reason == IN_ORDER[first][1]


def test_transactional_mail_needs_no_consent_but_heeds_the_suppression_list() -> None:
    assert judge(purpose="", consent=False, identity=replace(IDENTITY, postal_address="", base_url="")) is None
    assert judge(suppressed="").reason == Reason.ON_SUPPRESSION_LIST
    assert judge(purpose="", suppressed="complaint").reason == Reason.ON_SUPPRESSION_LIST


def test_archived_people_get_nothing_until_they_are_seen_again() -> None:
    archived = {"list:archived": True}
    audience = Audience(archived="list:archived", unseen_micros=10 * DAY)
    now = message().send_by_at
    gone, back = Instant(now - 10 * DAY - 1), Instant(now - 10 * DAY)

    def barred(truths: dict[str, bool], seen: Instant, audience: Audience = audience) -> bool:
        judged = judge(
            facts=msgspec.structs.replace(FACTS, truths={**FACTS.truths, **truths}, last_seen_at=seen),
            audience=audience,
            now=now,
        )
        assert judged is None or judged.reason == Reason.ARCHIVED
        return judged is not None

    assert barred(archived, gone)
    assert not barred(archived, back), "seen again, whatever the list says still"
    assert not barred({"list:archived": False}, gone)
    assert not barred({}, gone)
    assert not barred(archived, gone, Audience()), "a campaign that means them too"


@pytest.mark.parametrize(
    ("audience", "inside"),
    [
        (Audience(), True),
        (Audience(holds="campaign:weekly:audience"), True),
        (Audience(holds="not asked"), False),
        (Audience(fails="campaign:weekly:audience"), False),
        (Audience(fails="not asked"), True),
    ],
)
def test_audience(audience: Audience, inside: bool) -> None:
    assert audience.contains(FACTS.truths) is inside


@pytest.mark.parametrize(
    ("address", "reserved_too", "otherwise"),
    [
        ("a@example.com", True, False),
        ("a@sub.example.org", True, False),
        ("a@shop.test", True, False),
        ("a@mail.maple-grove.de", True, True),
        ("a@bücher.de", True, True),
        ("jürgen@maple-grove.de", False, False),
        ("a@localhost", False, False),
        ("a b@maple-grove.de", False, False),
        ("a@maple-grove.de\r\nBcc: b@maple-grove.de", False, False),
        ("a@maple..de", False, False),
        ("@maple.de", False, False),
        ("maple.de", False, False),
        ("", False, False),
        ("a" * 65 + "@maple-grove.de", False, False),
    ],
)
def test_addresses(address: str, reserved_too: bool, otherwise: bool) -> None:
    assert (not address_fault(address, allow_reserved=True)) is reserved_too
    assert (not address_fault(address, allow_reserved=False)) is otherwise
