"""Where webhooks come in: ``/w/NAME``. And what has come of them, for programs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from mailwright.core.errors import NotFound
from mailwright.core.instants import iso_or_none
from mailwright.core.outside import WebhookTally
from mailwright.ingest.webhooks import verification
from mailwright.ingest.webhooks.definitions import WebhookDefinition
from mailwright.runtime.webhooks import WebhookDoor, report_body
from mailwright.web.access import allowed
from mailwright.web.bodies import json_response, read_body
from mailwright.web.context import WebContext
from mailwright.web.described import ApiRoute, Told, When
from mailwright.web.pages.shell import Context

router = APIRouter(tags=["Webhooks"])
api_router = APIRouter(
    prefix="/v1", tags=["Sources and quarantine"], dependencies=[Depends(allowed)], route_class=ApiRoute
)

Name = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]


@router.post("/w/{name}")
async def deliver(request: Request, name: Name) -> Response:
    """Take one delivery in its sender's own shape, see ``webhooks/NAME.yaml``.

    200 once all that it holds is durable: ``{"accepted": 2, "events": 2, "refused": [{"output", "index", "field",
    "reason"}]}``, with ``"replayed": true`` for one that had come before (of one that is known by its body alone,
    withdrawals and suppressions hold all the same and are counted) and ``"ignored": true`` for one that nothing was
    asked of. ``quarantined`` has rows like those of ``refused`` for events that the tracking plan holds back: they
    are kept, to be mended and let in. 401 if nothing shows that it is genuine; 400 if its body cannot be read; 503 if
    it may be sent again.
    """
    context: WebContext = request.app.state.context
    await run_in_threadpool(_definition, context, name)  # before a byte is read for a webhook that is none
    body = await read_body(request, context.settings.limits.request_bytes)
    asked = verification.Request(body=body, headers=_headers(request), query=dict(request.query_params))

    def take() -> dict[str, Any]:
        return report_body(_door(context).take(name, _definition(context, name), asked))

    return json_response(await run_in_threadpool(take))


@router.get("/w/{name}")
def challenged(request: Request, name: Name) -> Response:
    """Answer a sender that asks whether the address is ours, if the definition has a ``challenge``."""
    context: WebContext = request.app.state.context
    definition = _definition(context, name)
    return PlainTextResponse(_door(context).challenged(definition.challenge, dict(request.query_params)))


@router.head("/w/{name}")
def there(request: Request, name: Name) -> Response:
    """200 if there is a webhook of this name."""
    _definition(request.app.state.context, name)
    return Response()


class WebhookTold(Told):
    """A webhook and how often it was called; `last_fault` is why the newest refused call was refused."""

    name: str
    title: str
    source: str
    address: str
    received: int
    accepted: int
    refused: int
    ignored: int
    replayed: int
    last_at: When | None
    last_fault: str


class Webhooks(Told):
    """Every webhook, in the order of the project."""

    webhooks: list[WebhookTold]


@api_router.get("/webhooks")
def webhooks(context: Context) -> Webhooks:
    """Every webhook with its address and how often it was called."""
    tallies = context.records.webhooks.tallies()
    found = context.project.webhooks
    base = context.settings.base_url
    return Webhooks(webhooks=[_told(name, one, base, tallies.get(name, WebhookTally())) for name, one in found.items()])


def _told(name: str, definition: WebhookDefinition, base_url: str, tally: WebhookTally) -> WebhookTold:
    return WebhookTold(
        name=name,
        title=definition.title,
        source=f"webhook:{name}",
        address=f"{base_url}/w/{name}",
        received=tally.received,
        accepted=tally.accepted,
        refused=tally.refused,
        ignored=tally.ignored,
        replayed=tally.replayed,
        last_at=iso_or_none(tally.last_at or None),
        last_fault=tally.last_fault,
    )


def _definition(context: WebContext, name: str) -> WebhookDefinition:
    definition = context.project.webhooks.get(name)
    if definition is None:
        raise NotFound("webhook.unknown", "there is no such webhook", "put webhooks/NAME.yaml in force by `apply`")
    return definition


def _door(context: WebContext) -> WebhookDoor:
    return WebhookDoor(
        log=context.log,
        records=context.records,
        clock=context.clock,
        wall=context.lease_clock,
        sealer=context.sealer,
        rules=context.ingest_rules,
        catalogs=context.project.catalogs,
        collected=context.collected,
        fetch=context.fetch,
    )


def _headers(request: Request) -> dict[str, str]:
    """Of two of a name the first counts."""
    return dict(reversed(request.headers.items()))
