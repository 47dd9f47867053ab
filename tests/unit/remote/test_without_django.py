"""The room is usable by programs that have neither Django nor Celery."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import creatify_textgen.remote
strangers = {"django", "celery", "rest_framework", "redis"} & set(sys.modules)
ours = {name for name in sys.modules if name.startswith("creatify_textgen.")}
allowed = ("creatify_textgen.remote", "creatify_textgen.exceptions", "creatify_textgen.logs")
print(sorted(strangers), sorted(name for name in ours if not name.startswith(allowed)))
"""


class TestImports:
    def test_needs_no_framework_and_no_other_room(self) -> None:
        finished = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
        )

        assert finished.stdout.strip() == "[] []"
