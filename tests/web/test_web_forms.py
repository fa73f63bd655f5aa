"""Forms over HTTP: what is asked and taken, who is refused, what is kept, and that nothing about anybody is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient
from seeded_shop import NOW, Shop
from visitors import client_of

from mailwright.core.commits import TickCommit
from mailwright.core.events import NOBODY, Event, Identifier, Offset, Person
from mailwright.core.facts import Known
from mailwright.core.instants import DAY, SECOND, Instant
from mailwright.core.messages import Message, SendRequest
from mailwright.core.ports import Consent, Handing, OptIn
from mailwright.core.sources import QuarantineFilter
from mailwright.ingest.forms.submission import mailbox_of
from mailwright.ingest.mending import read_patches
from mailwright.ingest.plan import EventPlan, TrackingPlan
from mailwright.rendering.filters import OWN_PAGES
from mailwright.runtime.collected import Collected
from mailwright.web.app import create_app
from mailwright.web.clients import network_of

ANNA = "anna@example.com"
BROWSER = "browser-0000-1111"
PERSON = Person(5)


@dataclass
class Site:
    """A client in front of the forms of a fresh shop; nobody needs to wait for the least time of filling in."""

    shop: Shop
    client: TestClient

    def shown(self, name: str = "club", **query: str) -> dict[str, Any]:
        return self.client.get(f"/v1/forms/{name}", params=query).json()

    def send(self, name: str = "club", *, wait_s: float = 5, **body: Any) -> Any:
        issued = body.pop("issued", None) or self.shown(name)["issued"]
        self.shop.wall.at = Instant(self.shop.wall.at + int(wait_s * SECOND))
        return self.client.post(f"/v1/forms/{name}", json={"issued": issued, **body})

    def opt_in(self, email: str = ANNA, **more: Any) -> Any:
        return self.send(answers={"email": email}, purposes=["marketing"], **more)

    def told(self, source: str = "form:club") -> list[Event]:
        return [event for event in self.shop.events() if event.source == source]

    def confirmations(self) -> list[Message]:
        return self.shop.records.messages.page(before=None, limit=100, person=NOBODY)

    def confirm_url(self, place: int = 0) -> str:
        found = self.shop.records.opt_ins.by_ids([self.confirmations()[place].occurrence])
        (opt_in,) = found.values()
        return self.shop.links.confirm(opt_in.id, opt_in.expires_at)

    def granted(self, email: str = ANNA) -> bool:
        digest = self.shop.sealer.hash_address(email)
        return bool(self.shop.records.consents.granted([digest], "marketing"))

    def own_link(self, path: str, message: str) -> str:
        url = self.shop.links.own_page(OWN_PAGES + path, message, NOW)
        assert url
        return url


@pytest.fixture
def site(fresh_shop: Shop) -> Site:
    context = fresh_shop.context
    fresh_shop.context = replace(context, settings=replace(context.settings, allow_reserved_domains=True))
    return Site(fresh_shop, client_of(fresh_shop))


def _reader(site: Site, person: Person = PERSON) -> tuple[str, Person]:
    """A mail that somebody got, and who."""
    records, facts = site.shop.records, site.shop.engine.people[person]
    request = SendRequest(
        send_key="mail-with-links",
        origin="campaign:weekly_offers",
        step="mail",
        occurrence="x",
        person=person,
        purpose="marketing",
        queued_at=Instant(1),
        send_by_at=Instant(NOW + DAY),
    )
    commit = TickCommit(offset=Offset(records.engine.applied() + 4096), at=NOW, requests=[request])
    records.engine.commit_tick(records.engine.take_over(), commit)
    claimed = records.messages.claim(NOW, 1000, "w", lease_now=NOW, lease_until=Instant(NOW + DAY))
    mail = next(one for one in claimed if one.send_key == request.send_key)
    decision = {"first_identifier": facts.first_identifier, "delivery": {"to": facts.traits["email"].value}}
    handing = Handing(
        send_key=mail.send_key, fence=mail.fence, body=b"x", subject="x", decision=decision, template_version="x"
    )
    assert records.messages.handing([handing])
    return mail.id, person


# --- what is asked ---------------------------------------------------------------------------------------------------


def test_the_fields_worth_most_are_asked_and_the_next_visit_asks_others(site: Site) -> None:
    first = site.shown()
    assert [one["trait"] for one in first["fields"]] == ["email", "firstName", "city"]
    answer = site.send(answers={"email": ANNA, "firstName": "Anna", "city": "Köln"}).json()
    again = site.shown(visitor=answer["visitor"])
    assert [one["trait"] for one in again["fields"]] == ["email", "postalCode", "birthday"]
    # Only what that browser answered itself counts: another one is asked everything.
    assert site.shown() | {"issued": ""} == first | {"issued": ""}


def test_a_mails_link_leaves_out_what_is_known_and_tells_no_value(site: Site) -> None:
    message, person = _reader(site)
    traits = site.shop.engine.people[person].traits
    token = site.own_link("f/club", message).partition("?t=")[2]
    told = site.shown(link=token)
    assert [one["trait"] for one in told["fields"]] == [
        name for name in ("city", "postalCode", "birthday") if name not in traits
    ]
    assert "email" in traits
    assert "firstName" in traits
    page = site.client.get(f"/f/club?t={token}").text
    assert site.shop.sealer.unseal(traits["firstName"].value) not in page
    assert site.shown(link=token[:-2])["fields"][0]["trait"] == "email"  # an altered link is none


@pytest.mark.parametrize("who", ["known", "unknown"])
def test_nobody_learns_by_an_address_whether_it_is_known(site: Site, who: str) -> None:
    known = site.shop.sealer.unseal(site.shop.engine.people[Person(3)].traits["email"].value)
    email = known if who == "known" else "nobody-at-all@example.com"
    shown = site.shown(anonymous=email)
    checked = site.client.post("/v1/forms/club/check", json={"trait": "email", "value": email})
    sent = site.opt_in(email)
    single = site.send("plain", answers={"email": email})
    assert [one["trait"] for one in shown["fields"]] == ["email", "firstName", "city"]
    assert checked.json() == {"fault": "", "suggestion": "", "warning": ""}
    assert sent.status_code == single.status_code == 200
    assert {**sent.json(), "visitor": ""} == {
        "state": "confirm",
        "text": "Nearly done: look into your mailbox and confirm with the link in our mail.",
        "redirect": "",
        "visitor": "",
    }
    again = site.shown(visitor=single.json()["visitor"])
    assert [one["trait"] for one in again["fields"]] == ["email", "firstName", "city"]


def test_a_browser_that_belongs_to_somebody_known_is_asked_everything(site: Site) -> None:
    people = site.shop.engine.people
    known = {"firstName": Known(value="A", at=NOW, source="page"), "city": Known(value="Ulm", at=NOW, source="page")}
    ours = [Identifier("anonymous_id", BROWSER)]
    people[PERSON] = msgspec.structs.replace(people[PERSON], identifiers=ours, traits=known)
    assert [one["trait"] for one in site.shown(anonymous=BROWSER)["fields"]] == ["email", "postalCode", "birthday"]
    theirs = [*ours, Identifier("email", "0" * 32)]
    people[PERSON] = msgspec.structs.replace(people[PERSON], identifiers=theirs)
    assert [one["trait"] for one in site.shown(anonymous=BROWSER)["fields"]] == ["email", "firstName", "city"]


# --- who is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "wait_s", "says"),
    [
        ({"trap": "http://spam.example"}, 5, "people do not see"),
        ({}, 0.5, "faster than anybody types"),
        ({"issued": "x"}, 5, "reload"),
        ({}, 2 * 86_400, "reload"),
    ],
)
def test_a_robot_is_refused(site: Site, body: dict[str, Any], wait_s: float, says: str) -> None:
    answer = site.send(answers={"email": ANNA}, wait_s=wait_s, **body)
    assert answer.status_code == 422
    assert says in answer.json()["faults"][""]
    assert site.told() == []
    assert site.confirmations() == []


def test_a_token_of_another_form_sends_nothing(site: Site) -> None:
    assert site.send(answers={"email": ANNA}, issued=site.shown("plain")["issued"]).status_code == 422


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({"email": "anna@"}, "email"),
        ({"email": ""}, "email"),
        ({}, "email"),
        ({"email": "anna@mailinator.com"}, "email"),
        ({"email": ANNA, "postalCode": "1234"}, "postalCode"),
        ({"email": ANNA, "city": "K0ln"}, "city"),
        ({"email": ANNA, "birthday": "31.12.1990"}, "birthday"),
        ({"email": {"x": 1}}, "email"),
        ({"email": ANNA, "city": ["a"]}, "city"),
    ],
)
def test_wrong_answers_are_refused_by_the_server_too(site: Site, answers: dict[str, Any], field: str) -> None:
    answer = site.send(answers=answers)
    assert answer.status_code == 422
    assert list(answer.json()["faults"]) == [field]
    assert site.told() == []


def test_a_dead_domain_is_refused_and_one_that_nobody_knows_passes(site: Site) -> None:
    class Domains:
        def takes_mail(self, domain: str) -> bool | None:
            return {"dead.example.com": False, "live.example.com": True}.get(domain)

    site.shop.context = replace(site.shop.context, mail_domains=Domains())
    there = Site(site.shop, TestClient(create_app(site.shop.context)))
    assert "takes no mail" in there.send(answers={"email": "a@dead.example.com"}).json()["faults"]["email"]
    assert there.send(answers={"email": "a@live.example.com"}).status_code == 200
    assert there.send(answers={"email": "a@unknown.example.com"}).status_code == 200
    checked = there.client.post("/v1/forms/club/check", json={"trait": "email", "value": "a@dead.example.com"})
    assert "takes no mail" in checked.json()["fault"]


def test_floods_are_slowed_down(site: Site) -> None:
    issued = site.shown()["issued"]
    codes = [site.client.post("/v1/forms/club", json={"issued": issued, "trap": "x"}).status_code for _ in range(12)]
    assert codes == [422] * 10 + [429] * 2
    body = {"trait": "email", "value": "x"}
    assert [site.client.post("/v1/forms/club/check", json=body).status_code for _ in range(121)][-2:] == [200, 429]


def test_one_address_gets_few_confirmation_mails_a_day_and_nobody_is_told(site: Site) -> None:
    answers = [site.opt_in(email) for email in (ANNA, "ANNA@example.com", ANNA, ANNA)]
    assert {one.json()["state"] for one in answers} == {"confirm"}
    assert len(site.confirmations()) == 2
    site.opt_in("other@example.com")
    assert len(site.confirmations()) == 3
    clock = site.shop.context.clock
    clock.at = Instant(NOW + DAY + SECOND)  # type: ignore[attr-defined]
    try:
        site.opt_in()
    finally:
        clock.at = NOW  # type: ignore[attr-defined]
    assert len(site.confirmations()) == 4


def test_other_ways_to_write_an_address_get_no_more_confirmation_mails(site: Site) -> None:
    for email in ("anna+1@example.com", "anna+2@example.com", "anna+3@example.com", ANNA):
        site.opt_in(email)
    assert len(site.confirmations()) == 2
    site.opt_in("an.na@example.com")  # somebody else, but for Gmail
    assert len(site.confirmations()) == 3
    assert mailbox_of("An.Na+x@googlemail.com") == mailbox_of("anna@gmail.com") != mailbox_of("anna@example.com")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("", ""),
    ],
)
def test_floods_are_counted_by_ipv6_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_a_form_takes_nothing_from_pages_of_other_hosts(site: Site) -> None:
    issued = site.shown("plain")["issued"]
    site.shop.wall.at = Instant(site.shop.wall.at + 5 * SECOND)
    body = {"issued": issued, "answers": {"email": ANNA}}
    refused = site.client.post("/v1/forms/plain", json=body, headers={"Origin": "https://evil.example"})
    taken = site.client.post("/v1/forms/plain", json=body, headers={"Origin": "https://shop.example"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "form.origin")
    assert "access-control-allow-origin" not in refused.headers
    assert taken.status_code == 200
    assert taken.headers["access-control-allow-origin"] == "https://shop.example"
    assert "set-cookie" not in taken.headers


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"answers": 1}', b'{"x": 1}', b"\xff", b"[" * 5000])
@pytest.mark.parametrize("path", ["/v1/forms/club", "/v1/forms/club/check", "/v1/forms/club/event"])
def test_a_body_that_is_none_is_a_clear_error(site: Site, path: str, body: bytes) -> None:
    answer = site.client.post(path, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "form.body"


@pytest.mark.parametrize("path", ["/f/none", "/v1/forms/none", "/f/centre", "/v1/forms/centre"])
def test_what_is_no_form_is_not_found(site: Site, path: str) -> None:
    assert site.client.get(path).status_code == 404


# --- double opt-in ---------------------------------------------------------------------------------------------------


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
    assert site.client.post(url[:-3] + "abc").status_code == 404
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


# --- without JavaScript ----------------------------------------------------------------------------------------------


def test_the_hosted_page_works_without_javascript_and_ties_faults_to_fields(site: Site) -> None:
    page = site.client.get("/f/club")
    assert page.status_code == 200
    issued = page.text.partition('name="issued" value="')[2].partition('"')[0]
    site.shop.wall.at = Instant(site.shop.wall.at + 5 * SECOND)
    form = {"issued": issued, "field.email": "anna@gmial.com", "field.city": "7", "field.firstName": "<b>"}
    wrong = site.client.post("/f/club", data=form)
    assert wrong.status_code == 422
    assert 'aria-describedby="field-city-note"' in wrong.text
    assert "this is no name of a city" in wrong.text
    assert "anna@gmail.com" in wrong.text
    assert "&lt;b&gt;" in wrong.text
    assert "checked" not in wrong.text
    form = {"issued": issued, "field.email": ANNA, "purpose": "marketing", "website": ""}
    done = site.client.post("/f/club", data=form)
    assert done.status_code == 200
    assert "Look into your mailbox" in done.text
    assert len(site.confirmations()) == 1
    assert "set-cookie" not in done.headers


def test_a_redirect_leads_only_where_the_form_says(site: Site) -> None:
    page = site.client.get("/f/plain")
    assert "form-action 'self' https://shop.example" in page.headers["content-security-policy"]
    issued = page.text.partition('name="issued" value="')[2].partition('"')[0]
    site.shop.wall.at = Instant(site.shop.wall.at + 5 * SECOND)
    done = site.client.post("/f/plain", data={"issued": issued, "field.email": ANNA})
    assert (done.status_code, done.headers["location"]) == (303, "https://shop.example/thanks")


# --- answers and preferences in mail ---------------------------------------------------------------------------------


def test_opening_an_answers_link_counts_nothing_and_the_button_does(site: Site) -> None:
    message, person = _reader(site)
    url = site.own_link("a/nps/score/9", message)
    page = site.client.get(url)
    assert 'value="9" checked' in page.text
    assert site.told("form:nps") == []
    issued = page.text.partition('name="issued" value="')[2].partition('"')[0]
    done = site.client.post(url, data={"issued": issued, "field.sport": "run"})
    assert done.status_code == 200
    identify, answered = site.told("form:nps")
    assert identify.traits["score"] == 9
    assert identify.traits["interest"] == "running"
    assert identify.traits["preferences"] == ["trail"]
    facts = site.shop.engine.people[person]
    assert [f"{one.kind}:{one.value}" for one in identify.identifiers] == [facts.first_identifier]
    assert (answered.name, answered.properties["answers"]) == ("Survey Answered", {"score": 9, "sport": "run"})


@pytest.mark.parametrize("path", ["a/nps/none/9", "a/none/score/9"])
def test_a_link_to_what_is_no_longer_asked_is_over(site: Site, path: str) -> None:
    assert site.client.get(site.own_link(path, _reader(site)[0])).status_code == 404


def test_an_answer_that_is_none_shows_the_question_again(site: Site) -> None:
    url = site.own_link("a/nps/score/11", _reader(site)[0])
    page = site.client.get(url)
    issued = page.text.partition('name="issued" value="')[2].partition('"')[0]
    assert site.client.post(url, data={"issued": issued}).status_code == 422
    assert site.told("form:nps") == []


def test_answer_and_form_links_end_after_sixty_days_and_preferences_do_not(site: Site) -> None:
    message, _ = _reader(site)
    urls = [site.own_link(path, message) for path in ("a/nps/score/9", "p/centre")]
    clock = site.shop.context.clock
    clock.at = Instant(NOW + 60 * DAY)  # type: ignore[attr-defined]
    try:
        assert [site.client.get(url).status_code for url in urls] == [404, 200]
    finally:
        clock.at = NOW  # type: ignore[attr-defined]


def test_preferences_withdraw_and_grant_and_correct_a_trait(site: Site) -> None:
    message, person = _reader(site)
    digest = site.shop.engine.people[person].traits["email"].value["hash"]
    consents = site.shop.records.consents
    url = site.own_link("p/centre", message)
    had = bool(consents.granted([digest], "marketing"))
    assert ("checked" in site.client.get(url).text) is had
    done = site.client.post(url, data={"field.city": "Bonn", "tag": "water"})
    assert "Saved." in done.text
    assert not consents.granted([digest], "marketing")
    identify, changed = site.told("form:centre")
    assert identify.traits["city"] == "Bonn"
    assert identify.traits["preferences"] == ["water"]
    assert changed.properties["withdrawn"] == (["marketing"] if had else [])
    site.shop.context.clock.at = Instant(NOW + SECOND)  # type: ignore[attr-defined]
    try:
        site.client.post(url, data={"purpose": "marketing"})
        assert consents.granted([digest], "marketing")
        assert consents.ledger(digest)[-1].wording == "Yes, write to me."
        assert site.shop.records.opt_ins.of_address(digest)[-1].message_id == message
    finally:
        site.shop.context.clock.at = NOW  # type: ignore[attr-defined]


def test_a_wrong_correction_changes_nothing(site: Site) -> None:
    url = site.own_link("p/centre", _reader(site)[0])
    assert site.client.post(url, data={"field.city": "123"}).status_code == 422
    assert site.told("form:centre") == []


@pytest.mark.parametrize("path", ["/k/x", "/a/x", "/p/x", "/k/" + "A" * 5000])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_link_that_is_none_says_so(site: Site, path: str, method: str) -> None:
    send: Callable[..., Any] = getattr(site.client, method)
    assert send(path).status_code == 404


@pytest.mark.parametrize("policy", ["block", "quarantine"])
def test_a_plan_of_declared_events_alone_takes_those_of_forms_from_forms_only(site: Site, policy: Any) -> None:
    context = site.shop.context
    site.shop.context = replace(
        context, project=replace(context.project, tracking_plan=TrackingPlan(unknown_events=policy))
    )
    site.client = client_of(site.shop)
    site.send("plain", answers={"email": ANNA})
    assert [event.name for event in site.told("form:plain") if event.type == "track"] == ["Form Submitted"]
    site.opt_in()
    site.client.post(site.confirm_url())
    assert "Subscription Confirmed" in [event.name for event in site.told()]
    before = len(site.shop.events())
    forged = {"type": "track", "event": "Form Submitted", "userId": "u"}
    site.client.post("/v1/batch", json={"writeKey": "pk_browser", "batch": [forged]})
    assert len(site.shop.events()) == before


def test_a_refusal_is_logged_by_its_place_without_the_value(site: Site, caplog: Any) -> None:
    plan = TrackingPlan(identify=EventPlan(schema={"properties": {"firstName": {"enum": ["x"]}}}, violation="block"))
    context = site.shop.context
    site.shop.context = replace(context, project=replace(context.project, tracking_plan=plan))
    site.client = client_of(site.shop)
    site.send("plain", answers={"email": ANNA, "firstName": "Wilhelmine"})
    assert "does not take traits.firstName" in caplog.text
    assert "Wilhelmine" not in caplog.text


def test_a_submission_that_the_plan_holds_back_is_kept_for_whom_the_link_proves(site: Site) -> None:
    plan = TrackingPlan(identify=EventPlan(properties={"score": "text"}, violation="quarantine"))
    context = site.shop.context
    collected = Collected(site.shop.records.sources, context.clock, site.shop.log)
    project = replace(context.project, tracking_plan=plan)
    site.shop.context = replace(context, project=project, collected=collected)
    site.client = client_of(site.shop)
    message, person = _reader(site)
    url = site.own_link("a/nps/score/9", message)
    issued = site.client.get(url).text.partition('name="issued" value="')[2].partition('"')[0]
    assert site.client.post(url, data={"issued": issued, "field.sport": "run"}).status_code == 200
    assert [event.type for event in site.told("form:nps")] == ["track"]
    [held] = site.shop.records.quarantine.find(QuarantineFilter(), 9)
    assert (held.source, held.event) == ("form:nps", "identify")
    collected.flush()
    [seen] = [one for one in site.shop.records.sources.seen(context.clock.now()) if one.source == "form:nps"]
    assert (seen.accepted, seen.held) == (1, 1)
    quarantine = site.shop.context.quarantine
    quarantine.mend([held.id], read_patches([{"op": "set", "field": "traits.note", "value": "x"}]), who="me")
    assert quarantine.shown(quarantine.get(held.id))["traits"]["score"] == 9
    assert quarantine.replay([held.id], who="me", plan=TrackingPlan()).taken == [held.id]
    identify = next(event for event in site.told("form:nps") if event.type == "identify")
    assert (identify.traits["score"], identify.traits["note"]) == (9, "x")
    facts = site.shop.engine.people[person]
    assert [f"{one.kind}:{one.value}" for one in identify.identifiers] == [facts.first_identifier]


# --- counts, page, API -----------------------------------------------------------------------------------------------


def test_looking_makes_nobody_a_person(site: Site) -> None:
    issued = site.shown()["issued"]
    for body in ({"event": "seen"}, {"event": "seen"}, {"event": "started", "anonymous": BROWSER}):
        assert site.client.post("/v1/forms/club/event", json={"issued": issued, **body}).status_code == 204
    seen, again, started = site.told()
    assert (seen.name, started.name) == ("Form Viewed", "Form Started")
    assert seen.message_id == again.message_id
    assert [(one.kind, one.value) for one in seen.identifiers] == [("mailwright_form", "club")]
    assert [one.value for one in started.identifiers] == [BROWSER]
    wrong = site.client.post("/v1/forms/club/event", json={"issued": issued, "event": "bought"})
    assert wrong.json()["error"]["code"] == "form.event"


def test_the_pages_and_the_api_need_somebody_signed_in(site: Site) -> None:
    assert site.client.get("/forms").status_code in (303, 302, 401)
    assert site.client.get("/v1/forms").status_code == 401
    key = {"Authorization": "Bearer sk_server"}
    listed = site.client.get("/v1/forms", headers=key).json()["forms"]
    assert {one["name"] for one in listed} == {"club", "plain", "nps", "centre"}
    one = site.client.get("/v1/forms/club/counts", headers=key).json()
    assert one["embed"] == '<script src="http://testserver/forms.js" data-form="club" async></script>'


def test_the_person_page_and_the_api_show_the_proof(shop: Shop, marketer: TestClient) -> None:
    address = shop.engine.people[PERSON].traits["email"].value
    opt_in = OptIn(
        id="proof-1",
        form="club",
        address_hash=address["hash"],
        address=address,
        purposes=[("marketing", "Yes, <write> to me.")],
        identifier="anonymous_id:x",
        asked_at=NOW,
        expires_at=NOW,
        asked_agent="Firefox",
        message_id="m1",
        confirmed_at=NOW,
    )
    shop.records.opt_ins.keep(opt_in, [])
    page = marketer.get(f"/people/{PERSON}").text
    assert "Yes, &lt;write&gt; to me." in page
    assert "/mails/m1" in page
    (proof,) = marketer.get(f"/v1/people/{PERSON}/proofs").json()["proofs"]
    assert (proof["form"], proof["message_id"], proof["purposes"][0]["wording"]) == (
        "club",
        "m1",
        "Yes, <write> to me.",
    )
    assert "asked_ip" not in proof


def test_the_pages_show_every_form(shop: Shop, marketer: TestClient) -> None:
    listed = marketer.get("/forms").text
    for name, form in shop.context.project.forms.items():
        assert form.title in listed
        page = marketer.get(f"/forms/{name}").text
        assert form.title in page
    assert "data-form=&#34;club&#34;" in marketer.get("/forms/club").text
    assert marketer.get("/forms/none").status_code == 404
