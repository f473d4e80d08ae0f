"""A database with invoices of two organizations, and sessions of one of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from keystead_sdk.organizations import OrgSession
from tests.sdk.invoices import filled


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    yield from filled(tmp_path)


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sessionmaker[OrgSession]]:
    for engine in filled(tmp_path_factory.mktemp("read_only")):
        yield sessionmaker(engine, class_=OrgSession)


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[OrgSession]:
    return sessionmaker(engine, class_=OrgSession)


@pytest.fixture
def session(sessions: sessionmaker[OrgSession]) -> Iterator[OrgSession]:
    with sessions(organization="org_a") as session:
        yield session
