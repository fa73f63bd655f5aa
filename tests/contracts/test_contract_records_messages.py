"""MessageRecords: states, fences, leases, and what the log is told."""

import subprocess
import sys
from pathlib import Path

import pytest
from records_cases import DECISION, LATER, LEASE, handing, queue, request, told

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import Instant
from mailwright.core.messages import Deferred, Failed, MessageState, Sent, Unknown
from mailwright.core.ports import Refusal
from mailwright.stores.records.messages import message_id

NOW = Instant(10)


def state(records, key: str) -> MessageState:
    return records.messages.by_id(message_id(key)).state


def claimed(records, key: str = "k") -> int:
    """Queue and claim one message; its fence."""
    queue(records, request(key))
    (message,) = records.messages.claim(NOW, 1, "w", **LEASE)
    return message.fence


def at_dot(records, key: str = "k") -> int:
    fence = claimed(records, key)
    assert records.messages.handing([handing(key, fence)]) == [key]
    assert records.messages.dot([(key, fence)]) == [key]
    return fence


def test_a_request_becomes_a_queued_message(records):
    queue(records, request("k", person=7, queued_at=5))
    message = records.messages.by_id(message_id("k"))
    assert (message.send_key, message.person, message.origin, message.step) == (
        "k",
        7,
        "campaign:weekly_offers",
        "mail",
    )
    assert (message.state, message.fence, message.attempts) == (MessageState.QUEUED, 0, 0)
    assert (message.queued_at, message.not_before_at, message.send_by_at) == (5, 5, 1_000_000)
    assert message.finished_at is message.reason is message.subject is message.decision is None
    assert records.messages.body(message.id) is None


def test_ids_are_short_distinct_and_fixed_by_the_send_key():
    ids = {message_id(f"key {n}") for n in range(1_000)}
    assert len(ids) == 1_000
    assert {len(one) for one in ids} == {26}
    assert message_id("key 3") in ids
    assert all(one.isalnum() and one.islower() | one.isdigit() for one in ids)


def test_a_send_key_is_queued_once(records):
    queue(records, request("k", person=1), request("k", person=2))
    queue(records, request("k", person=3))
    (message,) = records.messages.page(before=None, limit=10)
    assert message.person == 1


def test_claims_are_oldest_first_up_to_the_limit(records):
    queue(records, request("late", queued_at=9), request("early", queued_at=2), request("not yet", queued_at=11))
    assert [one.send_key for one in records.messages.claim(NOW, 1, "w", **LEASE)] == ["early"]
    assert [one.send_key for one in records.messages.claim(NOW, 9, "w", **LEASE)] == ["late"]
    assert records.messages.claim(NOW, 9, "w", **LEASE) == []
    assert [one.send_key for one in records.messages.claim(Instant(11), 9, "w", **LEASE)] == ["not yet"]


def test_a_claim_raises_the_fence_and_says_so(records):
    queue(records, request("k"))
    (message,) = records.messages.claim(NOW, 1, "w", **LEASE)
    assert (message.state, message.fence) == (MessageState.CLAIMED, 1)
    (again,) = records.messages.claim(NOW, 1, "w", **LATER)
    assert again.fence == 2


def test_two_processes_never_claim_one_message(records, records_url):
    queue(records, *(request(f"k{n}") for n in range(300)))
    command = [sys.executable, str(Path(__file__).with_name("claimer.py")), records_url]
    processes = [subprocess.Popen([*command, f"w{n}"], stdout=subprocess.PIPE, text=True) for n in range(3)]
    lines = [line for process in processes for line in process.communicate(timeout=240)[0].splitlines()]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(lines) == sorted(f"k{n} 1" for n in range(300))


