"""Who is who through the door: the graph, merges and splits by hand, and what a browser key can never do."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from fastapi.testclient import TestClient
from live_shop import FILES, Live, live_shop, wait_for
from visitors import OURS

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import DAY, Instant
from mailwright.core.ports import Consent
from mailwright.ingest.plan import EventPlan, TrackingPlan
from mailwright.reports.quality.people import AuditReport, Pair
from mailwright.runtime.corrections import correction
from mailwright.web.sessions import new_login_link

BROWSER = {"Authorization": "Basic " + base64.b64encode(b"pk_live:").decode()}


PROFILE = "defaults: {country: DE}\ntraits: {phone: {normalise: phone}, nick: {index: true}}\n"

PLAN = """\
traits: {kids: number}
events:
  Order Completed: {}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_shop(
        tmp_path_factory.mktemp("shop"), FILES | {"profile.yaml": PROFILE, "tracking-plan.yaml": PLAN}
    ) as served:
        yield served


def tell(shop: Live, kind: str, *, browser: bool = False, **call: Any) -> None:
    """Post a call and wait until it is folded and evaluated."""
    call = {"messageId": f"{kind}-{len(shop.world.log.read(0, 10_000))}", **call}
    headers = BROWSER if browser else shop.auth
    answer = httpx.post(f"{shop.base_url}/v1/{kind}", headers=headers, json=call, timeout=60)
    assert answer.status_code == 200, answer.text
    number = shop.world.log.last()[0]
    wait_for(lambda: shop.client.status().tick_offset >= number * 4096, "it is not evaluated")


def person(shop: Live, who: str) -> dict[str, Any]:
    return shop.get(f"/v1/people/{who}").json()


def graph(shop: Live, who: str) -> dict[str, Any]:
    answer = shop.get(f"/v1/people/{who}/graph")
    assert answer.status_code == 200, answer.text
    return answer.json()


def signed_in(shop: Live) -> tuple[TestClient, str]:
    client = TestClient(shop.app, base_url=shop.base_url, follow_redirects=False)
    context = shop.app.state.context
    link = new_login_link(context.records.users, context.lease_clock, context.settings.base_url, "ada")
    assert client.post(link, headers=OURS).status_code == 303
    found = re.search(r'name="csrf" value="(\w+)"', client.get("/people").text)
    assert found
    return client, found[1]


def test_somebody_is_found_by_a_phone_as_people_of_the_shops_country_write_it(shop):
    tell(shop, "identify", userId="pia", traits={"phone": "+49 171 1234567", "timezone": "asia/tokyo"})
    found = person(shop, "user_id:pia")
    assert found["time_zone"] == {"name": "Asia/Tokyo", "from": "trait"}
    client, _ = signed_in(shop)
    for name in ("phone:0171 1234567", "0171/1234567", "+491711234567", "pia", f"#{found['person']}"):
        asked = quote(name, safe="")
        assert person(shop, asked)["person"] == found["person"], name
        assert graph(shop, asked)["person"] == found["person"], name
        assert f"/people/{found['person']}" in client.get("/people", params={"q": name}).text, name
    assert "Time zone Asia/Tokyo, by the trait timezone" in client.get(f"/people/{found['person']}").text


