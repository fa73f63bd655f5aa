"""What links in mails lead to: answers and the preference centre."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from form_site import Site, reader
from seeded_shop import NOW

from mailwright.core.instants import DAY, SECOND, Instant


def test_opening_an_answers_link_counts_nothing_and_the_button_does(site: Site) -> None:
    message, person = reader(site)
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
    assert site.client.get(site.own_link(path, reader(site)[0])).status_code == 404


def test_an_answer_that_is_none_shows_the_question_again(site: Site) -> None:
    url = site.own_link("a/nps/score/11", reader(site)[0])
    page = site.client.get(url)
    issued = page.text.partition('name="issued" value="')[2].partition('"')[0]
    assert site.client.post(url, data={"issued": issued}).status_code == 422
    assert site.told("form:nps") == []


def test_answer_and_form_links_end_after_sixty_days_and_preferences_do_not(site: Site) -> None:
    message, _ = reader(site)
    urls = [site.own_link(path, message) for path in ("a/nps/score/9", "p/centre")]
    clock = site.shop.context.clock
    clock.at = Instant(NOW + 60 * DAY)  # type: ignore[attr-defined]
    try:
        assert [site.client.get(url).status_code for url in urls] == [404, 200]
    finally:
        clock.at = NOW  # type: ignore[attr-defined]


def test_preferences_withdraw_and_grant_and_correct_a_trait(site: Site) -> None:
    message, person = reader(site)
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
    url = site.own_link("p/centre", reader(site)[0])
    assert site.client.post(url, data={"field.city": "123"}).status_code == 422
    assert site.told("form:centre") == []


@pytest.mark.parametrize("path", ["/k/x", "/a/x", "/p/x", "/k/" + "A" * 5000])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_link_that_is_none_says_so(site: Site, path: str, method: str) -> None:
    send: Callable[..., Any] = getattr(site.client, method)
    assert send(path).status_code == 404
