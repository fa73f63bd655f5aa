"""The OpenAPI document is one, and the door keeps to it whatever is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from seeded_shop import make_shop
from visitors import client_of

from mailwright.web.app import create_app

AUTH = {"Authorization": "Bearer sk_server"}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    made = make_shop(tmp_path_factory.mktemp("openapi"), n_people=12)
    yield schemathesis.openapi.from_asgi("/v1/openapi.json", create_app(made.context))
    made.records.close()


def test_every_address_answers_as_documented(schema: Any) -> None:
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 20
    for operation in operations:

        @settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            check(case)

        ask()


def check(case: Any) -> None:
    """No 5xx but that of a port that is told to be absent; every status is documented; errors have their shape."""
    answer = case.call(headers=AUTH)
    assert answer.status_code < 500 or answer.status_code == 503, (case.as_curl_command(), answer.text)
    documented = case.operation.definition.raw["responses"]
    assert str(answer.status_code) in documented, (case.as_curl_command(), answer.text)
    if answer.status_code >= 400:
        assert answer.json()["error"]["code"]
    elif case.path in ("/v1/batch", "/v1/track"):
        assert {"accepted", "refused"} <= answer.json().keys()


def test_the_document_names_what_the_door_takes(tmp_path: Path) -> None:
    made = make_shop(tmp_path, n_people=1)
    told = client_of(made).get("/v1/openapi.json").json()
    assert told["openapi"].startswith("3.1")
    calls = ("identify", "track", "page", "screen", "group", "alias", "batch", "import", "items", "quarantine/replay")
    assert {f"/v1/{call}" for call in calls} <= told["paths"].keys()
    made.records.close()
