"""What .ci does about packages that cannot be had: it says so, repairs or fails; it hides nothing.

The scripts run in a copy, with an npm, a pip and a Python that only do what each test says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

INDEX_IS_DOWN = "exit 1"
LACKS_IT = '[[ "$*" != *install* ]]'
"""The index answers, and does not have a package."""
BREAKS_OFF = """
case "$*" in
  *view*) exit 1 ;;
esac
mkdir -p "$3/node_modules/ai"
exit 1
"""
WORKS = 'echo "$*" >>"$LOG"; [[ "$*" != *install* ]] || mkdir -p "$3/node_modules/ai"'


class Copy:
    """A copy of the scripts, and programs that stand for those of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        shutil.copytree(ROOT / ".ci", folder / ".ci")
        self.write("bin/node", "exit 0")
        self.write(".venv/bin/python", PYTHON)
        for name in ("tests/hosts/packages/test_one.py", "tests/hosts/packages/test_two.py"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()

    def write(self, name: str, commands: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/usr/bin/env bash\n{commands}\n")
        path.chmod(0o755)

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "LOG": str(self.log),
            **variables,
        }
        return subprocess.run(
            [self.folder / ".ci" / script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


# `-c` asks for the folder of packages, `-m venv` makes another Python, the rest is noted.
PYTHON = """
here=$(cd "$(dirname "$0")/../.." && pwd)
case "$1 $2" in
  "-c "*) mkdir -p "$here/packages" && echo "$here/packages" ;;
  "-m venv") mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  "-m pip") echo "pip $*" >>"$LOG"; eval "$PIP" ;;
  "-m pytest") echo "pytest $*" >>"$LOG"; eval "${PYTEST:-true}" ;;
esac
"""


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


class TestUseChat:
    def test_tests_with_what_it_has_installed(self, copy: Copy) -> None:
        copy.write("bin/npm", WORKS)
        assert copy.run("usechat").returncode == 0
        installed = [call for call in copy.calls if call.startswith("install")]
        assert len(installed) == 3
        assert copy.calls[-1].startswith("pytest ")
        copy.run("usechat")
        assert [call for call in copy.calls if call.startswith("install")] == installed

    def test_repairs_an_installation_that_broke_off(self, copy: Copy) -> None:
        copy.write("bin/npm", BREAKS_OFF)
        assert "NOT TESTED" in copy.run("usechat").stdout
        copy.write("bin/npm", WORKS)
        copy.run("usechat")
        assert len([call for call in copy.calls if call.startswith("install")]) == 3

    def test_says_that_it_tested_nothing_without_an_index(self, copy: Copy) -> None:
        copy.write("bin/npm", INDEX_IS_DOWN)
        done = copy.run("usechat")
        assert done.returncode == 0
        assert done.stdout.startswith("NOT TESTED with the package ai: No index")
        assert copy.calls == []

    def test_fails_without_an_index_if_everything_is_to_be_tested(self, copy: Copy) -> None:
        copy.write("bin/npm", INDEX_IS_DOWN)
        done = copy.run("usechat", TEST_EVERYTHING="1")
        assert done.returncode == 1
        assert done.stdout.startswith("NOT TESTED ")

    @pytest.mark.parametrize(("everything", "code"), [("", 0), ("1", 1)])
    def test_names_what_the_index_lacks(self, copy: Copy, everything: str, code: int) -> None:
        copy.write("bin/npm", LACKS_IT)
        done = copy.run("usechat", TEST_EVERYTHING=everything)
        assert done.returncode == code
        assert "NOT TESTED with the package ai: An index of packages answers" in done.stdout
        assert "did not give these: ai@" in done.stdout


class TestHosts:
    def test_each_have_a_run_of_their_own(self, copy: Copy) -> None:
        assert copy.run("hosts", PIP="true").returncode == 0
        ran = [call for call in copy.calls if call.startswith("pytest")]
        assert [call.split("/")[-1] for call in ran] == ["test_one.py", "test_two.py"]
        [installed] = [call for call in copy.calls if call.startswith("pip")]
        names = installed.partition(" install ")[2].split()
        assert all("==" in name for name in names)

    def test_go_on_after_one_that_fails(self, copy: Copy) -> None:
        done = copy.run("hosts", PIP="true", PYTEST='[[ "$*" != *one* ]]')
        assert done.returncode == 1
        assert "test_one.py failed" in done.stderr
        assert len([call for call in copy.calls if call.startswith("pytest")]) == 2

    def test_are_not_waited_for_if_they_hang(self, copy: Copy) -> None:
        script = copy.folder / ".ci/hosts"
        script.write_text(script.read_text().replace("longest_host=5m", "longest_host=1s"))
        done = copy.run("hosts", PIP="true", PYTEST='[[ "$*" != *one* ]] || exec sleep 50')
        assert done.returncode == 1
        assert len([call for call in copy.calls if call.startswith("pytest")]) == 2

    @pytest.mark.parametrize(("everything", "code"), [("", 0), ("1", 1)])
    def test_are_named_as_not_tested_without_an_index(
        self, copy: Copy, everything: str, code: int
    ) -> None:
        done = copy.run("hosts", PIP="exit 1", TEST_EVERYTHING=everything)
        assert done.returncode == code
        assert done.stdout.startswith("NOT TESTED in hosts with other packages: No index")

    @pytest.mark.parametrize(("everything", "code"), [("", 0), ("1", 1)])
    def test_name_what_the_index_lacks(self, copy: Copy, everything: str, code: int) -> None:
        done = copy.run("hosts", PIP='[[ "$*" != *install* ]]', TEST_EVERYTHING=everything)
        assert done.returncode == code
        assert "did not give these: django-tenants==" in done.stdout
