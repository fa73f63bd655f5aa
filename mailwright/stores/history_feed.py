"""How far back a Delta table's change feed can still be read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

HAS_FEED = "delta.enableChangeDataFeed"
"""The table's setting that has one kept."""


def oldest_told(folder: Path, newest: int) -> int:
    """The oldest version from which on the changes of all versions can be read; `newest` + 1 if not even its own.

    Erasing somebody deletes the files of versions that held them, `vacuum` those of versions that are older than kept,
    and delta-rs in time the commits themselves; a feed may also have begun later than the table.
    """
    version = newest
    while version >= 0 and _is_told(folder, version):
        version -= 1
    return version + 1


def _is_told(folder: Path, version: int) -> bool:
    commit = folder / "_delta_log" / f"{version:020}.json"
    if not commit.exists():
        return False
    files: dict[str, list[Mapping[str, Any]]] = {"cdc": [], "add": [], "remove": []}
    for line in commit.read_bytes().splitlines():
        for kind, action in msgspec.json.decode(line, type=dict[str, Any]).items():
            if kind == "metaData" and action.get("configuration", {}).get(HAS_FEED) != "true":
                return False
            if kind == "cdc" or (kind in files and action.get("dataChange")):
                files[kind].append(action)
    # As delta-rs reads a version: what its commit says of changes, else whole files that came and went.
    return all((folder / each["path"]).exists() for each in files["cdc"] or files["add"] + files["remove"])
