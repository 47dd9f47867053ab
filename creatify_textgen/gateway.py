"""From settings to a client of the remote. The only room that hands keys on.

Invariant: one client for the same credentials and timeouts in a process, so that its
connections are reused.
"""

from __future__ import annotations

from functools import lru_cache

from creatify_textgen.conf import Account, conf
from creatify_textgen.remote import Credentials, RemoteClient, Timeouts

__all__ = ["client_for", "longest_send"]


def client_for(account: str) -> RemoteClient:
    """Return the client of a workspace.

    Raises: ImproperlyConfigured where the settings have no such account or it lacks a key;
    ValueError where a key or the URL cannot be used.
    """
    return _client(_credentials(conf.account(account)), Timeouts(**conf.timeouts))


def longest_send(*, sync: bool = False, stream: bool = False, body_bytes: int = 0) -> float:
    """Seconds after which a send has surely ended, one way or the other."""
    timeouts = Timeouts(**conf.timeouts)
    return timeouts.longest_send(sync=sync, stream=stream, body_bytes=body_bytes)


def _credentials(account: Account) -> Credentials:
    try:
        return Credentials(account.api_id, account.api_key, account.base_url)
    except ValueError as error:
        problem = f"Account {account.name!r}: {error}"
    # Anew, because the frames behind the first one hold both keys.
    raise ValueError(problem)


@lru_cache(maxsize=32)
def _client(credentials: Credentials, timeouts: Timeouts) -> RemoteClient:
    return RemoteClient(credentials, timeouts=timeouts)
