"""Telling people in the shop of new findings: by mail through the shop's own channel, and by webhook."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import msgspec

from mailwright.core.errors import MailwrightError
from mailwright.core.fetching import FetchRequest
from mailwright.core.findings import Finding
from mailwright.core.instants import Instant, to_datetime
from mailwright.core.messages import Envelope, Sent
from mailwright.reports.quality.definitions import Alerts
from mailwright.runtime.installation import Installation
from mailwright.runtime.quality.known import known
from mailwright.runtime.sender import make_channel

_MOST_TOLD = 20


def alert(there: Installation, alerts: Alerts, monitors: Collection[str]) -> list[str]:
    """Tell of findings of these monitors that nobody was told of; the answer says what could not be told, and why.

    What could not be told to everybody is told again by the next run: rather twice than never.
    """
    meta, now = there.records.meta, there.clock.now()
    untold = [one for one in there.records.findings.unalerted(monitors) if known(meta, one.key, now) is None]
    told = [one for one in untold if alerts.from_severity == "warning" or one.severity == "serious"]
    failed = _told(there, alerts, told) if told else []
    if untold and not failed:
        there.records.findings.alerted(untold, there.clock.now())
    return failed


def _told(there: Installation, alerts: Alerts, told: Sequence[Finding]) -> list[str]:
    failed: list[str] = []
    if alerts.webhook:
        failed += _posted(there, alerts.webhook, told)
    if alerts.mail:
        failed += _mailed(there, alerts.mail, told)
    return failed


def _posted(there: Installation, address: str, told: Sequence[Finding]) -> list[str]:
    body = msgspec.json.encode({"shop": there.settings.project.name, "findings": told})
    headers = {"content-type": "application/json"}
    try:
        answer = there.fetch.fetch(
            FetchRequest(service="alert:quality", url=address, method="POST", headers=headers, body=body)
        )
    except MailwrightError as error:
        return [f"the alert by webhook: {error.message}"]
    return [] if 200 <= answer.status < 300 else [f"the alert by webhook was answered with {answer.status}"]


def _mailed(there: Installation, addresses: Sequence[str], told: Sequence[Finding]) -> list[str]:
    now = there.clock.now()
    envelopes = [_envelope(there, address, told, now) for address in addresses]

    async def hand_over() -> list[str]:
        channel = make_channel(there.settings)
        try:
            outcomes = [await channel.send(one, _always) for one in envelopes]
        finally:
            await channel.close()
        return [f"the alert by mail: {outcome}" for outcome in outcomes if not isinstance(outcome, Sent)]

    return asyncio.run(hand_over())


async def _always() -> bool:
    return True


def _envelope(there: Installation, address: str, told: Sequence[Finding], now: Instant) -> Envelope:
    sender = there.settings.sender.from_address or f"mailwright@{there.settings.door.host}"
    key = hashlib.sha256(f"{now}{address}{[one.key for one in told]}".encode()).hexdigest()
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = alert_subject(there.settings.project.name, told)
    mail["From"], mail["To"] = sender, address
    mail["Date"] = format_datetime(to_datetime(now))
    mail["Message-ID"] = f"<{key[:32]}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(alert_text(told))
    return Envelope(send_key=key, mail_from=sender, rcpt_to=address, body=mail.as_bytes())


def alert_subject(shop: str, told: Sequence[Finding]) -> str:
    """One line; what comes from outside is kept on it."""
    first = " ".join(told[0].message.split())[:120]
    return f"{shop}: {first}" if len(told) == 1 else f"{shop}: {len(told)} new findings in the data"


def alert_text(told: Sequence[Finding]) -> str:
    """The plain text of the mail."""
    parts = [
        f"{one.severity.upper()}  {one.monitor}\n{one.message}\n"
        f"For example: {one.example}\nWhat to do: {one.suggestion}"
        for one in told[:_MOST_TOLD]
    ]
    more = [f"... and {len(told) - _MOST_TOLD} more; `mailwright quality` lists all."] if len(told) > _MOST_TOLD else []
    return "\n\n".join([*parts, *more]) + "\n"