def test_the_path_to_sent(records):
    fence = at_dot(records)
    body = b"Subject: x\r\n\r\n" + b"text " * 5_000
    assert state(records, "k") == MessageState.DOT
    records.messages.result([("k", fence, Sent("250 taken"))], Instant(20))
    message = records.messages.by_id(message_id("k"))
    assert (message.state, message.reason, message.finished_at) == (MessageState.SENT, "250 taken", 20)
    assert (message.subject, message.template_version, message.decision) == ("hello", "t1", DECISION)
    assert (message.attempts, message.fence) == (1, fence)
    assert records.messages.body(message.id) == handing("k", 1).body != body


@pytest.mark.parametrize(
    ("outcome", "final", "name", "reason"),
    [
        (Sent("250 taken"), MessageState.SENT, "Email Sent", "250 taken"),
        (Sent(), MessageState.SENT, "Email Sent", None),
        (Failed("550 no such user"), MessageState.FAILED, "Email Failed", "550 no such user"),
        (Unknown("broke"), MessageState.UNKNOWN, "Email Unknown", "broke"),
    ],
)
def test_every_final_outcome_is_told_to_the_log(records, outcome, final, name, reason):
    queue(records, request("k"))
    (message,) = records.messages.claim(NOW, 1, "w", **LEASE)
    change = {"experiment": "offers", "variant": "popular", "p_variant": 0.5}
    records.messages.handing([handing("k", message.fence, **change)])
    records.messages.dot([("k", message.fence)])
    records.messages.result([("k", message.fence, outcome)], Instant(20))
    ((_, body),) = records.outbox.pending(10)
    (event,) = body.events
    assert (event.message_id, event.source, event.type, event.name) == (
        f"{message.id}:{final}",
        "mailwright",
        "track",
        name,
    )
    assert event.stamp_at == event.received_at == event.known_at == 20
    assert [(one.kind, one.value) for one in event.identifiers] == [("email", "9f2c")]
    expected = {"message_id": message.id, "origin": message.origin, "step": "mail"}
    expected |= {"experiment": "offers", "variant": "popular"} | ({"reason": reason} if reason else {})
    assert event.properties == expected
    stored = records.messages.by_id(message.id)
    assert (stored.state, stored.reason, stored.experiment, stored.variant, stored.p_variant) == (
        final, reason, "offers", "popular", 0.5,
    )  # fmt: skip


@pytest.mark.parametrize(
    "final", [MessageState.SUPPRESSED, MessageState.EXPIRED, MessageState.CANCELLED, MessageState.FAILED]
)
def test_a_claimed_message_can_be_refused(records, final):
    fence = claimed(records)
    refusal = Refusal(send_key="k", fence=fence, state=final, reason="no_consent", decision=DECISION)
    records.messages.refuse([refusal], Instant(20))
    message = records.messages.by_id(message_id("k"))
    assert (message.state, message.reason, message.decision, message.finished_at) == (final, "no_consent", DECISION, 20)
    assert [name for name, _ in told(records)] == [f"Email {final.value.capitalize()}"]


@pytest.mark.parametrize("wrong", [MessageState.SENT, MessageState.UNKNOWN, MessageState.QUEUED])
def test_a_refusal_is_no_way_to_another_state(records, wrong):
    fence = claimed(records)
    with pytest.raises(InvalidInput, match=wrong.value):
        records.messages.refuse([Refusal(send_key="k", fence=fence, state=wrong, reason="", decision={})], NOW)
    assert state(records, "k") == MessageState.CLAIMED


def test_a_refusal_without_an_identifier_belongs_to_the_message(records):
    fence = claimed(records)
    refusal = Refusal(send_key="k", fence=fence, state=MessageState.EXPIRED, reason="late", decision={})
    records.messages.refuse([refusal], NOW)
    ((_, body),) = records.outbox.pending(10)
    (identifier,) = body.events[0].identifiers
    assert (identifier.kind, identifier.value) == ("mailwright_message", message_id("k"))


