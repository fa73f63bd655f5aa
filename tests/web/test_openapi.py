"""The OpenAPI document tells of every address that is mounted, and the application keeps to it whatever is sent."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import jsonschema_rs
import msgspec
import pytest
import schemathesis
from fastapi import APIRouter, Depends, FastAPI, Path
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from seeded_shop import Shop, make_shop
from visitors import client_of

from mailwright.ingest.wire import Call
from mailwright.web.app import add_routes, create_app
from mailwright.web.described import ApiRoute, Told, also, json_body
from mailwright.web.door_calls import DOOR_CALLS, AnyCall, BatchItem
from mailwright.web.openapi import document, is_api

AUTH = {"Authorization": "Bearer sk_server"}
PROMISES = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
LEFT_OUT = re.compile(r"/v1/(\w|transitions/stream|pixel/.*)")
"""Short forms of calls, a WebSocket, and images."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, TestClient]]:
    made = make_shop(tmp_path_factory.mktemp("openapi"), n_people=12)
    yield made, client_of(made)
    made.records.close()


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    add_routes(app)
    return document(app.routes)


# --- what it tells ---------------------------------------------------------------------------------------------------


def test_every_address_of_the_api_is_described(told: dict[str, Any]) -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    add_routes(app)
    mounted = {
        (re.sub(r":\w+}", "}", str(route.path)), method.lower())
        for route in iter_route_contexts(app.routes)
        if is_api(route)
        for method in (route.methods or {"GET"}) - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, methods in told["paths"].items() for method in methods}
    assert described == mounted
    assert len(mounted) > 60


