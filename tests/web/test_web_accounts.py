"""Pages and API of accounts, of a person's traits with their history, and look-ups by an indexed trait."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from seeded_shop import HOSTILE, Shop
from visitors import client_of, sign_in

from mailwright.ingest.schema import RollUp, TraitDefinition
from mailwright.web.pages.traits import kind_shown


def visitor(shop: Shop) -> TestClient:
    client = client_of(shop)
    sign_in(client, shop)
    return client


def test_the_list_of_accounts_leads_to_each_and_escapes_its_id(shop: Shop) -> None:
    client = visitor(shop)
    page = client.get("/accounts").text
    assert '<a href="/accounts/acme">acme</a>' in page
    assert "plan: gold" in page
    assert "<script>alert(1)" not in page
    assert 'href="/accounts/a/b%20%3Cscript%3Ealert%281%29%3C/script%3E"' in page
    assert client.get("/accounts/a/b%20%3Cscript%3Ealert%281%29%3C/script%3E").status_code == 200
    assert client.get("/accounts?q=acme", follow_redirects=False).headers["location"] == "/accounts/acme"
    assert "No account has this id" in client.get("/accounts?q=nobody").text
    assert client.get("/accounts/nobody").status_code == 404


def test_an_account_shows_traits_history_figures_and_members(shop: Shop) -> None:
    page = visitor(shop).get("/accounts/acme").text
    for text in ["gold", "2 writes", "removed", "People", "/people/2", "3 members"]:
        assert text in page, text
    assert HOSTILE not in page


def test_a_person_shows_where_each_trait_comes_from_and_what_was_before(shop: Shop) -> None:
    page = visitor(shop).get("/people/13").text
    for text in ["Children", "number", "2 writes", "Told last by", "personal", "/accounts/acme"]:
        assert text in page, text
    assert HOSTILE not in page
    assert "removed" in page


def test_what_is_sealed_inside_a_value_is_read_too(shop: Shop) -> None:
    client = visitor(shop)
    page = client.get("/people/2").text
    assert "12 Elm Row" in page
    assert "&#34;sealed&#34;" not in page
    told = client.get("/v1/people/number:2").json()
    assert told["traits"]["address"]["value"] == {"street": "12 Elm Row", "city": "York"}


def test_the_api_tells_history_only_when_asked(shop: Shop) -> None:
    client = visitor(shop)
    brief, told = (client.get(f"/v1/people/number:2{query}").json() for query in ("", "?history=true"))
    assert "history" not in brief
    assert brief["accounts"][0] == "acme"
    assert list(brief["sources"]) == ["till"]
    assert [one["value"] for one in told["history"]["kids"]] == [2, None]
    assert told["history"]["lastName"][0]["value"] == told["traits"]["lastName"]["value"]


def test_people_are_found_by_an_indexed_trait_in_any_form(shop: Shop) -> None:
    client = visitor(shop)
    found = client.get("/v1/people", params={"trait": "kids", "value": " 3.0 "}).json()
    assert found["count"] == len(found["people"]) > 0
    assert {n % 4 for n in found["people"]} == {3}
    name = client.get("/v1/people/number:2").json()["traits"]["lastName"]["value"]
    assert 2 in client.get("/v1/people", params={"trait": "lastName", "value": name}).json()["people"]
    assert client.get("/v1/people", params={"trait": "kids", "value": "many"}).status_code == 400
    missing = client.get("/v1/people", params={"trait": "kid", "value": "1"})
    assert missing.status_code == 404
    assert "kids" in missing.text


def test_the_api_of_accounts(shop: Shop) -> None:
    client = visitor(shop)
    listed = client.get("/v1/accounts?limit=1").json()
    assert [one["id"] for one in listed["accounts"]] == ["acme"] == [listed["next"]]
    one = client.get("/v1/accounts/acme").json()
    assert one["figures"] == {"people": 3}
    assert [each["person"] for each in one["people"]] == [1, 2, 13]
    assert [each["value"] for each in one["history"]["plan"]] == ["gold", None]
    assert client.get("/v1/accounts/nobody").status_code == 404


def test_nobody_reads_accounts_or_people_without_a_key(shop: Shop) -> None:
    stranger = client_of(shop)
    for address in ["/v1/accounts", "/v1/accounts/acme", "/v1/people?trait=kids&value=1"]:
        assert stranger.get(address, follow_redirects=False).status_code == 401


def test_a_value_that_was_kept_as_sent_is_labelled_as_what_it_is() -> None:
    money, day = TraitDefinition(normalise="money", currency="EUR"), TraitDefinition(type="date", policy="personal")
    assert [kind_shown(value, False, money) for value in (12.5, "$12.50")] == ["number", "text"]
    assert kind_shown("1990-05-03", True, day) == "date"
    assert kind_shown({"street": "Elm 1"}, True, None) == "object"
    assert kind_shown("Zoe", True, None) == "text"


@pytest.mark.parametrize(
    ("rollup", "shown"),
    [
        (RollUp(people="count"), "Members"),
        (RollUp(sum="orders"), "Orders so far (sum)"),
        (RollUp(max="last_order"), "Last order (greatest)"),
        (RollUp(min="last_order", title="First to buy"), "First to buy"),
    ],
)
def test_a_figure_of_accounts_has_a_name_that_people_read(rollup: RollUp, shown: str) -> None:
    assert rollup.named({"orders": "orders so far", "last_order": ""}) == shown
