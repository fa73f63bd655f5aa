"""Ready definitions of webhooks and lookups for services that many use; a definition begins with one by ``preset:``."""

from __future__ import annotations

from importlib.resources import files

from mailwright.core.errors import InvalidInput, nearest

__all__ = ["preset_names", "preset_text"]


def preset_names(folder: str) -> list[str]:
    """Presets of ``webhooks`` or ``lookups``."""
    found = (files(__name__) / folder).iterdir()
    return sorted(path.name.removesuffix(".yaml") for path in found if path.name.endswith(".yaml"))


def preset_text(folder: str, name: str) -> str:
    """The YAML of a preset.

    Raises:
        InvalidInput: ``preset.unknown``.
    """
    names = preset_names(folder)
    if name not in names:
        raise InvalidInput.one("preset.unknown", f"there is no preset {name!r}", hint=nearest(name, names))
    return (files(__name__) / folder / f"{name}.yaml").read_text(encoding="utf-8")
