from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from form_site import Site
from seeded_shop import Shop, make_shop
from visitors import client_of, sign_in


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A seeded shop, shared by the tests of a module that only read."""
    made = make_shop(tmp_path_factory.mktemp("shop"))
    yield made
    made.records.close()


@pytest.fixture
def fresh_shop(tmp_path: Path) -> Iterator[Shop]:
    """A small shop of its own for a test that writes."""
    made = make_shop(tmp_path, n_people=12)
    yield made
    made.records.close()


@pytest.fixture
def stranger(shop: Shop) -> TestClient:
    return client_of(shop)


@pytest.fixture
def marketer(shop: Shop) -> TestClient:
    client = client_of(shop)
    sign_in(client, shop)
    return client


@pytest.fixture
def site(fresh_shop: Shop) -> Site:
    context = fresh_shop.context
    fresh_shop.context = replace(context, settings=replace(context.settings, allow_reserved_domains=True))
    return Site(fresh_shop, client_of(fresh_shop))
