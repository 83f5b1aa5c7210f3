"""A browser, the pages it looks at, and where its pictures go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Browser, start
from pages import PAGES


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    driver = start(tmp_path_factory.mktemp("profile"))
    yield Browser(driver)
    driver.quit()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """For people to look at."""
    folder = Path(os.environ.get("SCREENSHOTS", "browser-output"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of all kinds by their names."""
    folder = tmp_path_factory.mktemp("pages")
    return {name: make().report(folder / f"{name}.html") for name, make in PAGES.items()}
