"""Which database holds our rows. Knows no one but Django.

A router may send the app to any alias, and reads to a replica that lags. Invariant: everything of
ours that depends on a write, raw SQL and transactions included, uses the alias that is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

from django.apps import apps
from django.db import Error as DatabaseFault
from django.db import InterfaceError, OperationalError, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = [
    "after_commit",
    "alias",
    "close_connections",
    "connection",
    "drop_connection",
    "is_outage",
    "let_go",
    "letting_go",
    "loggable",
    "outside_transactions",
    "patiently",
    "refuse_transaction",
    "refuse_transaction_of_worker",
    "short_transaction",
    "sqlstate",
]

T = TypeVar("T")
Waits = Callable[[BaseException], None]

APP = "creatify_textgen"
READ_COMMITTED = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
READ_ONLY = "25006"
"""The SQLSTATE of a write in a read-only transaction."""
VALUE_ERRORS = frozenset([1264, 1265, 1292, 1366, 1367, 1406, 1411, 1441, 1690, 3140, 3819, 4025])
"""MariaDB and MySQL refuse a value: it is out of range, too long, of another charset, or no time or
JSON, or a CHECK failed. PyMySQL and mysqlclient report some of these as `OperationalError`."""
_may_let_go: ContextVar[bool] = ContextVar("creatify_textgen_may_let_go", default=False)


def alias() -> str:
    """Return the alias that generations are written to."""
    return router.db_for_write(apps.get_model(APP, "Generation"))


def connection() -> BaseDatabaseWrapper:
    """Return this thread's connection to the database that generations are written to."""
    return connections[alias()]


def after_commit(call: Callable[[], object]) -> None:
    """Call this now, or after the host's transaction if one is open; never if it is rolled back.

    For writes to rows that other requests write, too: a lock that the host's transaction keeps
    would have them wait for it. What fails after the commit is logged.
    """
    current = connection()
    if _is_in_transaction_of_host(current):
        # Django's log wants a name, which a partial does not have.
        transaction.on_commit(lambda: call(), using=current.alias, robust=True)
    else:
        call()


def is_outage(error: BaseException) -> bool:
    """Whether the database cannot be used now: it is unreachable, or takes no writes.

    After a failover, PostgreSQL may be read-only for a while and calls that an internal error.
    """
    if isinstance(error, DatabaseFault) and error.args and error.args[0] in VALUE_ERRORS:
        return False
    is_read_only = sqlstate(error) == READ_ONLY
    return isinstance(error, OperationalError | InterfaceError) or is_read_only


def sqlstate(error: BaseException) -> str | None:
    """Return PostgreSQL's code of a database error, such as `40P01`; None for other databases."""
    # psycopg 3, then psycopg2.
    names = ("sqlstate", "pgcode")
    return next((code for name in names if (code := getattr(error.__cause__, name, None))), None)


def loggable(error: BaseException) -> BaseException | None:
    """Return the error for the `exc_info` of a log line; None if a database error is part of it.

    The words of a database may quote content: PostgreSQL adds "Failing row contains", MariaDB
    "Incorrect string value". The line then has the type of the error, and no traceback.
    """
    # A log shows also the errors that an error was raised from, or while handling.
    chain, left = [], [error]
    while left:
        one = left.pop()
        chain.append(one)
        before = (one.__cause__, one.__context__)
        left += [each for each in before if each is not None and each not in chain]
    return None if any(isinstance(each, DatabaseFault) for each in chain) else error


def patiently(write: Callable[[], T], *, pauses: Sequence[float], waits: Waits) -> T:
    """Return what `write` returns; run it again after each of these pauses if there is an outage.

    For what was paid for and exists only in this process. `waits` is called with each error.
    """
    for pause in pauses:
        try:
            return write()
        except DatabaseFault as error:
            if not is_outage(error):
                raise
            waits(error)
            drop_connection()
        time.sleep(pause)
    return write()


