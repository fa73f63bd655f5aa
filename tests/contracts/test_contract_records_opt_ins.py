"""The OptInRecords port."""

from dataclasses import replace

import pytest

from mailwright.core.errors import Conflict
from mailwright.core.events import NOBODY, ConsentChanged
from mailwright.core.instants import Instant
from mailwright.core.messages import MessageState
from mailwright.core.ports import Consent, OptIn
from mailwright.delivery.opt_ins import confirmation

OPT_IN = OptIn(
    id="one",
    form="club",
    address_hash="a" * 32,
    address={"sealed": "c2VhbGVk", "hash": "a" * 32},
    purposes=[("marketing", "Yes, “write” to me.")],
    identifier="anonymous_id:x",
    asked_at=Instant(1_000),
    expires_at=Instant(9_000),
    asked_ip={"sealed": "aXA=", "hash": "b"},
    asked_agent="Browser",
    wording_version=3,
)
YES = Consent(
    address_hash="a" * 32, purpose="marketing", granted=True, at=Instant(2_000), source="form:club", wording="Y"
)


def _ask(records, opt_in, most=2, since=0):
    return records.opt_ins.ask(opt_in, confirmation(opt_in), most=most, since=Instant(since))


def test_what_is_asked_comes_back_with_its_mail_queued(records):
    assert _ask(records, OPT_IN)
    (mail,) = records.messages.page(before=None, limit=10)
    assert records.opt_ins.by_ids(["one", "two"]) == {"one": replace(OPT_IN, message_id=mail.id)}
    assert (mail.state, mail.person, mail.origin, mail.occurrence) == (MessageState.QUEUED, NOBODY, "form:club", "one")
    assert (mail.purpose, mail.send_by_at) == ("", OPT_IN.expires_at)
    assert records.opt_ins.by_ids([]) == {}


@pytest.mark.parametrize(("most", "since", "taken"), [(1, 0, False), (2, 0, True), (1, 999, False), (1, 1_000, True)])
def test_an_address_is_asked_at_most_so_often(records, most, since, taken):
    assert _ask(records, OPT_IN)
    again = replace(OPT_IN, id="two", asked_at=Instant(1_500))
    assert _ask(records, again, most, since) is taken
    assert len(records.messages.page(before=None, limit=10)) == 1 + taken
    assert _ask(records, replace(again, id="three", address_hash="c"), 1)


def test_an_id_is_used_once(records):
    assert _ask(records, OPT_IN)
    with pytest.raises(Conflict):
        _ask(records, OPT_IN)
    with pytest.raises(Conflict):
        records.opt_ins.keep(OPT_IN, [YES])
    assert records.consents.ledger("a" * 32) == []


def test_a_confirmation_records_the_consents_once(records):
    _ask(records, OPT_IN)
    ip = {"sealed": "aXAy", "hash": "d"}
    assert records.opt_ins.confirm("one", Instant(2_000), ip, "Other browser", [YES])
    assert not records.opt_ins.confirm("one", Instant(3_000), None, "", [replace(YES, at=Instant(3_000))])
    assert not records.opt_ins.confirm("none", Instant(3_000), None, "", [YES])
    (proof,) = records.opt_ins.of_address("a" * 32)
    assert (proof.confirmed_at, proof.confirmed_ip, proof.confirmed_agent) == (2_000, ip, "Other browser")
    assert records.consents.ledger("a" * 32) == [YES]
    assert [body for _, body in records.outbox.pending(10) if isinstance(body, ConsentChanged)] == [
        ConsentChanged("a" * 32, "marketing", True, "form:club", "Y", Instant(2_000))
    ]


def test_what_needs_no_confirmation_is_kept_with_its_consents(records):
    records.opt_ins.keep(replace(OPT_IN, confirmed_at=Instant(1_000), asked_ip=None), [YES])
    (proof,) = records.opt_ins.of_address("a" * 32)
    assert (proof.message_id, proof.asked_ip) == ("", None)
    assert records.consents.granted(["a" * 32], "marketing")
    assert records.opt_ins.of_address("b") == []


def test_all_of_an_address_come_oldest_first(records):
    for name, at in (("late", 5_000), ("early", 500)):
        _ask(records, replace(OPT_IN, id=name, asked_at=Instant(at)), 10)
    assert [one.id for one in records.opt_ins.of_address("a" * 32)] == ["early", "late"]
