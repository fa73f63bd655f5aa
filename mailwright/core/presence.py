"""Which events show that a person is there: the person acted, and was not merely told of or written to.

A function of an event as the log and History keep it, so late events, merges and splits lead to the same answer. The
view ``people`` of History asks the same in SQL, see `mailwright.rules.sql.star`.
"""

from __future__ import annotations

from typing import Final

from mailwright.core.events import AUDIT, Event

CORRECTION: Final = "correction"
"""The source of an identify by which somebody corrects traits."""

LOOKUPS: Final = "lookup:"
"""What the source of an identify begins with that a service was asked for."""

IMPORTS: Final = "import:"
"""What the source of a declared import begins with that names no other."""

OF_MAILS: Final = frozenset(
    {
        "Email Sent",
        "Email Delivered",
        "Email Bounced",
        "Email Failed",
        "Email Suppressed",
        "Email Expired",
        "Email Cancelled",
        "Email Unknown",
    }
)
"""Track events about mails to a person, whoever sent them. Opens, clicks, complaints and unsubscribes are acts."""

BY_MACHINES_TOO: Final = frozenset({"Email Opened", "Email Link Clicked"})
"""Track events that are no acts where their property ``machine`` is true."""


def is_sign_of_life(event: Event) -> bool:
    """Whether the person was there when it happened.

    Calls that tell who somebody is (identify, group, alias) are no sign, for a CRM's row is one as a login is; whoever
    is there does something besides. Nor is what Mailwright itself writes, nor what becomes of a mail before somebody
    opens it, nor what a machine opened.
    """
    if event.source == AUDIT:
        return False
    if event.type == "track":
        by_machine = event.name in BY_MACHINES_TOO and event.properties.get("machine") is True
        return event.name not in OF_MAILS and not by_machine
    return event.type in ("page", "screen")
