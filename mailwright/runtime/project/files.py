"""The files of a project folder: which belong there, and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mailwright.core.errors import InvalidInput, Issue, NotFound, nearest
from mailwright.ingest.normalise.rates import RATES_FILE

SINGLE_FILES = (
    "attributes.yaml",
    "segments.yaml",
    "catalog.yaml",
    "tracking-plan.yaml",
    "profile.yaml",
    "channels.yaml",
    "identity.yaml",
    "quality.yaml",
    "data-map.yaml",
    RATES_FILE,
)
FOLDERS = {
    "content_rules": ".yaml",
    "campaigns": ".yaml",
    "journeys": ".yaml",
    "models": ".yaml",
    "forms": ".yaml",
    "templates": ".mjml",
} | {"sql_segments": ".yaml", "imports": ".yaml", "webhooks": ".yaml", "lookups": ".yaml"}
SETTINGS_FILE = "mailwright.toml"


def read_files(folder: Path, *, name: str, time_zone: str, data_folder: str, currency: str = "USD") -> dict[str, str]:
    """The definition files of a project folder, path -> text; of the settings only what rules and mails depend on.

    Raises:
        NotFound: If there is not one definition file.
        InvalidInput: If a file is not UTF-8, or stands where nothing looks for it.
    """
    files: dict[str, str] = {}
    issues: list[Issue] = []
    for path in _definition_files(folder, (folder / data_folder).resolve()):
        relative = path.relative_to(folder).as_posix()
        if fault := _misplaced(relative):
            issues.append(Issue(path=relative, message="no definition is read from here", hint=fault))
            continue
        try:
            files[relative] = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            message = f"not UTF-8 text: byte {error.start} is {error.object[error.start]:#x}"
            issues.append(Issue(path=relative, message=message, hint="save the file as UTF-8"))
    if issues:
        raise InvalidInput("definition.files", issues)
    if not files:
        raise NotFound(
            "definition.none", f"{folder} holds no definitions", "run `mailwright init DIR` for a working start"
        )
    told = {"name": name, "time_zone": time_zone, "currency": currency}
    files[SETTINGS_FILE] = "[project]\n" + "".join(f"{key} = {_quoted(value)}\n" for key, value in told.items())
    return files


def _definition_files(folder: Path, data_folder: Path) -> list[Path]:
    """All files that look like definitions, but for those in the data folder and in hidden ones."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.resolve() == data_folder:
            continue
        if path.is_dir() and not path.is_symlink():
            found += _definition_files(path, data_folder)
        elif path.is_file() and (path.suffix in (".yaml", ".yml", ".mjml") or path.name == RATES_FILE):
            found.append(path)
    return found


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _misplaced(relative: str) -> str:
    """Empty if a definition belongs at this path, else where it might."""
    folder, _, rest = relative.rpartition("/")
    if not folder:
        return "" if relative in SINGLE_FILES else nearest(relative, SINGLE_FILES)
    if folder not in FOLDERS:
        return nearest(folder, FOLDERS)
    wanted = FOLDERS[folder]
    return "" if rest.endswith(wanted) else f"files in {folder}/ end with {wanted}"


def named_files(files: Mapping[str, str], folder: str) -> Iterable[tuple[str, str]]:
    """(path, name of the definition) of every file of one of the `FOLDERS`, in order of path."""
    for path in sorted(files):
        if path.startswith(folder + "/"):
            yield path, path.removeprefix(folder + "/").removesuffix(FOLDERS[folder])
