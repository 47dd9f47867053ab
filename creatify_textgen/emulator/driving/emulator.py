"""The emulator as a Python object that runs an event loop in its own thread.

Everything public here may be called from any other thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar

from creatify_textgen.emulator.api.state import LogRecord, RemoteGeneration, State
from creatify_textgen.emulator.faults.switchboard import Switchboard

from .application import EmulatorApplication, base_url

__all__ = ["Emulator"]

NOT_STARTED = "The emulator does not run: use `with Emulator() as emulator`, or call start()."
# More than the loop ever needs. A test must fail and not hang if the loop is blocked.
STOP_SECONDS = 10

Result = TypeVar("Result")


class Emulator:
    """Serves the API on loopback until `stop`, or until the `with` block ends.

    Keyword arguments other than `port` and `host` are switches, as in `faults/switches.py`.
    """

    def __init__(self, *, port: int = 0, host: str = "127.0.0.1", **switches: Any) -> None:
        self.switches = Switchboard(**switches)
        self._host = host
        self._port = port
        self._state = State(settings=self.switches.settings)
        self._thread: threading.Thread | None = None
        self._listening = threading.Event()
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Base URL without a slash at its end. Raises: RuntimeError before the first start."""
        if not self._port:
            raise RuntimeError(NOT_STARTED)
        return base_url(self._host, port=self._port)

    @property
    def requests(self) -> list[LogRecord]:
        """Every request received and every webhook sent, oldest first."""
        return self._state.log

    @property
    def generations(self) -> list[RemoteGeneration]:
        """Every generation, oldest first."""
        return self._state.generations

    @property
    def counters(self) -> dict[str, int]:
        """Number of accepted creates (streams included), refused creates, GETs, lists, webhooks."""
        return self._state.counters

    def start(self) -> Self:
        """Start to listen; return once connections are accepted. May be called twice."""
        if self._thread is None:
            self._listening.clear()
            self._failure = None
            # A daemon: a test run that is interrupted must not wait for it.
            self._thread = threading.Thread(target=self._run, name="emulator", daemon=True)
            self._thread.start()
            self._listening.wait()
        if self._failure is not None:
            self._thread = None
            raise self._failure
        return self

    def stop(self) -> None:
        """Stop listening and end the thread. May be called twice."""
        if self._thread is not None:
            # asyncio's objects are not thread-safe: the loop itself must set the event.
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(STOP_SECONDS)
            self._thread = None

    def reset(self) -> None:
        """Forget generations, log, counters and spent credits; set switches as at the start."""
        self._call(lambda: self._application.control.reset())

    def finish(self, generation_id: str, *, status: str = "", failed_reason: str = "") -> bool:
        """End a generation now; return False if it had ended already.

        Raises:
            KeyError: no such generation.
        """
        generation = self._state.find(str(generation_id))
        if generation is None:
            raise KeyError(f"There is no generation {generation_id!r}: see `generations`.")
        return self._call(
            lambda: self._application.processing.finish(
                generation, status=status, failed_reason=failed_reason
            )
        )

    def _call(self, function: Callable[[], Result]) -> Result:
        """Call a function on the loop and return its result."""
        if self._thread is None:
            raise RuntimeError(NOT_STARTED)

        async def call() -> Result:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(STOP_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as failure:  # noqa: BLE001  `start` raises it in the caller's thread
            self._failure = failure
        finally:
            # Also after a failure, such as a port in use: `start` waits for this event.
            self._listening.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._application = EmulatorApplication(switches=self.switches, state=self._state)
        # The port stays the same after stop and start, so a test can restart a remote.
        self._port = await self._application.start(host=self._host, port=self._port)
        self._listening.set()
        await self._stopping.wait()
        await self._application.stop()