def drop_connection() -> None:
    """Close this thread's connection after an outage, unless a transaction needs it.

    Django uses a broken one again. After a failover one may work, and lead to the server that takes
    no writes any more.
    """
    if not connection().in_atomic_block:
        connection().close()


def outside_transactions(view: Any) -> Any:
    """Return the view without the transaction of a host's ATOMIC_REQUESTS, whatever the alias.

    A row must be committed before the remote is called, and before a pump can see it. While the
    view waits for the remote, it holds no connection.
    """

    @wraps(view)
    def outside(*args: Any, **kwargs: Any) -> Any:
        with letting_go():
            return view(*args, **kwargs)

    # Each alias has its ATOMIC_REQUESTS, and a router may send the app to any of them.
    for name in connections:
        transaction.non_atomic_requests(using=name)(outside)
    return outside


@contextmanager
def letting_go(*, allowed: bool = True) -> Iterator[None]:
    """Have `let_go` close this thread's connections inside the block.

    For requests and tasks: those that wait for the remote would leave none of a pool to the
    others. Not allowed for the host's own code, which may be reading from a cursor.
    """
    token = _may_let_go.set(allowed)
    try:
        yield
    finally:
        _may_let_go.reset(token)


def let_go() -> None:
    """Before a wait for the remote: close connections as Django does at the end of a request."""
    if _may_let_go.get():
        close_connections()


def close_connections(*, keep: bool = True) -> None:
    """Close this thread's connections; with `keep`, those of CONN_MAX_AGE stay open."""
    for current in connections.all(initialized_only=True):
        if current.in_atomic_block:
            continue  # Django closes those of a TestCase, too.
        if keep:
            current.close_if_unusable_or_obsolete()
        else:
            current.close()


@contextmanager
def short_transaction() -> Iterator[None]:
    """Open a transaction in which each statement sees the latest commits of others.

    The app's conditional UPDATEs need this. At a higher isolation level, which the host may have
    set, PostgreSQL would refuse most simultaneous requests.
    """
    current = connection()
    is_outermost = not current.in_atomic_block
    with transaction.atomic(using=current.alias):
        # PostgreSQL accepts it only before the first statement of a transaction (SET TRANSACTION).
        if is_outermost and _has_other_level(current):
            with current.cursor() as cursor:
                cursor.execute(READ_COMMITTED)
        yield


def _has_other_level(current: BaseDatabaseWrapper) -> bool:
    # Without this option Django leaves PostgreSQL its default, which is READ COMMITTED.
    options = current.settings_dict.get("OPTIONS") or {}
    return current.vendor == "postgresql" and "isolation_level" in options


def refuse_transaction(verb: str) -> None:
    """Refuse to wait for the remote inside a transaction of the host.

    The transactions in which Django's `TestCase` and pytest-django wrap a test are not the host's.

    Raises: RuntimeError, which says what to do.
    """
    if _is_in_transaction_of_host(connection()):
        raise RuntimeError(
            f"{verb}() pays for an answer while it waits, and a rollback would lose it: call it "
            "outside of atomic(), or use submit(), which may run in a transaction."
        )


def refuse_transaction_of_worker(verb: str) -> None:
    """The same for what a worker does: after a rollback the row would be sent and paid for again.

    A stub replaces this, because it charges nothing and sends at once.
    """
    refuse_transaction(verb)


def _is_in_transaction_of_host(current: BaseDatabaseWrapper) -> bool:
    if current.connection is None:
        # Not `get_autocommit()`: it connects, and the thread of a pump would keep the connection.
        return not current.settings_dict.get("AUTOCOMMIT", True)
    if not current.in_atomic_block:
        return not current.autocommit
    try:
        # Django refuses a durable block in any other one, but for those of a TestCase.
        with transaction.atomic(using=current.alias, durable=True, savepoint=False):
            return False
    except RuntimeError:
        return True
