"""The quick start, followed literally in a new project: files and commands as printed.

Only addresses differ: those of the broker, of the emulator and of the site.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from creatify_textgen.emulator import Emulator
from tests.architecture.source import ROOT
from tests.faults.processes import OwnRedis
from tests.guides import EMULATOR, Guide, Site, clean_environment, curls, free_port, until

pytestmark = pytest.mark.slow

GUIDE = Guide.read(ROOT / "docs" / "tutorial" / "quick-start.md")
BROKER = "redis://127.0.0.1:6379/0"
NO_BROKER = "redis://127.0.0.1:9/0"


@pytest.fixture
def remote_process() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def new_site(tmp_path: Path, remote_process: Emulator) -> Callable[[str], Site]:
    """Return a way to make the guide's project with a broker."""

    def make(broker: str) -> Site:
        Site(tmp_path, clean_environment()).run(GUIDE.commands_with("startproject"))
        site = Site(tmp_path / "mysite", clean_environment())
        GUIDE.write_files(tmp_path / "mysite")
        settings = site.folder / "mysite" / "settings.py"
        assert BROKER in settings.read_text()
        settings.write_text(settings.read_text().replace(BROKER, broker))
        keys = GUIDE.commands_with("export CREATIFY_API_KEY")
        assert EMULATOR in keys
        site.export(keys.replace(EMULATOR, remote_process.url))
        return site

    return make


class TestWithoutBroker:
    def test_generates_from_the_command_line(
        self, new_site: Callable[[str], Site], remote_process: Emulator
    ) -> None:
        reported = new_site(NO_BROKER).run(GUIDE.commands_with("manage.py migrate"))
        assert "System check identified no issues" in reported
        assert reported.count("these words are the emulator's.") == 2
        assert remote_process.counters["creates"] == 2


@pytest.mark.service
class TestWithWorker:
    def test_generates_by_rest(self, new_site: Callable[[str], Site], own_redis: OwnRedis) -> None:
        site = new_site(own_redis.url)
        site.run(GUIDE.commands_with("manage.py migrate"))
        address = f"127.0.0.1:{free_port()}"
        processes = GUIDE.commands_with("runserver").splitlines()
        [create, read, stream] = curls(GUIDE.commands_with("curl"), address=address)
        with site.running(*processes, address=address):
            assert json.loads(site.run(create))["status"] == "queued"
            until(lambda: json.loads(site.run(read))["results"][0]["status"] == "done")
            assert "event: end" in site.run(stream)
