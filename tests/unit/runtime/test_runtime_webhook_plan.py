"""What webhooks make and the tracking plan: the plan of `mailwright plan` warns, and the starter loses no order."""

import json
from pathlib import Path

import pytest

from mailwright.ingest.webhooks.verification import Request
from mailwright.runtime.installation import open_installation
from mailwright.runtime.project import starter
from mailwright.runtime.project.load import load_project
from mailwright.runtime.project.versions import plan as plan_of
from mailwright.runtime.settings import load_settings
from mailwright.runtime.webhooks import draft

STRIPE = "preset: stripe\n"
PLAN = "events: {Order Completed: {required: [total, products], properties: {total: number, products: list}%s}}\n"
OWN = """\
verify: { kind: hmac, secret_env: X, header: X-S }
events:
  - name: case($.kind, "paid", "Order Completed", "Other")
    user_id: text($.who)
    properties: { total: number($.total), %s: $.lines }
"""


def warnings(plan: str, webhook: str, **more: str) -> list[str]:
    files = {"tracking-plan.yaml": plan, "webhooks/pay.yaml": webhook, **more}
    return [str(one) for one in load_project(files).warnings]


def test_a_preset_that_never_has_what_the_plan_requires_is_told():
    [told] = warnings(PLAN % "", STRIPE)
    assert told.startswith(
        "webhooks/pay.yaml:1:9: 'Order Completed' of the webhook pay has no 'products', so tracking-plan.yaml refuses "
        "every one"
    )
    assert "violation: quarantine" in told
    [held] = warnings(PLAN % ", violation: quarantine", STRIPE)
    assert "holds every one back" in held
    for policy in ("allow", "drop"):
        assert warnings(PLAN % f", violation: {policy}", STRIPE) == []
    assert warnings(PLAN % "", "preset: shopify\n") == []
    [by_all] = warnings("violation: quarantine\n" + PLAN % "", STRIPE)
    assert "holds every one back" in by_all


def test_an_event_of_ones_own_is_told_where_it_stands_whatever_form_the_plan_has():
    schema = "events: {Order Completed: {schema: {required: [total, products]}}}\n"
    for plan in (PLAN % "", schema):
        [told] = warnings(plan, OWN % "lines")
        assert told.startswith("webhooks/pay.yaml:3:11: 'Order Completed' of the webhook pay has no 'products'")
        assert warnings(plan, OWN % "products") == []
        [own] = warnings(plan, "preset: shopify\n" + (OWN % "lines").partition("\n")[2])
        assert ":3:11:" in own


@pytest.mark.parametrize(
    "profile",
    [
        "properties: {products: {type: list, aliases: [lines]}}\n",
        "properties: {products: {type: list}}\nsources: {'webhook:pay': {names: {lines: products}}}\n",
    ],
)
def test_a_name_that_the_profile_schema_brings_into_ours_is_there(profile: str):
    assert warnings(PLAN % "", OWN % "lines", **{"profile.yaml": profile}) == []


SESSION = {"id": "cs_1", "object": "checkout.session", "client_reference_id": "u1", "currency": "eur"}


@pytest.mark.parametrize(("more", "taken", "held"), [({"amount_total": 2198}, 1, 0), ({}, 0, 1)])
def test_the_starter_project_loses_no_order_of_stripe(tmp_path: Path, more: dict[str, int], taken: int, held: int):
    starter.write(tmp_path / "shop")
    (tmp_path / "shop" / "webhooks").mkdir()
    (tmp_path / "shop" / "webhooks" / "stripe.yaml").write_text(STRIPE)
    body = {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": SESSION | more}}
    there = open_installation(load_settings(tmp_path / "shop", {}))
    try:
        project = plan_of(there).project
        assert project.warnings == ()
        found = draft(
            "stripe",
            project.webhooks["stripe"],
            Request(body=json.dumps(body).encode()),
            rules=project.ingest_rules(there.sealer, there.resolve),
            catalogs=project.catalogs,
            now=there.clock.now(),
        ).report
    finally:
        there.close()
    assert (found.events, len(found.held), list(found.refused)) == (taken, held, [])