def test_a_wrong_merge_is_seen_and_taken_back_over_the_api(shop):
    tell(shop, "track", userId="mia", event="Order Completed")
    tell(shop, "track", anonymousId="kiosk", event="Product Viewed")
    tell(shop, "identify", userId="mia", anonymousId="kiosk", traits={"email": "mia@shop.example"})
    found = graph(shop, "user_id:mia")
    assert {each["identifier"] for each in found["identifiers"]} >= {"user_id:mia", "anonymous_id:kiosk"}
    [merge] = found["merges"]
    assert merge["between"] == ["user_id:mia", "anonymous_id:kiosk"]
    assert merge["would_move"] == ["anonymous_id:kiosk"]
    assert re.fullmatch(r"identify \S+ of till names user_id:mia and anonymous_id:kiosk", merge["reason"])
    assert person(shop, "user_id:mia")["segments"] == ["customers", "lookers"]

    body = {"merge": merge["merge"], "reason": "the kiosk is everybody's"}
    answer = shop.post("/v1/people/user_id:mia/split", body)
    assert answer.json() == {"folded": True, "people": [found["person"], merge["gone"]]}, answer.text
    number = shop.world.log.last()[0]
    wait_for(lambda: shop.client.status().tick_offset >= number * 4096, "no tick follows")
    assert person(shop, "user_id:mia")["segments"] == ["customers"]
    assert person(shop, "anonymous_id:kiosk")["segments"] == ["lookers"]
    parted = graph(shop, "anonymous_id:kiosk")
    assert parted["person"] == merge["gone"]
    assert parted["kept_apart_from"] == [found["person"]]
    assert shop.post("/v1/people/user_id:mia/split", body).status_code == 409, "it was taken back already"

    tell(shop, "track", userId="mia", anonymousId="kiosk", event="Product Viewed")
    assert graph(shop, "anonymous_id:kiosk")["person"] == merge["gone"], "they are kept apart"
    assert "set apart by hand" in graph(shop, "user_id:mia")["refused"][0]["reason"]
    answer = shop.post(
        "/v1/people/merge", {"one": "user_id:mia", "other": "anonymous_id:kiosk", "reason": "it is hers"}
    )
    assert answer.json() == {"folded": True, "people": [found["person"]]}
    again = graph(shop, "user_id:mia")["merges"][-1]
    assert (again["reason"], again["by"], again["source"]) == ("it is hers", "till", None)


def test_single_identifiers_are_taken_out(shop):
    tell(shop, "identify", userId="tom", traits={"email": "tom@shop.example", "phone": "+4930123456"})
    assert person(shop, "email:tom@shop.example")["person"] == person(shop, "user_id:tom")["person"]
    body = {"identifiers": ["phone:+4930123456"], "reason": "the family's phone"}
    answer = shop.post("/v1/people/user_id:tom/split", body)
    assert answer.status_code == 200, answer.text
    tom, other = answer.json()["people"]
    assert person(shop, "phone:+4930123456")["person"] == other != tom
    assert shop.post(f"/v1/people/number:{other}/split", body).json()["error"]["code"] == "identity.nothing_left"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"reason": "x"}, "identity.split"),
        ({"merge": 999, "reason": "x"}, "identity.merge_unknown"),
        ({"identifiers": ["email:nobody@shop.example"], "reason": "x"}, "identity.not_theirs"),
        ({"merge": 1, "reason": " "}, "identity.merge_unknown"),
        ({"identifiers": ["user_id:lea"], "merge": 1, "reason": "x"}, "identity.split"),
        ({"merge": "one", "reason": "x"}, "request.body"),
        ({"reason": "x", "extra": 1}, "request.body"),
    ],
)
def test_a_split_that_cannot_be_says_so(shop, body, code):
    tell(shop, "track", userId="lea", event="Product Viewed")
    answer = shop.post("/v1/people/user_id:lea/split", body)
    assert answer.json()["error"]["code"] == code
    assert 400 <= answer.status_code < 500


def test_a_merge_by_hand_joins_two_users_and_needs_a_reason(shop):
    tell(shop, "track", userId="u-old", event="Order Completed")
    tell(shop, "track", userId="u-new", event="Order Completed")
    call = {"one": "user_id:u-new", "other": "user_id:u-old"}
    assert shop.post("/v1/people/merge", {**call, "reason": ""}).json()["error"]["code"] == "identity.reason"
    assert shop.post("/v1/people/merge", {**call, "reason": "a second account"}).status_code == 200
    assert person(shop, "user_id:u-old")["person"] == person(shop, "user_id:u-new")["person"]
    assert shop.post("/v1/people/merge", {**call, "reason": "again"}).json()["error"]["code"] == "identity.same"


