"""Amazon SNS as a sender of webhooks: its certificates, and the question whether an address wants its messages."""

from __future__ import annotations

import logging
from http import HTTPStatus

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from mailwright.core.errors import Permanent, Transient
from mailwright.core.fetching import FetchRequest
from mailwright.core.instants import Instant, to_datetime
from mailwright.core.ports import Fetch
from mailwright.ingest.webhooks.signatures import Certificates, sns_host
from mailwright.ingest.webhooks.verification import Request

_log = logging.getLogger(__name__)

_FRESH_S = 24 * 3600.0
_STALE_S = 30 * 24 * 3600.0
_MAX_BYTES = 100_000


def certificates(fetch: Fetch, now: Instant) -> Certificates:
    """Keys of Amazon's certificates by their addresses, which the scheme has looked at; kept for a day.

    The key is None where no certificate lies that is valid `now`. Transient is raised where Amazon does not answer, so
    that the message is sent again.
    """

    def key_of(url: str) -> RSAPublicKey | None:
        asked = FetchRequest(service="amazon-sns", url=url, max_bytes=_MAX_BYTES, fresh_s=_FRESH_S, stale_s=_STALE_S)
        try:
            answer = fetch.fetch(asked)
            if answer.status != HTTPStatus.OK or not answer.body.startswith(b"-----BEGIN CERTIFICATE"):
                return None
            found = x509.load_pem_x509_certificate(answer.body)
        except (Permanent, ValueError):
            return None
        if not found.not_valid_before_utc <= to_datetime(now) <= found.not_valid_after_utc:
            return None
        key = found.public_key()
        return key if isinstance(key, RSAPublicKey) else None

    return key_of


class _Asked(msgspec.Struct):
    type: str = msgspec.field(name="Type", default="")
    subscribe_url: str = msgspec.field(name="SubscribeURL", default="")


def confirmed(fetch: Fetch, topic: str, request: Request) -> bool:
    """Say yes if a genuine message asks whether this address wants the topic's messages; False if it asks nothing.

    Raises:
        Transient: If Amazon does not answer or refuses: it asks again.
    """
    asked = msgspec.json.decode(request.body, type=_Asked)
    if asked.type != "SubscriptionConfirmation":
        return False
    if not asked.subscribe_url.startswith(f"https://{sns_host(topic)}/"):
        return True
    answer = fetch.fetch(FetchRequest(service="amazon-sns", url=asked.subscribe_url, max_bytes=_MAX_BYTES))
    if answer.status != HTTPStatus.OK:
        raise Transient("webhook.subscription", f"Amazon SNS answered the confirmation with {answer.status}")
    _log.info("a subscription of Amazon SNS is confirmed")
    return True
