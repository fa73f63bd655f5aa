"""Write keys of sources, and the OAuth clients among them: made once, kept as hashes, revoked within seconds."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mailwright.core.errors import InvalidInput, NotFound
from mailwright.core.instants import Instant
from mailwright.core.ports import Clock
from mailwright.core.sources import Note, SourceKind, SourceRecords, WriteKey
from mailwright.ingest.segment import Source
from mailwright.privacy.tokens import Tokens

REVOKED_WITHIN_S = 2.0
"""A revoked key is refused by every process after this time at the latest."""

_MOST_REMEMBERED = 10_000


class Client(NamedTuple):
    """An OAuth client as its owner is told of it, once. `secret` is empty if it signs with a key of its own."""

    id: str
    secret: str


def create_key(sources: SourceRecords, name: str, *, server: bool, now: Instant, who: str = "") -> str:
    """Make a write key for a source and return it; only its hash is kept, so it is shown this once.

    `who` made it is noted; empty: nobody to note.

    Raises:
        InvalidInput: If the name is empty or longer than 64 characters.
    """
    _check_name(name)
    key = ("sk_" if server else "pk_") + secrets.token_urlsafe(32)
    kind: SourceKind = "server" if server else "browser"
    made = WriteKey(digest=_digest(key), name=name, kind=kind, created_at=now)
    sources.add_key(made)
    _note_made(sources, made, who)
    return key


def create_client(sources: SourceRecords, name: str, *, public_key: str = "", now: Instant, who: str = "") -> Client:
    """Make an OAuth client for a server source.

    Args:
        sources: Where it is kept.
        name: Of the source.
        public_key: PEM; the client then proves itself by assertions signed with RS256 (RFC 7523), and has no secret.
        now: When.
        who: Made it, to be noted; empty: nobody to note.

    Raises:
        InvalidInput: If the name is empty or longer than 64 characters.
    """
    _check_name(name)
    client = f"client_{secrets.token_urlsafe(12)}"
    secret = "" if public_key else secrets.token_urlsafe(32)
    digest = client_digest(client, secret)
    made = WriteKey(
        digest=digest, name=name, kind="server", created_at=now, client=client, public_key=public_key.strip()
    )
    sources.add_key(made)
    _note_made(sources, made, who)
    return Client(client, secret)


def _note_made(sources: SourceRecords, made: WriteKey, who: str) -> None:
    if who:
        sources.note(Note(at=made.created_at, who=who, action="make key", detail=f"{made.name} {made.id}"))


def client_digest(client: str, secret: str) -> str:
    """What is kept of an OAuth client's secret."""
    return _digest(f"{client}:{secret}")


def revoke_key(sources: SourceRecords, key_id: str, *, who: str, now: Instant) -> WriteKey:
    """Let the key with that id count no more, and note who did it.

    Raises:
        NotFound: ``key.id``.
    """
    found = next((key for key in sources.all_keys() if key.id == key_id), None)
    if found is None:
        raise NotFound("key.id", f"there is no key {key_id!r}", "see the page Sources, or `mailwright keys`")
    sources.revoke_key(found.digest, now)
    sources.note(Note(at=now, who=who, action="revoke key", detail=f"{found.name} {found.id}"))
    return found


def _check_name(name: str) -> None:
    if not 0 < len(name) <= 64:
        raise InvalidInput.one("source.name", f"a source's name has 1 to 64 characters, {name!r} has {len(name)}")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class Sources(Mapping[str, Source]):
    """Write key, or access token, -> source. Found ones are remembered by the process for `REVOKED_WITHIN_S`."""

    def __init__(self, records: SourceRecords, tokens: Tokens | None = None, clock: Clock | None = None) -> None:
        """Look keys up in `records`; with `tokens` and `clock` (the machine's) access tokens are taken as well."""
        self._records = records
        self._tokens = tokens
        self._clock = clock
        self._found: dict[str, tuple[Source, float]] = {}

    def __getitem__(self, key: str) -> Source:
        now = time.monotonic()
        source, until = self._found.get(key, (None, 0.0))
        if source is not None and now < until:
            return source
        self._found.pop(key, None)
        kept = self._records.key(self._digest_of(key))
        if kept is None or kept.revoked_at is not None:
            raise KeyError(key)
        source = Source(name=kept.name, kind=kept.kind)
        if len(self._found) >= _MOST_REMEMBERED:
            self._found.clear()
        self._found[key] = (source, now + REVOKED_WITHIN_S)
        return source

    def _digest_of(self, key: str) -> str:
        if key.startswith(("sk_", "pk_")) or self._tokens is None or self._clock is None:
            return _digest(key)
        try:
            told = self._tokens.verify("access", key, self._clock.now())
        except InvalidInput:
            raise KeyError(key) from None
        return str(told["digest"]) if isinstance(told, dict) else ""

    def __iter__(self) -> Iterator[str]:
        """Keys are not kept, so there is nothing to list."""
        return iter(())

    def __len__(self) -> int:
        return 0