def test_a_stale_fence_changes_nothing(records):
    stale = claimed(records)
    (message,) = records.messages.claim(NOW, 1, "other", **LATER)
    assert message.fence == stale + 1
    before = records.messages.by_id(message.id)
    refusal = Refusal(send_key="k", fence=stale, state=MessageState.EXPIRED, reason="late", decision=DECISION)
    records.messages.refuse([refusal], NOW)
    assert records.messages.handing([handing("k", stale)]) == []
    records.messages.handing([handing("k", message.fence)])
    assert records.messages.dot([("k", stale)]) == []
    records.messages.dot([("k", message.fence)])
    for outcome in (Sent(), Failed("550"), Deferred("451"), Unknown("?")):
        records.messages.result([("k", stale, outcome)], NOW)
    assert state(records, "k") == MessageState.DOT
    assert before.decision is None
    assert told(records) == []


def test_a_mark_needs_the_state_before_it(records):
    fence = claimed(records)
    assert records.messages.dot([("k", fence)]) == []
    assert records.messages.handing([handing("k", fence)]) == ["k"]
    assert records.messages.handing([handing("k", fence)]) == []
    assert records.messages.dot([("k", fence), ("nobody", 1)]) == ["k"]
    assert records.messages.dot([("k", fence)]) == []


@pytest.mark.parametrize("hands", [False, True], ids=["claimed", "handing"])
def test_a_lease_that_lapses_before_the_dot_is_queued_again(records, hands):
    fence = claimed(records)
    if hands:
        records.messages.handing([handing("k", fence)])
    assert records.messages.claim(NOW, 0, "other", lease_now=Instant(2_000), lease_until=Instant(9_000)) == []
    assert state(records, "k") == (MessageState.HANDING if hands else MessageState.CLAIMED)
    records.messages.claim(NOW, 0, "other", lease_now=Instant(2_001), lease_until=Instant(9_000))
    assert state(records, "k") == MessageState.QUEUED
    assert told(records) == []


def test_a_lease_that_lapses_after_the_dot_is_unknown_and_never_claimed_again(records):
    at_dot(records)
    assert records.messages.claim(Instant(20), 10, "other", **LATER) == []
    message = records.messages.by_id(message_id("k"))
    assert (message.state, message.finished_at) == (MessageState.UNKNOWN, 20)
    assert [name for name, _ in told(records)] == ["Email Unknown"]
    assert records.messages.claim(Instant(20), 10, "other", **LATER) == []


@pytest.mark.parametrize(
    ("outcome", "after", "names"),
    [
        (Sent("250"), MessageState.SENT, ["Email Unknown", "Email Sent"]),
        (Failed("550"), MessageState.FAILED, ["Email Unknown", "Email Failed"]),
        (Deferred("451", Instant(99)), MessageState.QUEUED, ["Email Unknown"]),
        (Unknown("still"), MessageState.UNKNOWN, ["Email Unknown"]),
    ],
)
def test_an_unknown_message_takes_a_definite_outcome_of_its_own_hand_over(records, outcome, after, names):
    fence = at_dot(records)
    records.messages.claim(Instant(20), 0, "other", **LATER)
    records.messages.result([("k", fence - 1, outcome)], Instant(30))
    assert state(records, "k") == MessageState.UNKNOWN
    records.messages.result([("k", fence, outcome)], Instant(30))
    assert state(records, "k") == after
    assert [name for name, _ in told(records)] == names


def test_a_settled_message_stays_as_it_is(records):
    fence = at_dot(records)
    records.messages.result([("k", fence, Sent("250"))], Instant(20))
    for outcome in (Sent("251"), Failed("550"), Deferred("451"), Unknown("?")):
        records.messages.result([("k", fence, outcome)], Instant(30))
    message = records.messages.by_id(message_id("k"))
    assert (message.state, message.reason, message.finished_at) == (MessageState.SENT, "250", 20)
    assert len(told(records)) == 1


