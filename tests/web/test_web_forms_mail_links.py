"""What links in mails lead to: answers and the preference centre."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from form_site import BROWSER, Site, reader
from seeded_shop import NOW
from visitors import client_of

from mailwright.core.errors import Transient
from mailwright.core.events import Identifier, Person
from mailwright.core.facts import Known
from mailwright.core.instants import DAY, SECOND, Instant
from mailwright.ingest.forms.definitions import FormDefinition


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


def test_a_withdrawal_holds_whatever_else_is_wrong_and_the_page_shows_what_was_set(site: Site) -> None:
    message, person = reader(site)
    digest = site.shop.engine.people[person].traits["email"].value["hash"]
    consents, url = site.shop.records.consents, site.own_link("p/centre", message)
    site.client.post(url, data={"purpose": "marketing"})
    assert consents.granted([digest], "marketing")
    n = len(site.told("form:centre"))
    site.shop.context.clock.at = Instant(NOW + SECOND)  # type: ignore[attr-defined]
    try:
        wrong = site.client.post(url, data={"field.city": "123", "tag": "water", "language": "en"})
        assert wrong.status_code == 422
        assert not consents.granted([digest], "marketing")
        assert ticked(wrong.text) == ["water"]
        [changed] = site.told("form:centre")[n:]
        assert changed.properties["withdrawn"] == ["marketing"]
        again = site.client.post(url, data={"field.city": "123", "purpose": "marketing"})
        assert ticked(again.text) == ["marketing"]
        assert not consents.granted([digest], "marketing"), "a grant waits until all is right"
        assert len(site.told("form:centre")) == n + 1
    finally:
        site.shop.context.clock.at = NOW  # type: ignore[attr-defined]


def ticked(page: str) -> list[str]:
    return [
        value for value, rest in re.findall(r'type="checkbox"[^>]*value="([^"]*)"([^>]*)>', page) if "checked" in rest
    ]


@pytest.mark.parametrize("path", ["/k/x", "/a/x", "/p/x", "/k/" + "A" * 5000])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_link_that_is_none_says_so(site: Site, path: str, method: str) -> None:
    send: Callable[..., Any] = getattr(site.client, method)
    assert send(path).status_code == 404


def test_answers_of_one_moment_all_keep_their_tag_in_the_list_that_counts(site: Site) -> None:
    fields = [
        {"trait": f"likes{n}", "label": "L", "type": "choice", "options": [{"value": "yes", "tag": f"tag{n}"}]}
        for n in range(8)
    ]
    form = msgspec.convert({"title": "Likes", "kind": "survey", "fields": fields}, FormDefinition)
    context = site.shop.context
    site.shop.context = replace(context, project=replace(context.project, forms={"likes": form}))
    site.client = client_of(site.shop)
    message, person = reader(site)
    facts = site.shop.engine.people[person]
    before = Known(value=["old"], at=Instant(NOW - 1), source="import")
    site.shop.engine.people[person] = msgspec.structs.replace(facts, traits={**facts.traits, "preferences": before})
    urls = [site.own_link(f"a/likes/likes{n}/yes", message) for n in range(8)]
    issued = [site.client.get(url).text.partition('name="issued" value="')[2].partition('"')[0] for url in urls]
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda n: site.client.post(urls[n], data={"issued": issued[n]}).status_code, range(8)))
    assert codes == [200] * 8
    told = [event for event in site.told("form:likes") if event.type == "identify"]
    newest = max(told, key=lambda event: event.stamp_at).traits["preferences"]
    assert newest[0] == "old"
    assert sorted(newest[1:]) == [f"tag{n}" for n in range(8)]
    assert len({event.stamp_at for event in told}) == 8


def test_an_answer_with_a_tag_waits_for_the_engine_rather_than_lose_the_others(site: Site) -> None:
    message, _ = reader(site)
    url = site.own_link("a/nps/score/9", message)
    issued = site.client.get(url).text.partition('name="issued" value="')[2].partition('"')[0]
    site.shop.engine.down = Transient("engine.away", "the engine is away")
    assert site.client.post(url, data={"issued": issued, "field.sport": "run"}).status_code == 503
    assert site.told("form:nps") == []
    assert site.client.post(url, data={"issued": issued}).status_code == 200
    site.shop.engine.down = None
    assert site.client.post(url, data={"issued": issued, "field.sport": "run"}).status_code == 200


def test_a_known_browsers_answer_waits_for_the_engine_and_a_new_ones_does_not(site: Site) -> None:
    told = {"answers": {"score": "9", "sport": "run"}}
    people, tags = site.shop.engine.people, Known(value=["old"], at=Instant(NOW - 30 * DAY), source="form:x")
    people[Person(4)] = msgspec.structs.replace(
        people[Person(4)], identifiers=[Identifier("anonymous_id", BROWSER)], traits={"preferences": tags}
    )
    issued = site.shown("nps")["issued"]
    site.shop.engine.down = Transient("engine.away", "the engine is away")
    assert site.send("nps", issued=issued, anonymous=BROWSER, **told).status_code == 503
    assert site.told("form:nps") == []
    assert site.send("nps", issued=issued, **told).status_code == 200
    assert preferences(site) == ["trail"]
    site.shop.engine.down = None
    assert site.send("nps", issued=issued, anonymous=BROWSER, **told).status_code == 200
    assert preferences(site) == ["old", "trail"]


def preferences(site: Site, form: str = "nps") -> list[str]:
    return [event for event in site.told(f"form:{form}") if event.type == "identify"][-1].traits["preferences"]


def test_who_confirms_while_the_engine_is_away_confirms_again_rather_than_lose_tags(site: Site) -> None:
    site.opt_in("anna@example.com", anonymous=BROWSER)
    url, n = site.confirm_url(), len(site.told())
    site.shop.engine.down = Transient("engine.away", "the engine is away")
    assert site.client.post(url).status_code == 503
    assert len(site.told()) == n
    site.shop.engine.down = None
    assert site.client.post(url).status_code == 200
    assert len(site.told()) == n + 2


def test_who_confirms_keeps_the_tags_of_both_lists(site: Site) -> None:
    people, person = site.shop.engine.people, Person(3)
    email = site.shop.sealer.unseal(people[person].traits["email"].value)
    digest = site.shop.sealer.hash("email", email)

    def tags(*values: str) -> Known:
        return Known(value=list(values), at=Instant(NOW - 1), source="form:x")

    people[person] = msgspec.structs.replace(
        people[person],
        identifiers=[*people[person].identifiers, Identifier("email", digest)],
        traits={**people[person].traits, "preferences": tags("water", "both")},
    )
    people[Person(4)] = msgspec.structs.replace(
        people[Person(4)],
        identifiers=[Identifier("anonymous_id", BROWSER)],
        traits={"preferences": tags("both", "trail")},
    )
    site.opt_in(email, anonymous=BROWSER)
    site.client.post(site.confirm_url())
    verified = [event for event in site.told() if event.type == "identify"][-1]
    assert verified.traits["preferences"] == ["water", "both", "trail"]
