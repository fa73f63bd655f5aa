"""Expected files: compared, or rewritten by ``make goldens``."""

from pathlib import Path

import pytest

EXPECTED = Path(__file__).parent / "expected"


def pytest_addoption(parser):
    parser.addoption("--rewrite-goldens", action="store_true", help="rewrite the expected files; review the diff")


@pytest.fixture
def golden(request):
    """Compare content with the expected file of that name, or write it there."""

    def check(file_name: str, content: bytes) -> None:
        path = EXPECTED / file_name
        if request.config.getoption("--rewrite-goldens", default=False):
            EXPECTED.mkdir(exist_ok=True)
            path.write_bytes(content)
        assert content == path.read_bytes(), f"{file_name} changed: run `make goldens` and review the difference"

    return check
