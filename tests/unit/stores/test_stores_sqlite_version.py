import pytest

from mailwright.core.errors import Permanent
from mailwright.stores.sqlite_version import require_sqlite


@pytest.mark.parametrize("version", ["3.51.3", "3.51.10", "3.52.0", "3.54.1", "4.0.0", "3.51.3.1"])
def test_a_safe_sqlite_is_taken(version):
    assert require_sqlite(version, "apsw") is None


@pytest.mark.parametrize("version", ["3.51.2", "3.40.1", "3.7.0", "3.9.99", "2.8.17"])
def test_a_sqlite_with_the_wal_reset_bug_is_refused(version):
    with pytest.raises(Permanent, match=rf"pysqlite3 brings SQLite {version}") as caught:
        require_sqlite(version, "pysqlite3")
    assert caught.value.hint == "upgrade pysqlite3"
