"""Many calls of the remote at once, from thread pools of the process, without the database.

Invariants: the thread that started a call receives its result or its error. A slow workspace fills
only its own pool and its own share of a lane, so calls of other workspaces never wait for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any

from creatify_textgen.conf import conf
from creatify_textgen.per_process import per_process
from creatify_textgen.privacy import without_variables

__all__ = ["SENDS_AT_ONCE", "Fanout", "Lane"]

SENDS_AT_ONCE = 4
"""For each workspace. The remote publishes no limit; we assume that few creates at once are safe
(contract, 11.24)."""


class Lane:
    """The running calls of one kind, with a limit for each workspace."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._under_way: Counter[str] = Counter()
        self.may_have_more = True
        """Whether there may be rows for which another call can begin."""

    def __bool__(self) -> bool:
        return self._under_way.total() > 0

    @property
    def full(self) -> list[str]:
        """The workspaces that have to wait for one of their calls to end."""
        return [account for account, count in self._under_way.items() if count >= self._size]

    def begin(self, account: str) -> None:
        self._under_way[account] += 1

    def end(self, account: str) -> None:
        self._under_way[account] -= 1
        # The last claim left out the rows of a workspace that was full: there may be more.
        if self._under_way[account] == self._size - 1:
            self.may_have_more = True


class Fanout:
    """A batch of running calls; `finished()` yields each with its subject."""

    def __init__(self) -> None:
        self._under_way: dict[Future[Any], Any] = {}
        self._finished: SimpleQueue[Future[Any]] = SimpleQueue()

    def __len__(self) -> int:
        return len(self._under_way)

    def subjects(self) -> list[Any]:
        """Return the subjects of the running calls."""
        return list(self._under_way.values())

    def get(self, account: str, subject: Any, call: Callable[[], Any]) -> None:
        """Start a call that costs nothing, or queue it behind others of its workspace."""
        self._start(_pool("get", account, conf.polls_at_once), subject, call)

    def send(self, account: str, subject: Any, call: Callable[[], Any]) -> None:
        """Start a call that the remote bills."""
        self._start(_pool("send", account, SENDS_AT_ONCE), subject, call)

    def finished(self, *, timeout: float) -> Iterator[tuple[Any, Any]]:
        """Wait up to `timeout` seconds for a call, then yield (subject, answer or exception) of
        each that has ended."""
        while self._under_way:
            try:
                future = self._finished.get(timeout=timeout)
            except Empty:
                return
            # Only the first call is waited for. The others are yielded if they have ended, too.
            timeout = 0
            error = future.exception()
            yield self._under_way.pop(future), future.result() if error is None else error

    def call_off(self) -> list[Any]:
        """Take back the calls that have not begun, and return their subjects."""
        # `cancel` returns False for a call that has begun: its answer is still yielded.
        waiting = [future for future in self._under_way if future.cancel()]
        return [self._under_way.pop(future) for future in waiting]

    def _start(self, pool: ThreadPoolExecutor, subject: Any, call: Callable[[], Any]) -> None:
        future = pool.submit(_call, call)
        self._under_way[future] = subject
        future.add_done_callback(self._note)

    def _note(self, future: Future[Any]) -> None:
        # `cancel` calls this as well, and a call that never began has no answer.
        if not future.cancelled():
            self._finished.put(future)


# Hides the variables of all frames below it from error reports: some hold keys and prompts.
@without_variables
def _call(call: Callable[[], Any]) -> Any:
    return call()


# Not one pool per sweep: sweeps in threads of one process share the limit of a workspace.
@per_process
def _pool(kind: str, account: str, size: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, thread_name_prefix=f"textgen-{kind}-{account}")
