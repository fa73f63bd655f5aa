"""The small working project that ``mailwright init`` writes."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree


def write(folder: Path) -> None:
    """Copy the starter project into a new or empty folder; if that fails, nothing of it stays."""
    new = not folder.exists()
    try:
        with as_file(files(__name__)) as source:
            copytree(source, folder, dirs_exist_ok=True, ignore=ignore_patterns("__*"))
    except BaseException:
        for made in [folder] if new else list(folder.iterdir()):
            if made.is_dir():
                rmtree(made, ignore_errors=True)
            else:
                made.unlink(missing_ok=True)
        raise
