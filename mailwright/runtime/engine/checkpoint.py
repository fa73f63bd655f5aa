"""Checkpoints: the whole engine state as blobs, named by a manifest that is written last."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import msgspec
import zstandard

from mailwright.core.errors import Transient
from mailwright.core.events import PLACES, Offset
from mailwright.core.ports import Blobs, MetaRecords
from mailwright.runtime.engine.frozen import FrozenState
from mailwright.runtime.engine.state import EngineState

_log = logging.getLogger(__name__)

_KEY = "engine.checkpoints"
KEPT = 2


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One checkpoint: the log record it stands at, the format of its parts, and part name -> blob name."""

    number: int
    format: int
    parts: dict[str, str]


FORMAT = 9
"""Raised whenever a part's bytes change their meaning; an older checkpoint is then passed over and the log replayed."""


def save(frozen: FrozenState, blobs: Blobs, meta: MetaRecords) -> None:
    """Write a checkpoint and forget all but the newest two; equal parts are one blob."""
    pack = zstandard.ZstdCompressor(level=1).compress
    parts = {name: blobs.put(pack(data)) for name, data in frozen.parts()}
    manifests = [Manifest(number=frozen.number, format=FORMAT, parts=parts), *_manifests(meta)]
    meta.put(_KEY, msgspec.json.encode(manifests[:KEPT]).decode())
    used = {blob for manifest in manifests[:KEPT] for blob in manifest.parts.values()}
    for manifest in manifests[KEPT:]:
        for blob in set(manifest.parts.values()) - used:
            blobs.delete(blob)


def restore(state: EngineState, blobs: Blobs, meta: MetaRecords, upto: Offset) -> bool:
    """Load the newest checkpoint that is whole and of this format; False if there is none: the log is replayed then.

    Args:
        state: Takes it over.
        blobs: Where its parts are.
        meta: Where its manifest is.
        upto: What History holds: after a newer checkpoint its missing rows could not be made again.
    """
    unpack = zstandard.ZstdDecompressor().decompress
    for manifest in _manifests(meta):
        if manifest.format != FORMAT:
            continue
        if manifest.number > upto // PLACES:
            _log.warning("History ends before the checkpoint at record %d: an older one is taken", manifest.number)
            continue
        try:
            state.restore({name: unpack(blobs.get(blob)) for name, blob in manifest.parts.items()})
        except Exception as error:  # noqa: BLE001 whatever is wrong with it, the log says the same and is the truth
            _log.warning("the checkpoint at record %d cannot be used: %r", manifest.number, error)
            continue
        return True
    return False


def _manifests(meta: MetaRecords) -> list[Manifest]:
    text = meta.get(_KEY)
    return msgspec.json.decode(text, type=list[Manifest]) if text else []


class CheckpointWriter:
    """Writes checkpoints by a thread of its own, one at a time, while the engine goes on."""

    def __init__(self, blobs: Blobs, meta: MetaRecords, *, held: Callable[[], Offset]) -> None:
        """Take the stores; `held` tells up to where History holds everything."""
        self._blobs = blobs
        self._meta = meta
        self._held = held
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether one is being written."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, frozen: FrozenState, flushed: threading.Event) -> None:
        """Write `frozen` as soon as `flushed` is set, which says that History was written; only when not `busy`."""
        self._thread = threading.Thread(target=self._write, args=(frozen, flushed), name="checkpoint", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the last one that was started is written, or has failed."""
        if self._thread is not None:
            self._thread.join()

    def _write(self, frozen: FrozenState, flushed: threading.Event) -> None:
        flushed.wait()
        try:
            if self._held() < frozen.upto:
                raise Transient("history.append", "History could not be written")
            save(frozen, self._blobs, self._meta)
        except Exception as error:  # noqa: BLE001 the one before is still there, and another follows
            _log.warning("the checkpoint at record %d was not written: %r", frozen.number, error)
        else:
            _log.info("checkpoint at record %d written", frozen.number)
