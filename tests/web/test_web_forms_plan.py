"""Forms and the tracking plan: their own events are declared, what it holds back is kept, what it refuses is logged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from form_site import ANNA, Site, reader
from visitors import client_of

from mailwright.core.sources import QuarantineFilter
from mailwright.ingest.hooks import IngestRules
from mailwright.ingest.mending import read_patches
from mailwright.ingest.plan import EventPlan, TrackingPlan
from mailwright.runtime.collected import Collected


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


def test_forms_cannot_fill_the_room_of_others(site: Site, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr("mailwright.runtime.quarantine.MOST_OF_PUBLIC", 2)
    plan = TrackingPlan(identify=EventPlan(properties={"firstName": "number"}, violation="quarantine"))
    context = site.shop.context
    site.shop.context = replace(context, project=replace(context.project, tracking_plan=plan))
    site.client = client_of(site.shop)
    for n in range(4):
        assert site.send("plain", answers={"email": f"a{n}@example.com", "firstName": "A"}).status_code == 200
    assert site.shop.records.quarantine.count() == 2
    assert "form plain: the log does not take" in caplog.text
    door = {"Authorization": "Bearer sk_server"}
    call = {"type": "identify", "userId": "u", "traits": {"firstName": "A"}}
    for n in range(4):
        told = site.client.post("/v1/batch", json={"batch": [{**call, "messageId": f"m{n}"}]}, headers=door).json()
        assert "quarantined" in told
    assert site.shop.records.quarantine.count() == 6


def test_a_submission_that_the_plan_holds_back_is_kept_for_whom_the_link_proves(site: Site) -> None:
    plan = TrackingPlan(identify=EventPlan(properties={"score": "text"}, violation="quarantine"))
    context = site.shop.context
    collected = Collected(site.shop.records.sources, context.clock, site.shop.log)
    project = replace(context.project, tracking_plan=plan)
    site.shop.context = replace(context, project=project, collected=collected)
    site.client = client_of(site.shop)
    message, person = reader(site)
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
    rules = IngestRules(sealer=context.sealer)
    assert quarantine.replay([held.id], rules, who="me").taken == [held.id]
    identify = next(event for event in site.told("form:nps") if event.type == "identify")
    assert (identify.traits["score"], identify.traits["note"]) == (9, "x")
    facts = site.shop.engine.people[person]
    assert [f"{one.kind}:{one.value}" for one in identify.identifiers] == [facts.first_identifier]
