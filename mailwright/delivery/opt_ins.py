"""An opt-in by a form, and the request for the mail that asks to confirm it."""

from __future__ import annotations

import hashlib

from mailwright.core.events import NOBODY
from mailwright.core.messages import SendRequest
from mailwright.core.ports import OptIn

CONFIRM_STEP = "confirm"


def form_origin(form: str) -> str:
    """The origin of a form's messages and the name of its event source."""
    return f"form:{form}"


def confirm_step(language: str = "") -> str:
    """The step of a confirmation mail in a language that a form was translated to; empty: in the form's own."""
    return f"{CONFIRM_STEP}.{language}" if language else CONFIRM_STEP


def confirmation(opt_in: OptIn, language: str = "") -> SendRequest:
    """The confirmation mail of an opt-in: one for ever, and none after its link would have expired.

    It is written in the `language` of the form that was filled in, see `confirm_step`.
    Its `person` is nobody: the address is the opt-in's own, and not one that a profile happens to have.
    """
    text = f"{form_origin(opt_in.form)}\0{CONFIRM_STEP}\0{opt_in.id}\0email"
    return SendRequest(
        send_key=hashlib.sha256(text.encode()).hexdigest(),
        origin=form_origin(opt_in.form),
        step=confirm_step(language),
        occurrence=opt_in.id,
        person=NOBODY,
        purpose="",
        queued_at=opt_in.asked_at,
        send_by_at=opt_in.expires_at,
    )
