"""The site is built without a warning, loads nothing from elsewhere, and contains every page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

pytest.importorskip("sphinx", reason="the extra docs is not installed")
PAGES = sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LOADED = re.compile(
    r"<(?:script|img|iframe)\b[^>]*\bsrc=\"([^\"]+)|<link\b[^>]*\bhref=\"([^\"]+)|url\(([^)]+)\)"
)


def build(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-c", "docs", "-d",
         str(folder / "doctrees"), *options, ".", str(folder / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip


# Of the session, because other tests run between those of a group.
@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    result = build(folder)
    assert result.returncode == 0, result.stderr
    return folder / "site"


@pytest.mark.slow
@pytest.mark.xdist_group("site")
class TestSite:
    def test_contains_every_page(self, site: Path) -> None:
        missing = [page for page in PAGES if not (site / page).with_suffix(".html").exists()]
        assert missing == []

    def test_loads_nothing_from_elsewhere(self, site: Path) -> None:
        files = [*site.rglob("*.html"), *site.rglob("*.css")]
        loaded = {
            next(filter(None, match))
            for path in files
            for match in LOADED.findall(path.read_text(encoding="utf-8"))
        }
        assert {url for url in loaded if re.match(r"[\"']?(?:https?:)?//", url)} == set()
        assert any("searchtools" in url or "furo" in url for url in loaded)

    def test_can_be_searched(self, site: Path) -> None:
        index = (site / "searchindex.js").read_text(encoding="utf-8")
        assert '"docs/how-to/tools"' in index
        assert "idempot" in index

    def test_begins_with_the_list_of_pages(self, site: Path) -> None:
        assert "url=docs/" in (site / "index.html").read_text(encoding="utf-8")
        contents = (site / "docs" / "index.html").read_text(encoding="utf-8")
        assert 'href="how-to/tools.html"' in contents
