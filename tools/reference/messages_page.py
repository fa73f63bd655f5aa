"""docs/reference/messages.md: states, reasons, and the events that Mailwright itself puts into the log."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path

from mailwright.core.messages import FINAL_STATES, MessageState
from mailwright.decisions.decide import MISSING_VARIABLE, NO_ITEMS
from mailwright.delivery import gate
from mailwright.delivery.gate import Reason
from mailwright.journeys.advance import EXITED
from mailwright.stores.records.outcomes import EVENT_NAMES
from mailwright.web import tracking
from mailwright.web.visits import VISIT
from tools.reference.markdown import code, doc_of, plain, table

STATES = {
    MessageState.QUEUED: "asked for by a tick, or deferred and waiting for its next try",
    MessageState.CLAIMED: "a sender holds it under a lease and looks at consent, audience and values",
    MessageState.HANDING: "its bytes are fixed and durable; it is being handed over",
    MessageState.DOT: "the mark before the final dot is durable: from here on it may have been delivered",
    MessageState.SENT: "the receiving side took responsibility",
    MessageState.FAILED: "refused for good, or deferred as often as allowed",
    MessageState.SUPPRESSED: "not sent, and the reason says why",
    MessageState.EXPIRED: "its send-by time passed before it could go out",
    MessageState.CANCELLED: "taken back before it was claimed, or nothing asks for it any more",
    MessageState.UNKNOWN: "broken off after the final dot: it may have arrived; never sent again by itself",
}

OTHER_REASONS = {
    NO_ITEMS: "The mail says `on_missing: skip` and no source had an item for the person.",
    MISSING_VARIABLE: "A variable with `on_missing: skip` is not known, or too old.",
    EXITED: "The journey's exit rule came true before the mail was claimed.",
}

EVENTS = {
    "Email Sent": "a mail was handed over",
    "Email Failed": "a mail was refused for good; `reason` is the server's reply",
    "Email Suppressed": "a mail was not sent; `reason` says why",
    "Email Expired": "a mail's send-by time passed",
    "Email Cancelled": "a mail was taken back",
    "Email Unknown": "a hand-over broke off after the final dot",
    "Email Opened": "the pixel was fetched, at most once a minute and mail; `machine` is true for programs",
    "Email Link Clicked": "a link was followed; `url`, `link` (its place in the mail), `machine`",
    VISIT: "a visit to the shop's page came from a click in a mail; joins the browser's anonymous id to the person",
    "Unsubscribed": "a consent was withdrawn by link; `purpose`",
}


def own_events() -> set[str]:
    """Names of the events that the code makes."""
    tree = ast.parse(Path(tracking.__file__ or "").read_text(encoding="utf-8"))
    told = {
        node.args[2].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "_tell" and isinstance(node.args[2], ast.Constant)
    }
    return {str(name) for name in told} | set(EVENT_NAMES.values()) | {VISIT}


def reasons() -> dict[str, str]:
    """Reason of the gate -> what its docstring says."""
    tree = ast.parse(Path(gate.__file__ or "").read_text(encoding="utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == Reason.__name__)
    found: dict[str, str] = {}
    for first, second in pairwise(body):
        if isinstance(first, ast.Assign) and isinstance(second, ast.Expr) and isinstance(second.value, ast.Constant):
            found[str(getattr(first.value, "value", ""))] = plain(str(second.value.value))
    return found


def page() -> str:
    """The page's text."""
    states = [(code(state), STATES[state], "yes" if state in FINAL_STATES else "") for state in MessageState]
    told = {**reasons(), **OTHER_REASONS}
    events = [(code(name), what) for name, what in EVENTS.items()]
    return "\n\n".join(
        [
            "# Messages: states, reasons, events",
            "## States",
            doc_of(MessageState).text,
            table(("state", "what it means", "final"), states),
            "## Reasons for not sending",
            "`reason` of a message that was not handed over. Stable: reports count them.",
            table(("reason", "what it means"), [(code(name), what) for name, what in told.items()]),
            "Of a message that was handed over, `reason` is the reply of the receiving server.",
            "## Events that Mailwright makes",
            "They go into the same log as the shop's, with source `mailwright`, and can be used in every rule. All "
            "carry `message_id` (the mail's id), `origin`, `step`, and in an experiment `experiment` and `variant`.",
            table(("event", "when"), events),
        ]
    )