def test_a_browser_key_merges_no_known_users_and_proves_no_address(shop):
    tell(shop, "track", userId="victim", event="Order Completed")
    tell(shop, "track", userId="thief", event="Product Viewed")
    tell(shop, "identify", userId="victim", traits={"email": "victim@shop.example"})
    victim, thief = (person(shop, f"user_id:{name}")["person"] for name in ("victim", "thief"))
    tell(shop, "alias", browser=True, userId="thief", previousId="victim")
    tell(shop, "alias", browser=True, userId="thief", anonymousId="victim", previousId="user_id:victim")
    traits = {"email": "victim@shop.example", "phone": "+4930999999"}
    tell(shop, "identify", browser=True, userId="thief", traits=traits)
    tell(shop, "identify", browser=True, userId="thief", anonymousId="t", context={"traits": traits})
    external = [{"type": "email", "id": "victim@shop.example"}]
    tell(shop, "track", browser=True, userId="thief", event="Product Viewed", context={"externalIds": external})
    assert [person(shop, f"user_id:{name}")["person"] for name in ("victim", "thief")] == [victim, thief]
    assert person(shop, "email:victim@shop.example")["person"] == victim
    told = person(shop, "user_id:thief")["traits"]
    assert "email" not in told
    assert "phone" not in told
    assert "unverified_email" in told
    for path in ("merge", "user_id:victim/split"):
        answer = httpx.post(f"{shop.base_url}/v1/people/{path}", headers=BROWSER, json={}, timeout=60)
        assert answer.status_code == 401
    for headers in (BROWSER, {}):
        answer = httpx.get(f"{shop.base_url}/v1/people/user_id:victim/graph", headers=headers, timeout=60)
        assert answer.status_code == 401


def test_nobody_gets_in_front_of_an_address_by_calling_themselves_by_it(shop):
    tell(shop, "identify", userId="named-vera", traits={"email": "vera@example.com"})
    tell(shop, "identify", browser=True, userId="vera@example.com", anonymousId="browser-of-a-stranger")
    stranger = person(shop, "browser-of-a-stranger")["person"]
    assert person(shop, "vera@example.com")["person"] == person(shop, "named-vera")["person"] != stranger
    assert person(shop, "user_id:vera@example.com")["person"] == stranger, "who is meant can be said"


def test_digits_are_an_id_of_the_shop_and_never_the_number_of_a_stranger(shop):
    tell(shop, "identify", userId="named-una")
    una = person(shop, "named-una")["person"]
    correction = {"traits": {"city": "Wien"}, "because": "she moved"}
    for call in (
        lambda: shop.get(f"/v1/people/{una}"),
        lambda: shop.post(f"/v1/people/{una}/traits", correction),
        lambda: shop.post("/v1/people/merge", {"one": f"{una}", "other": "named-una", "reason": "one and the same"}),
    ):
        assert call().json()["error"]["code"] == "person.unknown"
    tell(shop, "identify", userId=f"{una}")
    other = person(shop, f"{una}")["person"]
    assert other != una
    assert shop.post(f"/v1/people/{una}/traits", correction).json()["people"] == [other]
    assert "city" not in person(shop, "named-una")["traits"]
    for named in (f"number:{una}", f"%23{una}", "user_id:named-una"):
        assert person(shop, named)["person"] == una
    asked = {"one": una, "other": f"number:{una}", "reason": "an integer is a number"}
    assert shop.post("/v1/people/merge", asked).json()["error"]["code"] == "identity.same"


def test_a_parameter_that_cannot_be_is_named(shop):
    answer = shop.get("/v1/people/user_id:uma/timeline", limit=201)
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert message.endswith("(limit: input should be less than or equal to 200)"), message


def test_an_address_that_gets_no_mail_is_seen_at_its_person(shop):
    tell(shop, "identify", userId="named-rui", traits={"email": "rui@example.com"})
    assert person(shop, "named-rui")["suppressed"] == []
    call = {"suppressions": [{"email": "rui@example.com", "reason": "complaint"}]}
    assert shop.post("/v1/suppressions", call).status_code == 200
    told = person(shop, "named-rui")
    email = next(one["value"] for one in told["identifiers"] if one["kind"] == "email")
    assert told["suppressed"] == [{"address_hash": email, "reason": "complaint"}]
    client, _ = signed_in(shop)
    page = client.get(f"/people/{told['person']}").text
    consent = page[page.index("<h2>Consent</h2>") :]
    assert "suppressed</span> no mail at all" in consent[: consent.index("</section>")]
    assert "complaint" in consent[: consent.index("</section>")]


