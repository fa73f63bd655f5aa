"""Fixtures of the contract suites: every adapter of a port is a parameter."""

import pytest

from mailwright.stores.records_sql import SqlRecords


@pytest.fixture(params=["sqlite"])
def records_url(request, tmp_path):
    """Where a Records database may be made."""
    return str(tmp_path / "data" / "records.sqlite")


@pytest.fixture
def records(records_url):
    with SqlRecords.open(records_url) as records:
        yield records
