"""The small working project that ``mailwright init`` writes."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from shutil import copytree, ignore_patterns


def write(folder: Path) -> None:
    """Copy the starter project into a new or empty folder."""
    with as_file(files(__name__)) as source:
        copytree(source, folder, dirs_exist_ok=True, ignore=ignore_patterns("__*"))
