"""``python -m tools.reference [--check]``."""

from __future__ import annotations

import sys

from tools.reference.pages import PAGES, outdated, write


def main(arguments: list[str]) -> int:
    """Write the pages; with ``--check`` only tell which are out of date, and fail if any is."""
    if arguments == ["--check"]:
        late = outdated()
        sys.stdout.write("".join(f"out of date: {path}\n" for path in late) or "All pages are as the code says.\n")
        return 1 if late else 0
    changed = write()
    sys.stdout.write("".join(f"wrote {path}\n" for path in changed) or f"All {len(PAGES)} pages were up to date.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
