"""The tutorial, followed literally: its files, its commands, its requests and its tests.

Only addresses differ. What installs packages is left out: they are installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from creatify_textgen.emulator import Emulator
from tests.architecture.source import ROOT
from tests.guides import EMULATOR, Guide, Site, clean_environment, curls, free_port

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tutorial")]

GUIDE = Guide.read(ROOT / "docs" / "tutorial" / "assistant.md")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return the project of the tutorial, with its files."""
    with Emulator() as emulator:
        site = Site(tmp_path_factory.mktemp("tutorial"), clean_environment())
        project = GUIDE.commands_with("startproject").splitlines()
        site.run("\n".join(line for line in project if "venv" not in line and "pip" not in line))
        GUIDE.write_files(site.folder)
        site.export(GUIDE.commands_with("export CREATIFY_API_KEY").replace(EMULATOR, emulator.url))
        yield site


@pytest.fixture(scope="module")
def first_text(site: Site) -> str:
    """Return what the tutorial's first commands print; they make the tables and a user."""
    return site.run(GUIDE.commands_with("manage.py migrate"))


@pytest.mark.usefixtures("first_text")
class TestTutorial:
    def test_generates_the_first_text(self, first_text: str) -> None:
        assert "System check identified no issues" in first_text
        assert "these words are the emulator's." in first_text

    def test_passes_its_own_tests(self, site: Site) -> None:
        assert "Ran 5 tests" in site.run(GUIDE.commands_with("manage.py test"))

    def test_answers_its_requests(self, site: Site) -> None:
        address = f"127.0.0.1:{free_port()}"
        start, stream, history = curls(GUIDE.commands_with("curl"), address=address)
        with site.running(GUIDE.commands_with("runserver").strip(), address=address):
            assert json.loads(site.run(start))["title"] == "Rome"
            assert "event: end" in site.run(stream)
            statuses = {row["status"] for row in json.loads(site.run(history))["results"]}
            assert statuses == {"done"}

    def test_can_be_deployed(self, site: Site) -> None:
        reported = site.run(GUIDE.commands_with("textgen_doctor"))
        assert "FAILED" not in reported
        assert (site.folder / "staticfiles" / "assistant.js").exists()
