"""``rerender`` over an installation: a mail made anew from its record, with the definitions of its own version."""

from __future__ import annotations

from typing import Any

from mailwright.core.errors import NotFound
from mailwright.core.messages import Message
from mailwright.delivery.links import MailLinks
from mailwright.delivery.rerender import Rerendered, rerender
from mailwright.privacy.tokens import Tokens
from mailwright.runtime.installation import Installation
from mailwright.runtime.project.load import load_project
from mailwright.runtime.project.templates import templates_of
from mailwright.runtime.sender import composer


def rerender_message(there: Installation, message: Message) -> Rerendered:
    """Make a mail anew and compare it with the bytes that were handed over.

    Raises:
        NotFound: If it never had a body, or its definitions are gone.
    """
    decision = message.decision or {}
    number = decision.get("definitions_version")
    version = next((one for one in there.records.definitions.versions() if one.version == number), None)
    if version is None:
        raise NotFound("message.definitions", f"version {number} of the definitions is not kept")
    base_url = _base_url(there, decision.get("delivery", {}))
    return rerender(
        message,
        there.records.messages.body(message.id),
        templates_of(load_project(version.files)),
        composer(there, base_url),
        MailLinks(Tokens(there.keys), base_url),
    )


def _base_url(there: Installation, delivery: dict[str, Any]) -> str:
    """Where the mail's links begin: as it was then, not as it is now."""
    unsubscribe = delivery.get("context", {}).get("unsubscribe_url", "")
    return unsubscribe.rpartition("/u/")[0] or there.settings.base_url
