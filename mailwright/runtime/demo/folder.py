"""The demo's folder: made whole or not at all, and one demo in it at a time."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from mailwright.core.errors import Conflict
from mailwright.runtime.installation import only_one

_MARK = ".mailwright-demo"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the demo of this folder. The lock lies outside it, so that the folder can be made anew.

    Raises:
        Conflict: If another process holds it.
    """
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    with only_one(Path(tempfile.gettempdir()) / f"mailwright-demo-{name}.lock", "a demo", folder):
        yield


def make(folder: Path, *, fresh: bool) -> None:
    """Write the demo's project, unless it is there; `fresh` throws away an earlier one.

    Raises:
        Conflict: If the folder holds something that is no demo.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise Conflict("demo.folder", f"{folder} holds something that is not a demo", "name another folder")
    if fresh and folder.exists():
        shutil.rmtree(folder)
    if (folder / _MARK).exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as half:
        with as_file(files(__package__).joinpath("project")) as source:
            shutil.copytree(source, Path(half) / "made", ignore=shutil.ignore_patterns("__*"))
        (Path(half) / "made" / _MARK).write_text("made by `mailwright demo`; `--fresh` throws the folder away\n")
        if folder.exists():
            folder.rmdir()
        (Path(half) / "made").rename(folder)
