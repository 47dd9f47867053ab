"""A worker's parent process, as Celery's is: forks a child for each order and says how it ended.

Orders come as lines of JSON on stdin, exit codes go out on stdout: negative for a signal. The
parent has no connection and no thread that a child could inherit.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from typing import Any

import django
from django.conf import settings

django.setup()

from tests.celery_app import app  # noqa: E402
from tests.faults.kills.journeys import JOURNEYS, note_finished_in  # noqa: E402
from tests.faults.kills.points import KillPoint, install  # noqa: E402

LONGEST_LIFE_SECONDS = 60


def main() -> None:
    app.finalize()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _live(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _live(order: Mapping[str, Any]) -> None:
    signal.alarm(LONGEST_LIFE_SECONDS)
    code = 1
    try:
        settings.CREATIFY_TEXTGEN = order["settings"]
        note_finished_in(order["finished"])
        if order["kill"]:
            install(KillPoint(**order["kill"]))
        JOURNEYS[order["journey"]]()
        code = 0
    except BaseException:  # noqa: BLE001  a child must never go on as its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
