"""What a project says about one webhook: who may send it, and what its bodies become."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from mailwright.core.errors import InvalidInput, Issue
from mailwright.ingest.expressions import compile_condition, compile_expression
from mailwright.ingest.templates import Fault, Place, compile_template
from mailwright.ingest.webhooks.verification import Verification

__all__ = ["Challenge", "ConsentTemplate", "EventTemplate", "ItemTemplate", "SuppressionTemplate", "WebhookDefinition"]

_HEADER = re.compile(r"""\bheader\(\s*["']([^"']+)["']\s*\)""")


class _Output(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One kind of thing that a body may hold.

    Attributes:
        when: Condition; without one always. With `for_each`, asked for each element, which is ``item``.
        for_each: A list in the body, each of whose elements is one.
    """

    when: str = ""
    for_each: str = ""


class EventTemplate(_Output, frozen=True):
    """A call as the door takes it. Every field is a template.

    Attributes:
        type: Call of the Segment spec.
        name: Of a track event, page or screen.
        user_id: Who; or `anonymous_id`, `email`, `phone` or `external_ids` (kind -> value).
        message_id: Unique; without one it follows from the delivery, so that a repetition counts once.
        timestamp: When it happened, as ``instant`` reads it; without one it is when it came.
    """

    type: Literal["identify", "track", "page", "screen", "group", "alias"] = "track"
    name: str = ""
    user_id: str = ""
    anonymous_id: str = ""
    email: str = ""
    phone: str = ""
    group_id: str = ""
    previous_id: str = ""
    external_ids: dict[str, str] = {}
    message_id: str = ""
    timestamp: str = ""
    properties: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    context: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if self.type == "track" and not self.name:
            raise ValueError("a track event needs its name")


class ConsentTemplate(_Output, frozen=True):
    """A row of the consent ledger, which binds the gate at once.

    Attributes:
        purpose: What for, as campaigns and journeys name it.
        granted: True or false.
        wording: The text that the person saw; a grant needs it.
        timestamp: When it was said; without one, when it came.
    """

    email: str
    purpose: str
    granted: str | bool
    wording: str = ""
    timestamp: str = ""


class SuppressionTemplate(_Output, frozen=True):
    """An address that must never get mail again, and why."""

    email: str
    reason: str


class ItemTemplate(_Output, frozen=True):
    """A catalog item. `timestamp`: from when this version is in force."""

    catalog: str
    item_id: str
    facts: dict[str, Any]
    timestamp: str = ""


class Challenge(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A GET by which a sender asks whether the address is ours, answered with what it sent.

    Attributes:
        parameter: Of the query, to be sent back.
        token_parameter: Of the query, which must equal the secret in `token_env`; empty: anybody may ask.
    """

    parameter: str
    token_parameter: str = ""
    token_env: str = ""


class WebhookDefinition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One webhook, whose address is ``/w/NAME``.

    Attributes:
        preset: A ready definition to begin with; what is said here goes before it.
        title: For people.
        verify: How a sender proves who it is.
        delivery_id: What names a delivery, where that is not signed: ``header("X-Shopify-Webhook-Id")``.
        options: Values for expressions: ``option("purposes")``.
        ignore: Condition under which a body is meant to make nothing, and is not counted as ignored.
        challenge: For senders that ask by GET first.
    """

    verify: Verification
    preset: str = ""
    title: str = ""
    delivery_id: str = ""
    options: dict[str, Any] = {}
    ignore: str = ""
    challenge: Challenge | None = None
    events: list[EventTemplate] = []
    consents: list[ConsentTemplate] = []
    suppressions: list[SuppressionTemplate] = []
    items: list[ItemTemplate] = []

    def outputs(self) -> Iterator[tuple[str, int, _Output]]:
        """Every template with its list's name and its place in it."""
        for name in ("events", "consents", "suppressions", "items"):
            for place, output in enumerate(getattr(self, name)):
                yield name, place, output

    def headers_asked(self) -> list[str]:
        """Names, in lower case and sorted, of the headers by which its conditions tell what a body is."""
        conditions = [self.ignore, *(output.when for _, _, output in self.outputs())]
        return sorted({found.lower() for text in conditions for found in _HEADER.findall(text)})

    def faults(self) -> list[Fault]:
        """Everything that is wrong with its expressions."""
        found = [*_faults(self.delivery_id, ("delivery_id",)), *_faults(self.ignore, ("ignore",), condition=True)]
        for name, place, output in self.outputs():
            found += _output_faults(output, (name, place))
        return found


def _output_faults(output: _Output, at: Place) -> Iterator[Fault]:
    for name in output.__struct_fields__:
        value = getattr(output, name)
        if name in ("when", "for_each"):
            yield from _faults(value, (*at, name), condition=name == "when")
        elif name != "type":
            yield from compile_template(value, (*at, name))[1]
    if isinstance(output, ConsentTemplate) and not output.wording and output.granted is not False:
        issue = Issue(path="", message="a grant needs the wording that the person saw", hint="add wording: ...")
        yield (*at, "granted"), issue


def _faults(text: str, at: Place, *, condition: bool = False) -> Sequence[Fault]:
    if not text:
        return []
    try:
        (compile_condition if condition else compile_expression)(text)
    except InvalidInput as error:
        return [(at, error.issues[0])]
    return []
