"""Consent by forms: asked and confirmed by mail, or at once; kept with its proof, and undone by nobody else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from form_site import ANNA, BROWSER, Site
from seeded_shop import NOW, Shop
from visitors import client_of

from mailwright.core.events import NOBODY, Person
from mailwright.core.instants import DAY, Instant
from mailwright.core.ports import Consent, Handing
from mailwright.runtime.collected import Collected


def test_nothing_is_granted_before_the_link_is_used_and_then_the_proof_is_kept(site: Site) -> None:
    site.send(answers={"email": ANNA, "firstName": "Anna"}, purposes=["marketing", "nonsense"], anonymous=BROWSER)
    identify, submitted = site.told()
    assert site.shop.sealer.unseal(identify.traits["unverified_email"]) == ANNA
    assert "email" not in identify.traits
    assert [(one.kind, one.value) for one in identify.identifiers] == [("anonymous_id", BROWSER)]
    assert submitted.name == "Form Submitted"
    assert submitted.properties["purposes"] == ["marketing"]
    assert not site.granted()
    (mail,) = site.confirmations()
    assert (mail.origin, mail.step, mail.purpose, mail.person) == ("form:club", "confirm", "", NOBODY)

    url = site.confirm_url()
    page = site.client.get(url)
    assert "Yes, write to me." in page.text
    assert not site.granted()
    assert len(site.told()) == 2
    assert site.client.head(url).status_code in (200, 405)
    done = site.client.post(url)
    assert "Confirmed" in done.text
    assert site.granted()
    verified, confirmed = site.told()[2:]
    assert site.shop.sealer.unseal(verified.traits["email"]) == ANNA
    assert verified.traits["unverified_email"] is None
    assert [one.kind for one in verified.identifiers] == ["email", "anonymous_id"]
    assert (confirmed.name, confirmed.properties["message_id"]) == ("Subscription Confirmed", mail.id)

    (proof,) = site.shop.records.opt_ins.of_address(site.shop.sealer.hash_address(ANNA))
    assert proof.purposes == [("marketing", "Yes, write to me.")]
    assert (proof.asked_at, proof.confirmed_at, proof.message_id) == (NOW, NOW, mail.id)
    assert site.shop.sealer.unseal(proof.asked_ip) == site.shop.sealer.unseal(proof.confirmed_ip) == "testclient"
    assert proof.asked_agent == "testclient"
    (row,) = site.shop.records.consents.ledger(proof.address_hash)
    assert (row.source, row.wording, row.at) == ("form:club", "Yes, write to me.", NOW)


def test_a_click_in_a_confirmation_mail_carries_and_joins_no_visit(site: Site) -> None:
    """Whoever typed the address in may be anybody: its reader's browser must not become theirs."""
    shop = site.shop
    settings = replace(shop.context.settings, shop_domains=("shop.example",))
    shop.context = replace(shop.context, settings=settings)
    client = client_of(shop)
    site.opt_in(anonymous=BROWSER)
    (mail,) = site.confirmations()
    claimed = shop.records.messages.claim(NOW, 1000, "w", lease_now=NOW, lease_until=Instant(NOW + DAY))
    fence = next(one.fence for one in claimed if one.id == mail.id)
    decision = {"first_identifier": f"anonymous_id:{BROWSER}"}
    handing = Handing(
        send_key=mail.send_key, fence=fence, body=b"x", subject="x", decision=decision, template_version="x"
    )
    assert shop.records.messages.handing([handing])
    url = "https://shop.example/sale"
    link = shop.links.click(mail.id, 0, url).removeprefix("http://testserver")
    assert client.get(link, follow_redirects=False).headers["location"] == url
    token = shop.links.visit(mail.id, "nonce", Instant(shop.wall.now() + DAY))
    seen = {"type": "page", "anonymousId": "victims-browser", "context": {"mw_click": token}}
    assert client.post("/v1/batch", json={"writeKey": "pk_browser", "batch": [seen]}).json()["accepted"] == 1
    assert [event.name for event in shop.events() if event.name == "Email Visit Started"] == []


def test_an_old_confirmation_never_grants_again(site: Site) -> None:
    site.opt_in()
    url = site.confirm_url()
    site.client.post(url)
    row = site.shop.records.consents.ledger(site.shop.sealer.hash_address(ANNA))[0]
    site.shop.records.consents.record([replace(row, granted=False, at=Instant(NOW + 1))])
    assert site.client.post(url).status_code == 200
    assert not site.granted()
    ids = [one.message_id for one in site.told()]
    assert len(ids) - len(set(ids)) == 2  # the same events again, which count once


