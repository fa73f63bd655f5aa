"""What forms ask: what is worth most and not known, and that nothing about anybody is told."""

from __future__ import annotations

import msgspec
import pytest
from form_site import ANNA, BROWSER, PERSON, Site, reader
from seeded_shop import NOW

from mailwright.core.events import Identifier, Person
from mailwright.core.facts import Known


def test_the_fields_worth_most_are_asked_and_the_next_visit_asks_others(site: Site) -> None:
    first = site.shown()
    assert [one["trait"] for one in first["fields"]] == ["email", "firstName", "city"]
    answer = site.send(answers={"email": ANNA, "firstName": "Anna", "city": "Köln"}).json()
    again = site.shown(visitor=answer["visitor"])
    assert [one["trait"] for one in again["fields"]] == ["email", "postalCode", "birthday"]
    # Only what that browser answered itself counts: another one is asked everything.
    assert site.shown() | {"issued": ""} == first | {"issued": ""}


def test_a_mails_link_leaves_out_what_is_known_and_tells_no_value(site: Site) -> None:
    message, person = reader(site)
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
