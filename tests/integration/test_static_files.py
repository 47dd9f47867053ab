"""The static files pass through a storage that renames them and rewrites imports of modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.management import call_command


class Storage(ManifestStaticFilesStorage):
    support_js_module_import_aggregation = True
    manifest_strict = True


class TestManifest:
    def test_names_the_module_of_streams(self, settings: Any, tmp_path: Path) -> None:
        settings.STATIC_ROOT = str(tmp_path)
        storage = {"BACKEND": f"{__name__}.Storage"}
        settings.STORAGES = {**settings.STORAGES, "staticfiles": storage}
        call_command("collectstatic", interactive=False, verbosity=0)
        folder = tmp_path / "creatify_textgen"
        [renamed] = folder.glob("stream.*.js")
        # Nothing in it imports itself, not even in a comment.
        assert renamed.read_bytes() == (folder / "stream.js").read_bytes()
