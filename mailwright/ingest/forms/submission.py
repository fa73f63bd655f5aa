"""What a submission tells: calls for the door, and consents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mailwright.core.instants import Instant, format_iso
from mailwright.ingest.forms.definitions import (
    FieldDefinition,
    FormDefinition,
    OptionDefinition,
    PurposeDefinition,
)

SUBMITTED = "Form Submitted"
SEEN = "Form Viewed"
STARTED = "Form Started"
CONFIRMED = "Subscription Confirmed"
ANSWERED = "Survey Answered"
PREFERENCES_CHANGED = "Preferences Changed"
OUR_EVENTS = frozenset({SUBMITTED, SEEN, STARTED, CONFIRMED, ANSWERED, PREFERENCES_CHANGED})
"""What forms tell by themselves: no tracking plan has to declare it."""

OURS = "form:"
"""With what the names of the sources of forms begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What good answers come to.

    Attributes:
        traits: Trait -> value, those that options set included.
        added: Preference tags that the answers add.
        removed: Preference tags that they take off.
    """

    traits: dict[str, Any] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    @property
    def has_tags(self) -> bool:
        """Whether the list of tags changes."""
        return bool(self.added or self.removed)


def told_by(fields: Sequence[FieldDefinition], values: Mapping[str, Any]) -> Told:
    """The traits and tags of checked answers; a field without one tells nothing."""
    told = Told()
    for one in fields:
        value = values.get(one.trait)
        if value is None or value == "":
            continue
        told.traits[one.trait] = value
        chosen = _chosen(one, value)
        for option in chosen:
            told.traits.update(option.set)
        told.added.extend(option.tag for option in chosen if option.tag)
        told.removed.extend(option.tag for option in one.options if option.tag and option not in chosen)
    return told


def _chosen(one: FieldDefinition, value: Any) -> list[OptionDefinition]:
    values = value if isinstance(value, list) else [value]
    return [option for option in one.options if option.value in values]


def tags_of(value: Any) -> list[str]:
    """The tags in a trait's value, whatever that is."""
    return [tag for tag in value if isinstance(tag, str)] if isinstance(value, list) else []


def ticked(form: FormDefinition, boxes: Collection[str]) -> list[PurposeDefinition]:
    """The purposes of the form whose boxes were ticked."""
    return [one for one in form.purposes if one.purpose in boxes]


def unverified(traits: Mapping[str, Any]) -> dict[str, Any]:
    """Traits whose contacts nobody has confirmed: as a browser's key tells them, they identify nobody."""
    return {f"unverified_{name}" if name in ("email", "phone") else name: value for name, value in traits.items()}


def identify_call(
    message_id: str, anonymous_id: str, traits: Mapping[str, Any], at: Instant | None = None
) -> dict[str, Any]:
    """An identify, stamped `at`; None: when it is taken."""
    call = {"type": "identify", "messageId": message_id, "anonymousId": anonymous_id, "traits": dict(traits)}
    return call if at is None else {**call, "timestamp": format_iso(at)}


def track_call(message_id: str, anonymous_id: str, name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """A track."""
    call = {"type": "track", "messageId": message_id, "anonymousId": anonymous_id, "event": name}
    return {**call, "properties": dict(properties)}


def mailbox_of(email: str) -> str:
    """One way to write an address's mailbox: without what follows a plus sign, and for Gmail without dots."""
    local, _, domain = email.strip().lower().rpartition("@")
    local = local.partition("+")[0] or local
    if domain in ("gmail.com", "googlemail.com"):
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"
