"""``mailwright webhook``, as somebody types it."""

import json
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent.parent / "scenarios"), str(Path(__file__).parent.parent / "unit" / "ingest")]

from running_project import SETTINGS, done, mailwright, make_project  # noqa: E402
from webhook_bodies import SHOPIFY_ORDER  # noqa: E402


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("cli") / "shop", SETTINGS)


def test_a_body_is_shown_as_what_it_would_become(shop: Path, tmp_path: Path) -> None:
    here = ("--project", str(shop))
    assert done("webhook", *here) == "No webhook is defined.\n"
    (shop / "webhooks").mkdir()
    (shop / "webhooks" / "shopify.yaml").write_text("preset: shopify\n")
    assert "/w/shopify  0         0      0        0        never" in done("webhook", *here)
    body = tmp_path / "order.json"
    body.write_text(json.dumps(SHOPIFY_ORDER))
    asked = ("webhook", "shopify", "--body", str(body), *here)
    shown = done(*asked, "--header", "X-Shopify-Topic: orders/create")
    assert '"event": "Order Completed"' in shown
    assert shown.endswith("1 would be taken, 0 refused. Nothing was written.\n")
    assert "No template asks for anything of this body." in done(*asked, "--header", "X-Shopify-Topic:other")
    assert "received  taken" in done("webhook", *here)
    for args, fault in (
        (("webhook", "shop", "--body", str(body)), "did you mean 'shopify'?"),
        (("webhook", "shopify"), "add --body FILE"),
        ((*asked[:4], "--header", "no header"), "write --header"),
    ):
        assert fault in mailwright(*args, *here).stderr
