"""Sources: who sends what, live; violations of the tracking plan; what was held back, to be mended and replayed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Depends, Form, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from mailwright.core.errors import InvalidInput
from mailwright.core.sources import QuarantineFilter, summed
from mailwright.ingest.mending import read_patches
from mailwright.runtime.write_keys import create_client, create_key, revoke_key
from mailwright.web.api_jobs import imports_told
from mailwright.web.context import WebContext
from mailwright.web.pages.shell import Context, pages_router
from mailwright.web.sessions import checked_form
from mailwright.web.sources_view import VIOLATION_DAYS, counts_told, live_told, replay, sources_told, violations_told
from mailwright.web.templating import page_response

router = pages_router()

LIVE_ROWS = 30
FORM_BYTES = 262_144
_Text = Annotated[str, Query(max_length=300)]
_Said = Annotated[str, Form(max_length=300)]
Number = Annotated[int, Path(ge=1, lt=2**53)]
_FORM: dict[str, Any] = {"max_body_size": FORM_BYTES, "dependencies": [Depends(checked_form)]}


@router.get("/sources")
def sources(request: Request, context: Context) -> Response:
    """Every source with its keys, what comes in just now, and what is not as the tracking plan says."""
    return page_response(request, "sources.html", _told(context))


def _told(context: WebContext) -> dict[str, Any]:
    return {
        "sources": sources_told(context),
        "door": context.settings.base_url,
        "violations": violations_told(context)[:100],
        "days": VIOLATION_DAYS,
        "counts": summed(counts_told(context)),
        "n_held": context.records.quarantine.count(),
        "held": context.quarantine.find(QuarantineFilter(), 10),
        "notes": context.records.sources.notes(10),
        "imports": imports_told(context),
        "rows": live_told(context, "", LIVE_ROWS),
        "source": "",
        "made": "",
        "made_for": "",
    }


@router.get("/sources/live")
def live(request: Request, context: Context, source: _Text = "") -> Response:
    """The newest items, as a part of the page."""
    return page_response(
        request, "sources_live.html", {"rows": live_told(context, source, LIVE_ROWS), "source": source}
    )


@router.post("/sources/keys", **_FORM)
def make_key(
    request: Request,
    context: Context,
    name: Annotated[str, Form(max_length=100)] = "",
    kind: Annotated[Literal["server", "browser", "oauth"], Form()] = "server",
) -> Response:
    """Make a key and show it, this once."""
    records, now, who = context.records.sources, context.lease_clock.now(), request.state.user
    if kind == "oauth":
        client = create_client(records, name.strip(), now=now, who=who)
        made = f"client_id {client.id}\nclient_secret {client.secret}"
    else:
        made = create_key(records, name.strip(), server=kind == "server", now=now, who=who)
    return page_response(request, "sources.html", _told(context) | {"made": made, "made_for": name.strip()})


@router.post("/sources/keys/{key_id}/revoke", **_FORM)
def revoke(request: Request, context: Context, key_id: Annotated[str, Path(max_length=64)]) -> Response:
    """Let a key count no more."""
    revoke_key(context.records.sources, key_id, who=request.state.user, now=context.lease_clock.now())
    return RedirectResponse("/sources", 303)


# --- quarantine ------------------------------------------------------------------------------------------------------


@router.get("/sources/quarantine")
def held(
    request: Request,
    context: Context,
    source: _Text = "",
    event: _Text = "",
    field: _Text = "",
    kind: _Text = "",
    before: Annotated[int, Query(ge=0, lt=2**53)] = 0,
) -> Response:
    """A page of held events."""
    limit = context.settings.page_rows
    wanted = QuarantineFilter(source=source, event=event, field=field, kind=kind, before=before)
    found = context.quarantine.find(wanted, limit + 1)
    values = {
        "items": found[:limit],
        "next": found[limit - 1].id if len(found) > limit else None,
        "n_held": context.records.quarantine.count(),
        "wanted": {"source": source, "event": event, "field": field, "kind": kind},
        "named": bool(source or event or field or kind),
    }
    return page_response(request, "quarantine.html", values)


@router.post("/sources/quarantine/all", **_FORM)
def act_on_all(
    request: Request,
    context: Context,
    action: Annotated[Literal["mend", "replay", "discard"], Form()] = "replay",
    source: _Said = "",
    event: _Said = "",
    field: _Said = "",
    kind: _Said = "",
    patch: Annotated[str, Form(max_length=20_000)] = "",
) -> Response:
    """Mend, replay or discard all that the filter names."""
    wanted = QuarantineFilter(source=source, event=event, field=field, kind=kind)
    numbers, who = context.quarantine.chosen((), wanted), request.state.user
    if action == "discard":
        context.quarantine.discard(numbers, who=who)
    else:
        if patch.strip():
            context.quarantine.mend(numbers, read_patches(_json(patch)), who=who)
        if action == "replay":
            replay(context, numbers, who)
    return RedirectResponse("/sources/quarantine", 303)


@router.get("/sources/quarantine/{number}")
def one(request: Request, context: Context, number: Number) -> Response:
    """One held event, and what can be done about it."""
    return _one(request, context, number)


def _one(request: Request, context: WebContext, number: int, said: str = "") -> Response:
    item = context.quarantine.get(number)
    call = context.quarantine.shown(item)
    editable = {name: call[name] for name in ("event", "properties", "traits") if name in call}
    values = {"item": item, "call": _pretty(call), "editable": _pretty(editable), "said": said}
    return page_response(request, "quarantined.html", values)


@router.post("/sources/quarantine/{number}", **_FORM)
def act(
    request: Request,
    context: Context,
    number: Number,
    action: Annotated[Literal["save", "replay", "discard"], Form()] = "save",
    edited: Annotated[str, Form(max_length=100_000)] = "",
) -> Response:
    """Save what was edited, replay it, or discard it."""
    who = request.state.user
    if action == "discard":
        context.quarantine.discard([number], who=who)
        return RedirectResponse("/sources/quarantine", 303)
    if edited.strip():
        context.quarantine.edit(number, _edited(edited), who=who)
    if action == "save":
        return _one(request, context, number, "Saved; it is still held.")
    done = replay(context, [number], who)
    if done.still:
        return _one(request, context, number, f"Still held: {done.still[0][1]}")
    return RedirectResponse("/sources/quarantine", 303)


def _edited(text: str) -> dict[str, Any]:
    told = _json(text)
    shaped = isinstance(told, dict) and not told.keys() - {"event", "properties", "traits"}
    if not shaped or not all(isinstance(told.get(part, {}), dict) for part in ("properties", "traits")):
        hint = "write an object with event, properties and traits"
        raise InvalidInput.one("quarantine.edited", "this is no event that can be saved", hint=hint)
    return dict(told)


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidInput.one("request.json", f"this is no JSON: {error}") from None


def _pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
