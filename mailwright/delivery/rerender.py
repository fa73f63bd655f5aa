"""Proof of a mail: its bytes made again from its record, and compared with those that were handed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mailwright.core.errors import NotFound
from mailwright.core.messages import Message
from mailwright.delivery.compose import Composer, library_versions
from mailwright.delivery.links import MailLinks
from mailwright.delivery.plan import Templates


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerendered:
    """A mail made again.

    Attributes:
        body: The bytes as they come out now.
        kept: The bytes that were handed over.
        causes: What has changed since, in words, as far as it can be told; empty if nothing has.
    """

    body: bytes = field(repr=False)
    kept: bytes = field(repr=False)
    causes: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether both are the same bytes."""
        return self.body == self.kept


def rerender(
    message: Message, kept: bytes | None, templates: Templates, composer: Composer, links: MailLinks
) -> Rerendered:
    """Make a mail again from its decision record.

    Args:
        message: As read back, with its decision.
        kept: What `MessageRecords.body` gives.
        templates: Of the definitions' version that the record names.
        composer: With the keys that sealed the address.
        links: The same that `composer` signs with.

    Raises:
        NotFound: If the message never came so far as to have a body.
        InvalidInput: If the template fails now for the kept values.
    """
    decision = message.decision
    if kept is None or not decision or "delivery" not in decision:
        raise NotFound("message.body", f"the message {message.id} was never rendered: it is {message.state.value}")
    template = templates.get(decision["mail"]["template"], decision["mail"]["subject"])
    body, _ = composer.render(message, decision, template)
    causes = _causes(decision["delivery"], template.version, links.key_number)
    return Rerendered(body=body, kept=kept, causes=causes)


def _causes(delivery: Mapping[str, Any], template_version: str, links_key: int) -> tuple[str, ...]:
    now = library_versions()
    changed: list[tuple[str, Any, Any]] = [
        ("template", delivery["template_version"], template_version),
        ("key of the links", delivery["links_key"], links_key),
    ]
    changed += [(name, version, now.get(name, "none")) for name, version in delivery["libraries"].items()]
    return tuple(f"{what}: {then} then, {today} now" for what, then, today in changed if then != today)