def test_what_names_two_people_is_asked_back(shop):
    tell(shop, "identify", userId="named-tom", traits={"phone": "+49 30 7654321"})
    tell(shop, "identify", browser=True, userId="+49 30 7654321", anonymousId="browser-with-a-phone")
    answer = shop.get("/v1/people/+49 30 7654321")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "person.ambiguous")
    tom, other = person(shop, "named-tom")["person"], person(shop, "browser-with-a-phone")["person"]
    assert f"phone of #{tom}" in answer.json()["error"]["message"]
    assert f"user_id of #{other}" in answer.json()["error"]["message"]
    assert person(shop, "phone:+49 30 7654321")["person"] == tom
    page = signed_in(shop)[0].get("/people", params={"q": "+49 30 7654321"}).text
    assert f'href="/people/{tom}"' in page
    assert f'href="/people/{other}"' in page


def test_the_page_shows_the_graph_and_parts_and_joins(shop):
    tell(shop, "track", userId="<b>eve</b>", event="Order Completed")
    tell(shop, "track", anonymousId="laptop", event="Order Completed")
    tell(shop, "track", userId="<b>eve</b>", anonymousId="laptop", event="Product Viewed")
    shop.client.flush_history()
    client, csrf = signed_in(shop)
    number = person(shop, "anonymous_id:laptop")["person"]
    page = client.get(f"/people/{number}").text
    assert "<b>eve</b>" not in page
    assert "Order Completed of till" in page
    [merge] = graph(shop, f"number:{number}")["merges"]
    assert f"merge {merge['merge']}" in page
    form = {"csrf": csrf, "merge": str(merge["merge"]), "reason": "a shared laptop"}
    assert (
        client.post(f"/people/{number}/split", data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    )
    assert client.post(f"/people/{number}/split", data=form | {"csrf": "x"}, headers=OURS).status_code == 403
    answer = client.post(f"/people/{number}/split", data=form, headers=OURS)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/people/{number}#who")
    other = person(shop, "anonymous_id:laptop")["person"]
    assert other != number
    assert "Set apart from" in client.get(f"/people/{other}").text
    form = {"csrf": csrf, "other": f"#{other}", "reason": "hers after all"}
    assert client.post(f"/people/{number}/merge", data=form, headers=OURS).status_code == 303
    assert person(shop, "anonymous_id:laptop")["person"] == number
    form = {"csrf": csrf, "identifier": "anonymous_id:laptop", "reason": "no"}
    assert client.post(f"/people/{number}/split", data=form, headers=OURS).status_code == 303
    assert person(shop, "anonymous_id:laptop")["person"] > other, "a number is never given twice"
    [*_, last] = graph(shop, f"number:{number}")["merges"]
    assert (last["by"], last["undone"]) == ("ada", True)


def test_a_trait_is_corrected_over_the_api_as_the_door_would_take_it(shop):
    tell(shop, "identify", userId="kim", traits={"email": "kim@shop.example", "city": "Wein", "kids": 2})
    tell(shop, "identify", userId="max", traits={"email": "max@shop.example"})
    path = "/v1/people/user_id:kim/traits"
    answer = shop.post(path, {"traits": {"city": "Wien", "phone": "0171 7654321"}, "because": "she wrote us"})
    assert (answer.status_code, answer.json()["folded"]) == (200, True), answer.text
    told = person(shop, "phone:+491717654321")["traits"]
    assert (told["city"]["value"], told["city"]["source"], told["phone"]["value"]) == (
        "Wien",
        "correction",
        "+491717654321",
    )
    shop.client.flush_history()
    query = "SELECT context FROM events WHERE source = 'correction'"
    told = [row["context"] for row in shop.app.state.context.history.query(query).to_pylist()]
    assert [json.loads(one)["correction"]["because"] for one in told].count("she wrote us") == 1
    for body, code in (
        ({"traits": {"phone": "many"}, "because": "x"}, "person.trait"),
        ({"traits": {}, "because": "x"}, "person.trait"),
        ({"traits": {"city": "Graz"}, "because": " "}, "identity.reason"),
        ({"traits": {"email": "max@shop.example"}, "because": "x"}, "person.taken"),
        ({"traits": {"city": "Graz"}}, "request.body"),
    ):
        assert shop.post(path, body).json()["error"]["code"] == code
    error = shop.post(path, {"traits": {"kids": "many", "phone": "many"}, "because": "x"}).json()["error"]
    assert {issue["path"]: issue["message"] for issue in error["issues"]} == {
        "traits.kids": '"many" is no number',
        "traits.phone": "a text of 4 characters is no phone number",
    }
    assert len(error["issues"]) == 2
    assert person(shop, "user_id:kim")["traits"]["city"]["value"] == "Wien"
    assert person(shop, "user_id:max")["person"] != person(shop, "user_id:kim")["person"]
    body = {"traits": {"city": "X"}, "because": "x"}
    refused = httpx.post(shop.base_url + path, headers=BROWSER, json=body, timeout=60)
    assert refused.status_code == 401


def test_a_trait_is_corrected_on_the_page(shop):
    tell(shop, "identify", anonymousId="sofa", traits={"city": "Linz"})
    tell(shop, "identify", userId="ron", anonymousId="sofa", traits={"kids": 2})
    number = person(shop, "user_id:ron")["person"]
    client, csrf = signed_in(shop)
    assert "Tell a trait that is missing" in client.get(f"/people/{number}").text
    form = {"csrf": csrf, "trait": "kids", "value": "3", "because": "twins"}
    assert client.post(f"/people/{number}/traits", data=form | {"csrf": "x"}, headers=OURS).status_code == 403
    answer = client.post(f"/people/{number}/traits", data=form, headers=OURS)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/people/{number}")
    told = person(shop, "user_id:ron")["traits"]
    assert (told["kids"]["value"], told["city"]["value"]) == (3, "Linz")
    form |= {"trait": "city", "value": ""}
    assert client.post(f"/people/{number}/traits", data=form, headers=OURS).status_code == 303
    assert "city" not in person(shop, "user_id:ron")["traits"], "empty removes it"


def test_a_correction_that_is_refused_keeps_what_was_typed_and_says_why_at_its_field(shop):
    tell(shop, "identify", userId="eve", traits={"kids": 2, "phone": "+49301234567"})
    number = person(shop, "user_id:eve")["person"]
    client, csrf = signed_in(shop)
    form = {"csrf": csrf, "trait": "phone", "value": "many <b>", "because": "she called"}
    answer = client.post(f"/people/{number}/traits", data=form, headers=OURS)
    assert answer.status_code == 400
    assert 'value="many &lt;b&gt;" aria-invalid="true" aria-describedby="trait-fault"' in answer.text
    assert 'value="she called">' in answer.text
    assert answer.text.count('role="alert"') == answer.text.count('id="trait-fault"') == 1
    assert answer.text.count("<summary>Correct</summary>") > 1, "it is the person's page"
    assert answer.text.count('<details class="data" open>') == 1
    form |= {"trait": "nick", "value": "Evi", "because": " "}
    answer = client.post(f"/people/{number}/traits", data=form, headers=OURS)
    assert answer.status_code == 400
    assert 'value=" " aria-invalid="true"' in answer.text
    assert all(f'value="{one}"' in answer.text for one in ("nick", "Evi"))
    assert "nick" not in person(shop, "user_id:eve")["traits"]


def test_a_correction_is_taken_whatever_else_the_plan_misses(shop):
    tell(shop, "identify", userId="ida", traits={"kids": 2})
    context = shop.app.state.context
    number = person(shop, "user_id:ida")["person"]
    facts = context.engine.facts([number])[number]

    def made(violation: str, **traits: Any) -> dict[str, Any]:
        shape = EventPlan(properties={"kids": "number", "size": "number"}, required=["size"], violation=violation)
        rules = replace(context.ingest_rules, plan=TrackingPlan(identify=shape))
        return correction(facts, context.engine, rules, context.clock, traits=traits, reason="x", by="me").traits

    assert made("drop", kids=3) == made("allow", kids=3) == {"kids": 3}, "the plan wants a size, too"
    assert made("drop", timezone="Mars") == {"timezone": "Mars"}
    assert made("allow", kids="three") == {"kids": "three"}
    for violation, traits in (("drop", {"kids": "three"}), ("block", {"kids": 3}), ("quarantine", {"kids": 3})):
        with pytest.raises(InvalidInput, match=r"number|size"):
            made(violation, **traits)


def test_two_who_look_alike_are_said_to_be_two_or_one_on_the_board(shop):
    for user in ("zoe", "zoey", "zora"):
        tell(shop, "identify", anonymousId=user, traits={"firstName": user.title(), "lastName": "Lang"})
    zoe, zoey, zora = (person(shop, f"anonymous_id:{user}")["person"] for user in ("zoe", "zoey", "zora"))
    pairs = [Pair(one=zoe, other=other, score=97.5, alike=("name",), accounts=False) for other in (zoey, zora)]
    report = AuditReport(at=0, n_people=3, n_stale=0, n_unreachable=0, lacking={}, pairs=pairs, n_pairs=2)
    shop.app.state.context.records.meta.put("audit.newest", msgspec.json.encode(report).decode())
    client, csrf = signed_in(shop)
    page = client.get("/quality").text
    assert "Zoey Lang" in page
    assert "Zora Lang" in page
    form = {"csrf": csrf, "one": str(zoe), "other": str(zoey), "say": "apart"}
    assert client.post("/quality/pairs", data=form | {"csrf": "x"}, headers=OURS).status_code == 403
    assert client.post("/quality/pairs", data=form, headers=OURS).status_code == 303
    assert graph(shop, f"number:{zoe}")["kept_apart_from"] == [zoey]
    assert (
        client.post("/quality/pairs", data=form | {"other": str(zora), "say": "merge"}, headers=OURS).status_code == 303
    )
    page = client.get("/quality").text
    assert "Zoey Lang" not in page
    assert "Zora Lang" not in page
    assert person(shop, "anonymous_id:zora")["person"] == person(shop, "anonymous_id:zoe")["person"]
    tell(shop, "track", anonymousId="zoey", event="Product Viewed")
    tell(shop, "identify", anonymousId="zoe", context={"externalIds": [{"type": "anonymous_id", "id": "zoey"}]})
    assert person(shop, "anonymous_id:zoey")["person"] != person(shop, "anonymous_id:zoe")["person"], "events neither"


def test_a_persons_addresses_are_shown_and_their_consents_told_by_purpose(shop):
    for address in ("fay@old.example", "fay@new.example"):
        tell(shop, "identify", userId="fay", traits={"email": address})
    context = shop.app.state.context
    old, new = (context.sealer.hash_address(f"fay@{which}.example") for which in ("old", "new"))
    said = [(old, "news", True, 1), (old, "news", False, 2), (new, "offers", True, 3)]
    context.records.consents.record(
        [
            Consent(address_hash=one, purpose=purpose, granted=granted, at=Instant(n * DAY), source=f"form{n}")
            for one, purpose, granted, n in said
        ]
    )
    found = person(shop, "user_id:fay")
    assert found["consents"] == [
        {
            "purpose": "news",
            "state": "withdrawn",
            "since": "1970-01-03T00:00:00Z",
            "source": "form2",
            "address_hash": old,
        },
        {
            "purpose": "offers",
            "state": "granted",
            "since": "1970-01-04T00:00:00Z",
            "source": "form3",
            "address_hash": new,
        },
    ]
    client, _ = signed_in(shop)
    page = client.get(f"/people/{found['person']}").text
    who = page[page.index("Who this is") :]
    assert "fay@old.example" in who
    assert "fay@new.example" in who
    assert f"hash {old[:8]}" not in page
    consents = page[page.index("<h2>Consent</h2>") :]
    assert consents.index("withdrawn") < consents.index("fay@old.example") < consents.index("3 entries on record")


def test_a_merge_or_split_that_cannot_be_is_told_on_the_persons_page_with_the_form_kept(shop):
    tell(shop, "track", userId="gus", anonymousId="gus-phone", event="Product Viewed")
    number = person(shop, "user_id:gus")["person"]
    client, csrf = signed_in(shop)

    def sent(what: str, **form: str) -> tuple[int, str]:
        answer = client.post(f"/people/{number}/{what}", data={"csrf": csrf, **form}, headers=OURS)
        return answer.status_code, answer.text

    status, page = sent("merge", other="no<b>body", reason="a second account")
    assert status == 404
    assert "Who this is" in page
    assert "nobody is known as" in page
    assert 'name="other" value="no&lt;b&gt;body"' in page
    assert 'value="a second account"' in page
    status, page = sent("merge", other="user_id:gus", reason="")
    assert (status, "are person" in page or "both are" in page) == (409, True)
    status, page = sent("split", reason="why not")
    assert status == 400
    assert "a split takes one merge back, or takes identifiers out; name one of the two" in page
    assert 'value="why not"' in page
    status, page = sent("split", identifier="anonymous_id:gus-phone", reason="")
    assert status == 400
    assert re.search(r'value="anonymous_id:gus-phone" checked', page)
    assert person(shop, "anonymous_id:gus-phone")["person"] == number


def test_the_timeline_tells_traits_merges_and_splits(shop):
    tell(shop, "track", userId="ivy", event="Order Completed")
    tell(shop, "track", userId="ivy2", event="Order Completed")
    tell(shop, "identify", userId="ivy", traits={"city": "Graz"})
    tell(shop, "group", userId="ivy", groupId="acme", traits={"plan": "gold"})
    number, other = (person(shop, f"user_id:{name}")["person"] for name in ("ivy", "ivy2"))
    call = {"one": "user_id:ivy", "other": "user_id:ivy2", "reason": "two logins of hers"}
    assert shop.post("/v1/people/merge", call).status_code == 200
    client, _ = signed_in(shop)
    page = client.get(f"/people/{number}/timeline").text
    assert "city Graz" in page
    assert "plan gold" in page
    assert f"Merged with #{other}" in page
    assert "two logins of hers · by till" in page
    [merge] = graph(shop, "user_id:ivy")["merges"]
    body = {"merge": merge["merge"], "reason": "sisters"}
    assert shop.post("/v1/people/user_id:ivy/split", body).status_code == 200
    page = client.get(f"/people/{number}/timeline").text
    assert f"Split from #{other}" in page
    assert "sisters" in page


def test_the_timeline_of_the_api_goes_on_where_it_ended_and_seals_what_is_sealed(shop):
    for number in range(5):
        tell(shop, "track", userId="uma", event=f"E{number}", messageId=f"uma{number}")
    tell(shop, "track", userId="uma", event="E4", messageId="uma4")
    tell(shop, "identify", userId="uma", traits={"firstName": "Umaporn"})
    person(shop, "user_id:uma")
    found, before = [], None
    while True:
        asked = {"limit": 2} | ({"before": before} if before else {})
        told = shop.get("/v1/people/user_id:uma/timeline", **asked).json()
        found += told["happened"]
        assert told["complete"] is True
        if (before := told["next"]) is None:
            break
    names = [one["name"] for one in found if one["kind"] == "event"]
    assert sorted(names) == ["E0", "E1", "E2", "E3", "E4", "identify"]
    assert [one["offset"] for one in found if one["kind"] == "event"] == sorted(
        (one["offset"] for one in found if one["kind"] == "event"), reverse=True
    )
    assert "Umaporn" not in str(found)
    [identify] = [one for one in found if one["name"] == "identify"]
    assert set(identify["detail"]) == {"firstName"}
    assert shop.get("/v1/people/user_id:uma/timeline", before="x").status_code == 400
    assert shop.get("/v1/people/user_id:uma/timeline", limit=201).status_code == 400
    assert shop.get("/v1/people/user_id:nobody/timeline").status_code == 404


def test_people_are_searched_by_an_indexed_trait(shop):
    tell(shop, "identify", userId="una", traits={"nick": "Sunny"})
    client, _ = signed_in(shop)
    assert f'/people/{person(shop, "user_id:una")["person"]}"' in client.get("/people", params={"q": "Sunny"}).text
    assert "una" not in client.get("/people", params={"q": "Rainy"}).text