@pytest.mark.parametrize(("until_at", "earliest"), [(Instant(500), 500), (None, 20)])
def test_a_deferred_message_waits_and_is_rendered_anew(records, until_at, earliest):
    fence = at_dot(records)
    records.messages.result([("k", fence, Deferred("451 later", until_at))], Instant(20))
    assert told(records) == []
    assert records.messages.claim(Instant(earliest - 1), 1, "w", **LEASE) == []
    (message,) = records.messages.claim(Instant(earliest), 1, "w", **LEASE)
    assert (message.fence, message.attempts, message.reason) == (fence + 1, 1, "451 later")
    records.messages.handing([handing("k", message.fence, b"another body", subject="anew")])
    again = records.messages.by_id(message.id)
    assert (again.subject, again.attempts, records.messages.body(message.id)) == ("anew", 2, b"another body")


def test_a_refusal_after_a_deferral_keeps_the_body_that_was_handed(records):
    fence = at_dot(records)
    records.messages.result([("k", fence, Deferred("451"))], Instant(20))
    (message,) = records.messages.claim(Instant(20), 1, "w", **LEASE)
    decision = {"why": "too late"}
    refusal = Refusal(send_key="k", fence=message.fence, state=MessageState.EXPIRED, reason="late", decision=decision)
    records.messages.refuse([refusal], Instant(30))
    assert records.messages.body(message.id) == handing("k", 1).body
    assert records.messages.by_id(message.id).decision == decision


def test_pages_are_newest_first_and_filtered(records):
    queue(records, *(request(f"k{n}", person=n % 2, origin=f"campaign:c{n % 3}") for n in range(6)))
    records.messages.claim(NOW, 2, "w", **LEASE)

    def keys(**filters):
        return [one.send_key for one in records.messages.page(**({"before": None, "limit": 10} | filters))]

    assert keys() == ["k5", "k4", "k3", "k2", "k1", "k0"]
    assert keys(limit=2) == ["k5", "k4"]
    assert keys(limit=2, before=message_id("k4")) == ["k3", "k2"]
    assert keys(person=1) == ["k5", "k3", "k1"]
    assert keys(origin="campaign:c0") == ["k3", "k0"]
    assert keys(state=MessageState.CLAIMED) == ["k1", "k0"]
    assert keys(state=MessageState.CLAIMED, person=1, before=message_id("k5")) == ["k1"]
    assert keys(before="no such id") == []


def test_counts_add_up(records):
    queue(records, *(request(f"k{n}") for n in range(4)), request("j", origin="journey:win_back"))
    fences = {one.send_key: one.fence for one in records.messages.claim(NOW, 3, "w", **LEASE)}
    records.messages.handing([handing("k0", fences["k0"], variant="popular", experiment="offers")])
    records.messages.dot([("k0", 1)])
    records.messages.result([("k0", 1, Sent("250"))], NOW)
    refusals = [
        Refusal(send_key=key, fence=1, state=MessageState.SUPPRESSED, reason="no_consent", decision={})
        for key in ("k1", "k2")
    ]
    records.messages.refuse(refusals, NOW)
    assert set(records.messages.counts()) == {
        ("campaign:weekly_offers", MessageState.SENT, "250", "popular", 1),
        ("campaign:weekly_offers", MessageState.SUPPRESSED, "no_consent", None, 2),
        ("campaign:weekly_offers", MessageState.QUEUED, None, None, 1),
        ("journey:win_back", MessageState.QUEUED, None, None, 1),
    }
    assert records.messages.open_count() == 2


def test_unknown_ids_are_none(records):
    assert records.messages.by_id("nothing") is None
    assert records.messages.body("nothing") is None
    assert records.messages.counts() == []
    assert records.messages.open_count() == 0


def test_a_deferred_message_is_open_but_not_due_before_its_time(records):
    queue(records, request("k"), request("other"))
    fences = {one.send_key: one.fence for one in records.messages.claim(NOW, 2, "w", **LEASE)}
    assert records.messages.due_count(NOW) == 2  # under way counts as due
    records.messages.handing([handing("k", fences["k"])])
    records.messages.result([("k", fences["k"], Deferred("451 later", Instant(500)))], NOW)
    assert records.messages.due_count(Instant(499)) == 1
    assert records.messages.due_count(Instant(500)) == 2
    assert records.messages.open_count() == 2