def test_an_expired_or_altered_link_confirms_nothing(site: Site) -> None:
    site.opt_in()
    url = site.confirm_url()
    assert site.client.post(url[:-1]).status_code == 404
    changed = "B" if url[-9] == "A" else "A"
    assert site.client.post(url[:-9] + changed + url[-8:]).status_code == 404
    assert site.client.post(url.replace("/k/", "/a/")).status_code == 404
    clock = site.shop.context.clock
    clock.at = Instant(NOW + 3 * DAY)  # type: ignore[attr-defined]
    try:
        assert site.client.post(url).status_code == 404
    finally:
        clock.at = NOW  # type: ignore[attr-defined]
    assert not site.granted()


def test_a_form_sent_twice_asks_once(site: Site) -> None:
    issued = site.shown()["issued"]
    site.opt_in(issued=issued)
    site.opt_in(issued=issued)
    assert len(site.confirmations()) == 1
    assert len({one.message_id for one in site.told()}) == 2


def test_the_address_is_kept_out_of_the_log_and_records_in_clear(site: Site, fresh_shop: Shop) -> None:
    site.opt_in("very.secret.person@example.com")
    site.client.post(site.confirm_url())
    raw = b"".join(path.read_bytes() for path in _files(fresh_shop))
    assert b"very.secret.person" not in raw
    assert "very.secret.person" not in repr(site.told())


def _files(shop: Shop) -> list[Any]:
    import pathlib

    name = shop.records._database.name
    return [path for path in pathlib.Path(name).parent.glob("records.sqlite*") if path.is_file()]


# --- without double opt-in -------------------------------------------------------------------------------------------


def test_without_double_opt_in_the_ticked_purpose_counts_at_once_in_its_exact_words(site: Site) -> None:
    answer = site.send("plain", answers={"email": ANNA, "firstName": "Anna"}, purposes=["marketing"], anonymous=BROWSER)
    assert answer.json()["redirect"] == "https://shop.example/thanks"
    assert site.granted()
    identify = site.told("form:plain")[0]
    assert [one.kind for one in identify.identifiers] == ["email", "anonymous_id"]
    (proof,) = site.shop.records.opt_ins.of_address(site.shop.sealer.hash_address(ANNA))
    assert (proof.message_id, proof.confirmed_at) == ("", NOW)


@pytest.mark.parametrize("why", ["withdrawn", "suppressed"])
def test_nobody_undoes_an_unsubscribe_by_typing_the_address(site: Site, why: str, caplog: Any) -> None:
    ticked = {"answers": {"email": ANNA}, "purposes": ["marketing"]}
    first = site.send("plain", **ticked)
    records, digest = site.shop.records, site.shop.sealer.hash_address(ANNA)
    if why == "suppressed":
        records.consents.suppress({digest: "complaint"}, NOW)
    else:
        row = Consent(address_hash=digest, purpose="marketing", granted=False, at=NOW, source="one-click", wording="")
        records.consents.record([row])
    before = records.consents.ledger(digest)
    again = site.send("plain", **ticked)
    assert (again.status_code, again.json().keys()) == (first.status_code, first.json().keys())
    assert records.consents.ledger(digest) == before
    assert "form plain: nothing was granted" in caplog.text
    assert ANNA not in caplog.text
    site.opt_in()  # a form that asks for confirmation brings people back
    site.client.post(site.confirm_url())
    assert site.granted() is True


def test_an_unsubscribe_from_one_purpose_does_not_keep_another_from_being_granted(site: Site) -> None:
    digest = site.shop.sealer.hash_address(ANNA)
    row = Consent(address_hash=digest, purpose="other", granted=False, at=NOW, source="one-click", wording="")
    site.shop.records.consents.record([row])
    site.send("plain", answers={"email": ANNA}, purposes=["marketing"])
    assert site.granted()


def test_a_box_that_is_not_ticked_grants_nothing(site: Site) -> None:
    site.send("plain", answers={"email": ANNA})
    assert not site.granted()
    assert site.shop.records.opt_ins.of_address(site.shop.sealer.hash_address(ANNA)) == []


def test_whoever_types_a_known_address_changes_nothing_known_and_is_not_taken_for_them(site: Site) -> None:
    email = site.shop.sealer.unseal(site.shop.engine.people[Person(3)].traits["email"].value)
    site.send("plain", answers={"email": email, "firstName": "Mallory"}, anonymous=BROWSER)
    identify = site.told("form:plain")[0]
    assert set(identify.traits) == {"email"}
    assert BROWSER not in [one.value for one in identify.identifiers]


def test_a_confirmed_consent_is_counted_once(site: Site) -> None:
    collected = Collected(site.shop.records.sources, site.shop.context.clock)
    site.shop.context = replace(site.shop.context, collected=collected)
    site.client = client_of(site.shop)
    site.opt_in()
    for _ in range(2):
        assert site.client.post(urlsplit(site.confirm_url()).path).status_code == 200
    collected.flush()
    told = {one.kind: one.accepted for one in site.shop.records.sources.days(0) if one.source == "form:club"}
    assert told["consents"] == 1
    assert told["events"] > 1
