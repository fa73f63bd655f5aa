"""Who forms refuse: robots, floods, wrong answers, pages of other hosts, bodies that are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from form_site import ANNA, Site
from seeded_shop import NOW
from visitors import client_of

from mailwright.core.instants import DAY, SECOND, Instant
from mailwright.ingest.forms.submission import mailbox_of
from mailwright.stores.postal_codes import PostalTable
from mailwright.web.app import create_app
from mailwright.web.clients import network_of


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


def test_a_postal_code_that_is_not_there_and_a_city_of_another_are_refused(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "codes.txt"
    path.write_text("".join("\t".join([*row, *[""] * 9]) + "\n" for row in
                            (("DE", "10115", "Berlin"), ("DE", "50667", "Köln"))))  # fmt: skip
    table = PostalTable(path, tmp_path / "postal.sqlite")
    site.shop.context = replace(site.shop.context, postal_places=table)
    there = Site(site.shop, client_of(site.shop))
    answers = {"email": ANNA, "postalCode": "10999", "city": "Berlin"}
    assert list(there.send(answers=answers).json()["faults"]) == ["postalCode"]
    wrong = there.send(answers={**answers, "postalCode": "10115", "city": "Köln"})
    assert wrong.status_code == 422
    assert wrong.json()["faults"] == {"city": "the postal code 10115 belongs to Berlin"}
    assert wrong.json()["suggestions"] == {"city": "Berlin"}
    assert site.told() == []
    body = {"trait": "city", "value": "Koeln", "answers": {"postalCode": "50667"}}
    assert there.client.post("/v1/forms/club/check", json=body).json()["fault"] == ""
    body = {"trait": "postalCode", "value": "00000", "answers": {}}
    assert there.client.post("/v1/forms/club/check", json=body).json()["fault"]
    assert there.send(answers={**answers, "postalCode": "50667", "city": "koeln"}).status_code == 200
    table.close()
