"""How fast mail leaves: the whole path of the sender, and beside it what the receiving server and the disk allow."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests/unit/delivery"))

from delivery_shop import FixedClock, Shop, queue, request

from mailwright.core.instants import Instant
from mailwright.core.messages import Envelope
from mailwright.delivery.channels.mailbox import MailboxChannel
from mailwright.delivery.channels.smtp import SmtpChannel
from mailwright.delivery.channels.smtp_connection import SmtpSettings
from mailwright.delivery.sender import Sender, SendingSettings
from mailwright.stores.records_sql import SqlRecords

CONNECTIONS = 16


def rows(mails: int = 2_000) -> list[dict[str, Any]]:
    """One row per measured thing: what, on, figure, unit, beside."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        body = _body()
        with _receiver(folder / "raw") as port:
            raw = mails / _timed(_hand_over(_smtp(port), body, mails))
        with _receiver(folder / "whole") as port:
            whole = mails / _send_all(folder / "smtp", _smtp(port), mails)
        processor_s = time.process_time()
        boxed = mails / _send_all(folder / "box", MailboxChannel(folder / "mailbox"), mails)
        processor_s = time.process_time() - processor_s
        prepared = _prepared(min(mails, 500))
        fsync_s = _fsync_s(folder)
    on = f"{mails:,} mails of {len(body) / 1000:.0f} KB, {CONNECTIONS} connections, Records in SQLite, loopback"
    limit = f"the same server without Records and rendering: {raw:,.0f} mails/s; one fsync: {fsync_s * 1e3:.2f} ms"
    cost = (
        f"two fsyncs per mail, one takes {fsync_s * 1e3:.2f} ms; processor {processor_s / mails * 1e3:.1f} ms per mail"
    )
    return [
        _row("claim to result over SMTP", on, whole, limit),
        _row("claim to result into a mailbox folder", on, boxed, cost),
        _row("gate, decide, render, record", on, prepared, "one core, nothing handed over"),
    ]


def _row(what: str, on: str, figure: float, beside: str) -> dict[str, Any]:
    return {"what": what, "on": on, "figure": round(figure), "unit": "mails/s", "beside": beside}


@contextmanager
def _receiver(folder: Path) -> Iterator[int]:
    command = [sys.executable, "-m", "mailwright.delivery.receiver", "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def _smtp(port: int) -> SmtpChannel:
    return SmtpChannel(SmtpSettings(host="127.0.0.1", port=port, tls="off", connections=CONNECTIONS))


def _body() -> bytes:
    shop = Shop()
    shop.add(1)
    return _office(shop, None, 1)[0].handing.body


def _office(shop: Shop, consents: Any, persons: int) -> list[Any]:
    from delivery_shop import NOW, message

    if consents is None:
        consents = _Granted()
    messages = [message(person) for person in range(1, persons + 1)]
    return list(shop.preparation(consents).prepare(messages, NOW).ready)


class _Granted:
    """Consents that are all granted."""

    def granted(self, address_hashes: list[str], purpose: str) -> set[str]:  # noqa: ARG002
        return set(address_hashes)

    def suppressed(self, address_hashes: list[str]) -> dict[str, str]:  # noqa: ARG002
        return {}


async def _always() -> bool:
    return True


async def _hand_over(channel: SmtpChannel, body: bytes, mails: int) -> None:
    envelopes = [
        Envelope(send_key=f"{n:064x}", mail_from="shop@maple.example", rcpt_to="a@example.com", body=body)
        for n in range(mails)
    ]
    await asyncio.gather(*(channel.send(envelope, _always) for envelope in envelopes))
    await channel.close()


def _send_all(folder: Path, channel: Any, mails: int) -> float:
    """Seconds from the first claim to the last result."""
    shop = Shop()
    persons = range(1, mails + 1)
    for person in persons:
        shop.add(person)
    with SqlRecords.open(folder / "records.sqlite") as records:
        shop.consent(records, *persons)
        queue(records, *(request(person) for person in persons))
        seconds = _timed(_run(records, shop, channel))
        left = records.messages.open_count()
    assert left == 0, f"{left} mails are left"
    return seconds


async def _run(records: SqlRecords, shop: Shop, channel: Any) -> None:
    sender = Sender(
        messages=records.messages,
        preparation=shop.preparation(records.consents),
        channel=channel,
        clock=FixedClock(),
        lease_clock=FixedClock(Instant(1)),
        settings=SendingSettings(worker="bench", connections=CONNECTIONS),
    )
    stop = asyncio.Event()
    running = asyncio.create_task(sender.run(stop))
    while await asyncio.to_thread(records.messages.open_count):
        await asyncio.sleep(0.02)
    stop.set()
    await running


def _prepared(mails: int) -> float:
    shop = Shop()
    for person in range(1, mails + 1):
        shop.add(person)
    start = time.perf_counter()
    assert len(_office(shop, None, mails)) == mails
    return mails / (time.perf_counter() - start)


def _fsync_s(folder: Path) -> float:
    with (folder / "fsync").open("wb") as file:
        start = time.perf_counter()
        for _ in range(200):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        return (time.perf_counter() - start) / 200


def _timed(work: Any) -> float:
    start = time.perf_counter()
    asyncio.run(work)
    return time.perf_counter() - start


if __name__ == "__main__":
    for row in rows():
        print(row)
