"""Bodies of a webhook into calls, consents, suppressions and items, by its definition. Never fails as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from mailwright.core.errors import InvalidInput
from mailwright.ingest.expression_functions import FUNCTIONS
from mailwright.ingest.expressions import Scope, Unfit, compile_condition, compile_expression
from mailwright.ingest.limits import LIMITS, Limits
from mailwright.ingest.templates import compile_template
from mailwright.ingest.webhooks.definitions import (
    ConsentTemplate,
    EventTemplate,
    ItemTemplate,
    SuppressionTemplate,
    WebhookDefinition,
)
from mailwright.ingest.webhooks.verification import Request
from mailwright.ingest.wire import DECODE_ERRORS, in_words

__all__ = ["Mapped", "Mapper", "Refused", "decoded", "encoded"]

_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One thing that could not be made: which template (``events.0``), of which element, which field, and why."""

    output: str
    index: int
    field: str
    reason: str


@dataclass(slots=True, kw_only=True)
class Mapped:
    """What a body became. `origins` says per list which template and element each entry came from.

    Attributes:
        delivery: What names the delivery, as its sender has it; empty if it does not.
        ignored: Whether no template asked for anything of it.
    """

    delivery: str = ""
    ignored: bool = False
    events: list[dict[str, Any]] = field(default_factory=list)
    consents: list[dict[str, Any]] = field(default_factory=list)
    suppressions: list[dict[str, Any]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    origins: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)


