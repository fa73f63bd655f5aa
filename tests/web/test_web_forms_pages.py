"""Forms as pages: without JavaScript, counted, listed, and shown to those who are signed in."""

from __future__ import annotations

from fastapi.testclient import TestClient
from form_site import ANNA, BROWSER, PERSON, Site
from seeded_shop import NOW, Shop
from visitors import client_of, sign_in

from mailwright.core.instants import SECOND, Instant
from mailwright.core.ports import OptIn


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


def test_the_person_page_and_the_api_show_the_proof(fresh_shop: Shop) -> None:
    shop, marketer = fresh_shop, client_of(fresh_shop)
    sign_in(marketer, shop)
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
    (proof,) = marketer.get(f"/v1/people/number:{PERSON}/proofs").json()["proofs"]
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
