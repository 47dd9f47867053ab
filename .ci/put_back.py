"""Puts mended faults back, one at a time, and shows which test finds each.

usage: .venv/bin/python .ci/put_back.py [NAME…]

`.ci/faults.toml` lists them: each is one changed place in a copy of this folder and the tests that
must fail for it. A fault that no test finds, or a place that is no longer there, fails the run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / ".ci" / "faults.toml"
WORKERS = int(os.environ.get("CHILDREN", "2"))
SECONDS = 300
"""A fault whose tests take longer hangs, which counts as found."""
COPIED = ("creatify_textgen", "example_project", "tests", "pyproject.toml", "manage.py")
OPTIONS = ("-qx", "-p", "no:cacheprovider", "-p", "no:randomly", "--tb=line")


class Fault(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    tests: list[str]

    def put_into(self, folder: Path) -> None:
        path = folder / self.file
        source = path.read_text()
        if source.count(self.old) != 1:
            problem = f"{self.file} has {source.count(self.old)} places for: {self.old!r}"
            raise LookupError(problem)
        path.write_text(source.replace(self.old, self.new))


class Verdict(NamedTuple):
    fault: Fault
    is_found: bool
    detail: str


def main() -> None:
    wanted = sys.argv[1:]
    faults = [fault for fault in read_faults() if not wanted or fault.name in wanted]
    passing = run_tests(ROOT, sorted({test for fault in faults for test in fault.tests}))
    if passing.returncode:
        sys.exit(f"Without any fault these tests must pass:\n{passing.stdout}")
    found = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for fault, is_found, detail in pool.map(judge, faults):
            found += is_found
            verdict = "found" if is_found else "NOT FOUND"
            print(f"{verdict:<10} {fault.name}: {detail}", flush=True)
    print(f"{found} of {len(faults)} faults found")
    sys.exit(found < len(faults))


def read_faults() -> list[Fault]:
    with LIST.open("rb") as file:
        entries = tomllib.load(file)["fault"]
    return [
        Fault(one["name"], one["file"], one["old"], one["new"], as_list(one["test"]))
        for one in entries
    ]


def as_list(tests: str | list[str]) -> list[str]:
    return [tests] if isinstance(tests, str) else tests


def judge(fault: Fault) -> Verdict:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in COPIED:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part)
        try:
            fault.put_into(folder)
            result = run_tests(folder, fault.tests, seconds=SECONDS)
        except LookupError as error:
            return Verdict(fault, False, str(error))
        except subprocess.TimeoutExpired:
            return Verdict(fault, True, f"no end within {SECONDS} s")
    # 1: tests failed. Anything else (no such test, a syntax error) shows nothing.
    return Verdict(fault, result.returncode == 1, last_line(result.stdout))


def run_tests(
    folder: Path, tests: list[str], *, seconds: int | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, *tests],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return (lines or output.splitlines() or [""])[-1][:160]


if __name__ == "__main__":
    main()
