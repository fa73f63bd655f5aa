"""The SQLite versions that Mailwright trusts with its data."""

from __future__ import annotations

from mailwright.core.errors import Permanent

# Every release from 3.7.0 to 3.51.2 can corrupt a WAL database when a checkpoint resets the WAL while another
# connection writes; 3.51.3 is the first with the repair (sqlite.org/wal.html, "The WAL-reset bug").
OLDEST = (3, 51, 3)


def require_sqlite(version: str, library: str) -> None:
    """Refuse a SQLite that may corrupt a database.

    Args:
        version: As SQLite reports it (``3.54.1``).
        library: The Python package that brought it, named in the error.

    Raises:
        Permanent: If it is older than 3.51.3.
    """
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST:
        raise Permanent(
            "store.sqlite_version",
            f"{library} brings SQLite {version}, which can corrupt a database; 3.51.3 is the oldest that is safe",
            hint=f"upgrade {library}",
        )
