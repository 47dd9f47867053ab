"""One hub a process, whoever asks first."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from creatify_textgen.streams import hub
from creatify_textgen.streams.hub.memory import MemoryHub
from tests.faults.crowd import all_at_once


def test_callers_at_once_get_the_same_hub(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = threading.Semaphore(0)

    def make() -> MemoryHub:
        made.release()
        time.sleep(0.05)  # the others come meanwhile
        return MemoryHub()

    monkeypatch.setattr(hub, "MemoryHub", make)
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "STREAM_BACKEND": "memory://one"}
    hubs = all_at_once(*[hub.get_hub] * 4)
    assert len({id(each) for each in hubs}) == 1
    assert made.acquire(blocking=False)
    assert not made.acquire(blocking=False)
