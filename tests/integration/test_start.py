"""What a site loads when it starts: Django's setup and the paths of the app."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import creatify_textgen

PROGRAM = """
import json, sys
import django
from django.conf import settings
from django.urls import get_resolver
django.setup()
get_resolver().url_patterns
print(json.dumps(sorted(sys.modules)))
"""

LOADED_WHEN_USED = (
    "admin.health",
    "contrib",
    "emulator",
    "management",
    "migrations",
    "pytest_plugin",
    "rest.openapi",
    "schemas.types",
    "streams.hub.mirror",
    "streams.hub.redis",
    "streams.hub.stream_trim",
    "streams.hub.writer",
    "templatetags",
    "testing",
)
EXTRAS = {"drf_spectacular", "jiter", "opentelemetry", "prometheus_client", "pydantic", "redis"}


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    addresses = ("CACHE_", "CELERY_", "DATABASE_", "TEXTGEN_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(addresses)}
    environment |= {"DJANGO_SETTINGS_MODULE": "example_project.settings", "DJANGO_DEBUG": "1"}
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    return set(json.loads(finished.stdout))


def modules() -> set[str]:
    """Return the names of all modules of the app, without the name of the app."""
    root = Path(creatify_textgen.__file__).parent
    paths = [path.relative_to(root).with_suffix("") for path in root.rglob("*.py")]
    return {".".join(path.parts).removesuffix(".__init__") for path in paths} - {"__init__"}


def is_loaded_when_used(name: str) -> bool:
    return any(f"{name}.".startswith(f"{room}.") for room in LOADED_WHEN_USED)


class TestStart:
    def test_loads_every_module_but_those_that_only_some_processes_use(
        self, loaded: set[str]
    ) -> None:
        missing = {name for name in modules() if f"creatify_textgen.{name}" not in loaded}
        assert missing == set(filter(is_loaded_when_used, modules()))

    def test_loads_no_package_that_only_some_sites_use(self, loaded: set[str]) -> None:
        assert not {name.partition(".")[0] for name in loaded} & EXTRAS