_Make = Callable[[Scope], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Output:
    list: str
    name: str
    for_each: Callable[[Scope], Any] | None
    when: Callable[[Scope], bool] | None
    make: _Make


class Mapper:
    """A webhook's definition, compiled."""

    def __init__(self, name: str, definition: WebhookDefinition, limits: Limits = LIMITS) -> None:
        """Compile; the definition must be without faults."""
        self._name = name
        self._limits = limits
        self._options = definition.options
        self._delivery = compile_expression(definition.delivery_id) if definition.delivery_id else None
        self._ignore = compile_condition(definition.ignore) if definition.ignore else None
        self._outputs = [
            _Output(
                list=listed,
                name=f"{listed}.{place}",
                for_each=compile_expression(output.for_each) if output.for_each else None,
                when=compile_condition(output.when) if output.when else None,
                make=_maker(output),
            )
            for listed, place, output in definition.outputs()
        ]

    def map(self, request: Request) -> Mapped:
        """What the body of a request becomes, as bodies of the door have it.

        Raises:
            InvalidInput: ``webhook.body``: it is neither JSON nor a form.
        """
        body = decoded(request)
        scope = Scope(body=body, item=body, headers=request.headers, query=request.query, options=self._options)
        mapped = Mapped(delivery=self._delivery_id(scope))
        key = mapped.delivery or hashlib.sha256(request.body).hexdigest()[:32]
        asked = False
        for output in self._outputs:
            for index, made in self._made(output, scope, mapped):
                asked = True
                if made is None:
                    continue
                if output.list == "events":
                    made.setdefault("messageId", f"{self._name}-{key}-{output.name.partition('.')[2]}-{index}")
                getattr(mapped, output.list).append(made)
                mapped.origins.setdefault(output.list, []).append((output.name, index))
        mapped.ignored = not asked and not self._meant_nothing(scope)
        return mapped

    def _delivery_id(self, scope: Scope) -> str:
        try:
            told = self._delivery(scope) if self._delivery else None
        except (Unfit, RecursionError):
            return ""
        return str(told)[: self._limits.id_chars // 2] if isinstance(told, str | int) else ""

    def _meant_nothing(self, scope: Scope) -> bool:
        try:
            return self._ignore is not None and self._ignore(scope)
        except (Unfit, RecursionError):
            return False

    def _made(self, output: _Output, scope: Scope, mapped: Mapped) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """(index, what was made) for each element that is asked for; None for one that is refused."""

        def refuse(index: int, place: str, reason: str) -> None:
            mapped.refused.append(Refused(output=output.name, index=index, field=place, reason=reason))

        try:
            elements = [scope.item] if output.for_each is None else output.for_each(scope)
        except (Unfit, RecursionError) as error:
            refuse(0, "for_each", _reason(error))
            yield 0, None
            return
        if not isinstance(elements, list):
            elements = [] if elements is None else [elements]
        if len(elements) > self._limits.request_items:
            reason = f"{len(elements):,} elements, at most {self._limits.request_items:,} are taken"
            refuse(self._limits.request_items, "for_each", reason)
            elements = elements[: self._limits.request_items]
        for index, element in enumerate(elements):
            inner = scope.at(element)
            try:
                if output.when is not None and not output.when(inner):
                    continue
                yield index, output.make(inner)
            except (Unfit, RecursionError) as error:
                refuse(index, getattr(error, "place", ""), _reason(error))
                yield index, None


def decoded(request: Request) -> Any:
    """The body as JSON; a form as an object of its fields, several of a name as a list.

    Raises:
        InvalidInput: ``webhook.body``.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
        try:
            pairs = parse_qsl(request.body.decode("utf-8"), keep_blank_values=True, max_num_fields=10_000)
        except (ValueError, UnicodeDecodeError):
            raise _unreadable("is no form that can be read") from None
        fields: dict[str, Any] = {}
        for name, value in pairs:
            fields[name] = [*_listed(fields[name]), value] if name in fields else value
        return fields
    try:
        return msgspec.json.decode(request.body)
    except DECODE_ERRORS as error:
        raise _unreadable(in_words(error)[1]) from None


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _unreadable(why: str) -> InvalidInput:
    return InvalidInput.one("webhook.body", f"the body cannot be read: {why}", hint="send JSON or a form")


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, Unfit) else "is nested too deeply"


def encoded(list_key: str, entries: Sequence[Mapping[str, Any]]) -> bytes:
    """A body of the door that holds these."""
    return msgspec.json.encode({list_key: entries})


# --- one maker per kind ----------------------------------------------------------------------------------------------


def _maker(output: Any) -> _Make:
    parts = {
        name: compile_template(getattr(output, name), (name,))[0]
        for name in output.__struct_fields__
        if name not in ("when", "for_each", "type")
    }

    def values(scope: Scope) -> dict[str, Any]:
        found = {name: part(scope) for name, part in parts.items()}
        return {name: value for name, value in found.items() if value is not None and value != "" and value != {}}

    match output:
        case EventTemplate():
            return lambda scope: _call(output, values(scope))
        case ConsentTemplate():
            return lambda scope: _consent(values(scope))
        case SuppressionTemplate():
            return lambda scope: _texts(values(scope), "email", "reason")
        case ItemTemplate():
            return lambda scope: _item(values(scope))
    raise AssertionError(output)


def _call(output: EventTemplate, told: dict[str, Any]) -> dict[str, Any]:
    """A call of the Segment spec; addresses go where the door looks for them."""
    call: dict[str, Any] = {"type": output.type}
    context, traits = dict(told.get("context", {})), dict(told.get("traits", {}))
    contacts = _texts(told, "email", "phone")
    if output.type == "identify":
        traits = {**contacts, **traits}
    elif contacts:
        context["traits"] = {**contacts, **_mapping(context.get("traits"))}
    if external := told.get("external_ids"):
        context["externalIds"] = [{"type": kind, "id": _text(value, kind)} for kind, value in external.items()]
    if name := told.get("name"):
        call["event" if output.type == "track" else "name"] = _text(name, "name")
    for field_name, wire in _IDS.items():
        if field_name in told:
            call[wire] = _text(told[field_name], field_name)
    if "timestamp" in told:
        call["timestamp"] = _instant(told["timestamp"])
    for field_name, value in (("properties", told.get("properties")), ("traits", traits), ("context", context)):
        if value:
            call[field_name] = value
    return _encodable(call)


_IDS = {
    "user_id": "userId",
    "anonymous_id": "anonymousId",
    "message_id": "messageId",
    "group_id": "groupId",
    "previous_id": "previousId",
}


def _consent(told: dict[str, Any]) -> dict[str, Any]:
    granted = FUNCTIONS["boolean"].run([told.get("granted")])
    if granted is None:
        raise Unfit("is missing", "granted")
    call = _texts(told, "email", "purpose", "wording") | {"granted": granted}
    if "timestamp" in told:
        call["at"] = _instant(told["timestamp"])
    return call


def _item(told: dict[str, Any]) -> dict[str, Any]:
    call = _texts(told, "catalog", "item_id") | {"facts": told.get("facts", {})}
    if "timestamp" in told:
        call["stamp"] = _instant(told["timestamp"])
    return _encodable(call)


def _texts(told: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: _text(told[name], name) for name in names if name in told}


def _text(value: Any, place: str) -> str:
    try:
        return str(FUNCTIONS["text"].run([value]))
    except Unfit as unfit:
        raise Unfit(unfit.reason, place) from None


def _instant(value: Any) -> str:
    try:
        return str(FUNCTIONS["instant"].run([value]))
    except Unfit as unfit:
        raise Unfit(unfit.reason, "timestamp") from None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _encodable(call: dict[str, Any]) -> dict[str, Any]:
    """The call, if it can be written as JSON: one that is nested absurdly must spoil no other."""
    msgspec.json.encode(call)
    return call
