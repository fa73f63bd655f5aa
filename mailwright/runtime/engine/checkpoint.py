"""Checkpoints: the whole engine state as blobs, named by a manifest that is written last."""

from __future__ import annotations

import logging

import msgspec
import zstandard

from mailwright.core.ports import Blobs, MetaRecords
from mailwright.runtime.engine.state import EngineState

_log = logging.getLogger(__name__)

_KEY = "engine.checkpoints"
KEPT = 2


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One checkpoint: the log record it stands at, the format of its parts, and part name -> blob name."""

    number: int
    format: int
    parts: dict[str, str]


FORMAT = 2
"""Raised whenever a part's bytes change their meaning; an older checkpoint is then passed over and the log replayed."""


def save(state: EngineState, blobs: Blobs, meta: MetaRecords) -> None:
    """Write a checkpoint and forget all but the newest two; equal parts are one blob."""
    pack = zstandard.ZstdCompressor(level=1).compress
    parts = {name: blobs.put(pack(data)) for name, data in state.parts().items()}
    manifests = [Manifest(number=state.number, format=FORMAT, parts=parts), *_manifests(meta)]
    meta.put(_KEY, msgspec.json.encode(manifests[:KEPT]).decode())
    used = {blob for manifest in manifests[:KEPT] for blob in manifest.parts.values()}
    for manifest in manifests[KEPT:]:
        for blob in manifest.parts.values():
            if blob not in used:
                blobs.delete(blob)


def restore(state: EngineState, blobs: Blobs, meta: MetaRecords) -> bool:
    """Load the newest checkpoint that is whole and of this format; False if there is none: the log is replayed then."""
    unpack = zstandard.ZstdDecompressor().decompress
    for manifest in _manifests(meta):
        if manifest.format != FORMAT:
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