def test_the_document_is_one_and_names_what_the_paths_have(told: dict[str, Any]) -> None:
    from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

    OPENAPI_31_VALIDATOR.validate(told)
    names = [one["operationId"] for methods in told["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))
    for path, methods in told["paths"].items():
        for one in methods.values():
            named = {each["name"] for each in one.get("parameters", ()) if each["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path)), path
            assert one["summary"].endswith("."), path
            assert one["tags"]
            assert one["x-who"] in one["description"]
    assert all(one.get("description") for one in told["components"]["schemas"].values())


def test_two_structs_of_one_name_would_be_told_apart(told: dict[str, Any]) -> None:
    assert [name for name in told["components"]["schemas"] if "." in name] == []


class Doubled(Told):
    """What is found.

    Attributes:
        twice_n: Two of them,
            in all.
    """

    twice_n: int


class Doubling(msgspec.Struct):
    """What is asked."""

    n: int


numbers = APIRouter(prefix="/v1", tags=["Numbers"], route_class=ApiRoute)


@numbers.post("/double/{name}", status_code=201)
@also(202, 404, {422: Doubling})
def double(
    name: Annotated[str, Path(max_length=3)], asked: Annotated[Doubling, Depends(json_body(Doubling, "x.y"))]
) -> Doubled:
    """Twice it.

    With ``care``.

    Raises:
        NotFound: Never.
    """
    return Doubled(twice_n=2 * asked.n)


def test_a_route_is_described_by_its_signature() -> None:
    app = FastAPI(openapi_url=None)
    app.include_router(numbers)
    told = document(app.routes)
    one = told["paths"]["/v1/double/{name}"]["post"]
    assert (one["summary"], one["description"]) == ("Twice it.", "With `care`.\n\nFor everybody.")
    assert one["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/Doubling")
    refs = {
        status: answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for status, answer in one["responses"].items()
    }
    errors = dict.fromkeys(("400", "404", "408", "413", "415", "503"), "ErrorAnswer")
    assert refs == {"201": "Doubled", "202": "Doubled", "422": "Doubling", **errors}
    assert told["components"]["schemas"]["Doubled"]["properties"]["twice_n"]["description"] == "Two of them, in all."
    answer = TestClient(app).post("/v1/double/abc", json={"n": 4})
    assert (answer.status_code, answer.json()) == (201, {"twice_n": 8})


def test_the_door_is_described_as_it_reads() -> None:
    read = {field.encode_name for field in msgspec.structs.fields(Call)}
    for kind in (AnyCall, BatchItem, *(one.body for one in DOOR_CALLS.values() if issubclass(one.body, AnyCall))):
        assert {field.encode_name for field in msgspec.structs.fields(kind)} <= read
    assert {field.encode_name for field in msgspec.structs.fields(BatchItem)} == read


# --- what is answered to what makes sense ----------------------------------------------------------------------------

VALUES: Mapping[str, Mapping[str, str]] = {
    "name": {"": "everyone", "/v1/forms": "club", "/v1/lists": "vips"},
    "number": {"": "1"},
    "who": {"": "user_id:household-1"},
    "group": {"": "acme"},
    "key": {"": "pk_browser"},
}
QUERIES = {"/v1/people": {"trait": "kids", "value": "2"}}
NOTHING_YET = {"/v1/lists/{name}", "/v1/quarantine/{number}", "/v1/segments/previews/{preview_id}", "/v1/people"}
POSTS: list[tuple[str, str, dict[str, Any], int]] = [
    ("/v1/keys", "", {"name": "till"}, 201),
    ("/v1/keys", "", {"name": "till", "kind": "oauth"}, 201),
    ("/v1/segments/preview", "", {"rule": "count of 'Order Completed' >= 1"}, 202),
    ("/v1/segments/preview", "", {"rule": "count of"}, 422),
    ("/v1/lists/{name}", "vips", {"add": ["user-1", {"email": "not one"}]}, 200),
    ("/v1/quarantine/discard", "", {"source": "till"}, 200),
    ("/v1/quarantine/mend", "", {"event": "x", "patch": [{"op": "drop", "field": "properties.a"}]}, 200),
    ("/v1/quarantine/replay", "", {"event": "x"}, 200),
    ("/v1/track", "", {"userId": "u", "event": "Looked"}, 200),
    ("/v1/batch", "", {"batch": [{"type": "track", "userId": "u", "event": "Looked"}, {"type": "track"}]}, 200),
    ("/v1/track", "", {"userId": "u"}, 400),
    ("/v1/items", "", {"items": [{"catalog": "none", "item_id": 1, "facts": {}}]}, 400),
    ("/v1/suppressions", "", {"suppressions": [{"email": "a@b.example", "reason": "bounce"}]}, 200),
    ("/v1/forms/{name}/check", "club", {"trait": "email", "value": "nobody"}, 200),
    ("/v1/forms/{name}", "club", {"answers": {}}, 422),
]


def validate(told: Mapping[str, Any], path: str, method: str, answer: Any) -> None:
    content = told["paths"][path][method]["responses"][str(answer.status_code)].get("content")
    if content is None:
        assert not answer.content
    else:
        schema = {**content["application/json"]["schema"], "components": told["components"]}
        jsonschema_rs.validator_for(schema).validate(answer.json())


def test_every_read_answers_as_described(world: tuple[Shop, TestClient], told: dict[str, Any]) -> None:
    made, client = world
    for path, methods in told["paths"].items():
        if "get" not in methods or LEFT_OUT.fullmatch(path):
            continue
        answer = client.get(_filled(made, path), headers=AUTH, params=QUERIES.get(path))
        assert answer.status_code == 200 or path in NOTHING_YET, (path, answer.text)
        validate(told, path, "get", answer)


def _filled(made: Shop, path: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: _value(made, found[1], path), path)


def _value(made: Shop, name: str, path: str) -> str:
    if name in ("message_id", "preview_id"):
        return made.message_ids[0]
    values = VALUES.get(name, {"": "1"})
    return next((value for begin, value in values.items() if begin and path.startswith(begin)), values[""])


@pytest.mark.parametrize(("path", "name", "body", "status"), POSTS)
def test_what_is_posted_is_answered_as_described(
    world: tuple[Shop, TestClient], told: dict[str, Any], path: str, name: str, body: dict[str, Any], status: int
) -> None:
    answer = world[1].post(path.replace("{name}", name), headers=AUTH, json=body)
    assert answer.status_code == status, answer.text
    validate(told, path, "post", answer)


def test_a_number_of_thousands_of_digits_is_malformed(world: tuple[Shop, TestClient], told: dict[str, Any]) -> None:
    for path, methods in told["paths"].items():
        if "{number}" in path:
            answer = world[1].get(path.replace("{number}", "9" * 5000), headers=AUTH)
            assert answer.status_code == 400, path
            validate(told, path, "get" if "get" in methods else "post", answer)


# --- what is answered to whatever may come ---------------------------------------------------------------------------


@pytest.fixture
def schema(fresh_shop: Shop) -> Any:
    return schemathesis.openapi.from_asgi("/v1/openapi.json", create_app(fresh_shop.context))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_address_answers_as_described_whatever_is_sent(schema: Any, mode: GenerationMode) -> None:
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 60
    for operation in operations:
        if LEFT_OUT.fullmatch(operation.path):
            continue

        @settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            if isinstance((case.query or {}).get("wait"), int | float):
                case.query["wait"] = min(case.query["wait"], 0.01)
            case.call_and_validate(headers=AUTH, checks=PROMISES)

        with contextlib.suppress(Unsatisfiable):  # where nothing can be sent nothing wrong can be sent
            ask()
