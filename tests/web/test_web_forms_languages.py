"""Forms in several languages, over HTTP: the one that the browser likes, on every page, with its own proof."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from form_site import ANNA, PERSON, Site, reader
from visitors import client_of, sign_in

from mailwright.core.instants import SECOND, Instant
from mailwright.ingest.forms.definitions import FormDefinition

GERMAN = {"Accept-Language": "de-DE,de;q=0.9,en;q=0.5"}
CLUB = {
    "title": "Club",
    "fields": [
        {"trait": "email", "label": "E-mail", "type": "email", "required": True},
        {"trait": "zip", "label": "Postal code", "type": "postal_code", "required": True},
    ],
    "country": "DE",
    "purposes": [{"purpose": "marketing", "wording": "Yes, write to me."}],
    "policy_url": "https://shop.example/privacy",
    "double_opt_in": {},
    "translations": {
        "de": {
            "title": "Verein",
            "fields": {"zip": {"label": "Postleitzahl"}},
            "purposes": {"marketing": "Ja, schreibt mir."},
            "texts": {"missing": "bitte angeben"},
        }
    },
}
NPS = {
    "title": "Like us?",
    "kind": "survey",
    "fields": [{"trait": "score", "label": "Score", "type": "rating", "required": True}],
    "translations": {"de": {"title": "Gefallen wir?"}},
}
CENTRE = {
    "title": "Your mail",
    "kind": "preferences",
    "purposes": CLUB["purposes"],
    "fields": [{"trait": "city", "label": "City", "type": "city"}],
    "translations": {"de": {"title": "Ihre Mail", "purposes": {"marketing": "Ja, schreibt mir."}}},
}


@pytest.fixture
def there(site: Site) -> Site:
    forms = {name: msgspec.convert(told, FormDefinition) for name, told in
             (("club", CLUB), ("nps", NPS), ("centre", CENTRE))}  # fmt: skip
    context = site.shop.context
    site.shop.context = replace(context, project=replace(context.project, forms=forms))
    site.client = client_of(site.shop)
    return site


def _issued(page: Any) -> str:
    return str(page.text.partition('name="issued" value="')[2].partition('"')[0])


@pytest.mark.parametrize(
    ("accepted", "language", "title"), [("de", "de", "Verein"), ("fr", "en", "Club"), (None, "en", "Club")]
)
def test_a_page_is_in_the_language_that_the_browser_likes(
    there: Site, accepted: str | None, language: str, title: str
) -> None:
    page = there.client.get("/f/club", headers={"Accept-Language": accepted} if accepted else {})
    assert f'<html lang="{language}">' in page.text
    assert page.headers["content-language"] == language
    assert f"<h1>{title}</h1>" in page.text
    assert ("Wie wir mit Ihren Daten umgehen" in page.text) is (language == "de")
    told = there.shown(lang=accepted or "")
    assert (told["language"], told["title"]) == (language, title)


def test_faults_thanks_and_the_proof_are_in_the_language_that_was_shown(there: Site) -> None:
    issued = _issued(there.client.get("/f/club", headers=GERMAN))
    there.shop.wall.at = Instant(there.shop.wall.at + 5 * SECOND)
    # Whatever the browser says later, what people agree to is what they read.
    form = {"issued": issued, "field.email": "anna@", "purpose": "marketing"}
    wrong = there.client.post("/f/club", data=form, headers={"Accept-Language": "en"})
    assert '<html lang="de">' in wrong.text
    for text in ("das ist keine E-Mail-Adresse", "bitte angeben", "Bitte sehen Sie nach"):
        assert text in wrong.text
    done = there.client.post("/f/club", data={**form, "field.email": ANNA, "field.zip": "10115"})
    assert "Fast fertig" in done.text
    assert '<html lang="de">' in done.text
    (proof,) = there.shop.records.opt_ins.of_address(there.shop.sealer.hash_address(ANNA))
    assert proof.purposes == [("marketing", "Ja, schreibt mir.")]
    url = there.confirm_url()
    asked = there.client.get(url, headers=GERMAN)
    for text in ("Bitte bestätigen", "hat jemand Ihre Adresse in das Formular „Verein“", "Ja, schreibt mir."):
        assert text in asked.text
    assert "Ihre Adresse ist bestätigt" in there.client.post(url, headers=GERMAN).text
    assert "Confirmed" in there.client.get(url).text


@pytest.mark.parametrize(("accepted", "step"), [("de-AT", "confirm.de"), ("en", "confirm"), ("fr", "confirm")])
def test_the_confirmation_mail_is_in_the_language_that_was_shown(there: Site, accepted: str, step: str) -> None:
    issued = there.shown(lang=accepted)["issued"]
    told = there.send(issued=issued, answers={"email": ANNA, "zip": "10115"}, purposes=["marketing"])
    assert told.status_code == 200
    [asked] = there.confirmations()
    assert asked.step == step


def test_a_check_speaks_the_forms_language(there: Site) -> None:
    body = {"trait": "zip", "value": "123", "language": "de"}
    assert there.client.post("/v1/forms/club/check", json=body).json()["fault"] == (
        "das ist keine Postleitzahl (Deutschland): bitte schreiben wie 10115"
    )
    body.pop("language")
    assert "no postal code of Germany" in there.client.post("/v1/forms/club/check", json=body).json()["fault"]


def test_a_submission_by_the_script_is_answered_in_the_language_that_was_shown(there: Site) -> None:
    issued = there.shown(lang="de")["issued"]
    told = there.send(issued=issued, answers={"email": ANNA, "zip": "10115"}).json()
    assert told["text"].startswith("Fast fertig")
    robot = there.send(issued=there.shown(lang="de")["issued"], wait_s=0, answers={})
    assert robot.json()["faults"][""].startswith("so schnell tippt niemand")


def test_links_of_mails_lead_to_pages_in_the_browsers_language(there: Site) -> None:
    message, _ = reader(there)
    answer = there.client.get(there.own_link("a/nps/score/9", message), headers=GERMAN)
    assert "Gefallen wir?" in answer.text
    assert "Senden" in answer.text
    url = there.own_link("p/centre", message)
    centre = there.client.get(url, headers=GERMAN)
    for text in ('<html lang="de">', "Was Sie von uns bekommen", "Ja, schreibt mir.", "bleibt, wie es ist"):
        assert text in centre.text
    there.client.post(url, data={"language": "de"})
    there.shop.context.clock.at = Instant(there.shop.context.clock.at + SECOND)  # type: ignore[attr-defined]
    there.client.post(url, data={"purpose": "marketing", "language": "de"})
    digest = there.shop.engine.people[PERSON].traits["email"].value["hash"]
    there.shop.context.clock.at = Instant(there.shop.context.clock.at - SECOND)  # type: ignore[attr-defined]
    assert there.shop.records.consents.ledger(digest)[-1].wording == "Ja, schreibt mir."
    over = there.client.get("/k/x", headers=GERMAN)
    assert "Dieser Link gilt nicht mehr" in over.text
    assert '<html lang="de">' in over.text
    assert '<html lang="en">' in there.client.get("/k/x", headers={"Accept-Language": "fr"}).text


def test_the_page_of_a_form_names_its_languages(there: Site) -> None:
    sign_in(there.client, there.shop)
    assert "en, de" in there.client.get("/forms/club").text
