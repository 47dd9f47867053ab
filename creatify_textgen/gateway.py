"""Makes a client of the remote from the settings. Only this module gives it the keys.

Invariant: a process has one client per credentials and timeouts, so connections are reused.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import salted_hmac

from creatify_textgen.conf import Account, conf
from creatify_textgen.exceptions import RequestError
from creatify_textgen.remote import Credentials, RemoteClient, RemoteGeneration, Timeouts
from creatify_textgen.remote.plain_http import is_on_this_machine
from creatify_textgen.remote.redaction import of_answers, secrets_of
from creatify_textgen.remote.redaction import without_secrets as remove_secrets

__all__ = ["client_for", "longest_send", "without_secrets", "workspace_of"]


def client_for(account: str) -> RemoteClient:
    """Return the client of a workspace. Sends nothing.

    Raises: ImproperlyConfigured if the settings lack the account or its keys; ValueError if a key
    cannot be put into a header, or the URL is not usable; RequestError for another machine if
    `ALLOW_REMOTE` is False.
    """
    credentials = _credentials(conf.account(account))
    if not conf.allow_remote and not is_on_this_machine(credentials.base_url):
        raise RequestError(
            f"ALLOW_REMOTE is False, and account {account!r} is not on this machine. In tests, use "
            "creatify_stub or creatify_emulator; see docs/how-to/testing.md.",
            code="remote_not_allowed",
        )
    return _client(credentials, Timeouts(**conf.timeouts), conf.polls_at_once)


def workspace_of(account: str) -> str:
    """Return a keyed hash of where an account's keys lead now; empty if it is not configured.

    A row keeps it, so that the list of another workspace proves nothing about it.
    """
    try:
        found = conf.account(account)
    except ImproperlyConfigured:
        return ""
    # Without the key, which may be reset while the workspace stays the same (contract, 1).
    place = f"{found.base_url}\x1f{found.api_id}"
    return salted_hmac("creatify_textgen.workspace", place, algorithm="sha256").hexdigest()[:32]


def without_secrets(
    account: str, remote: RemoteGeneration, *, webhook_url: str
) -> RemoteGeneration:
    """Return what a delivery says, without the keys of its account and without its own URL.

    Answers to our requests have none, because the client has taken them out.
    """
    secrets: tuple[str, ...] = ()
    # An account that is not configured any more has no keys that could be in it.
    with suppress(ImproperlyConfigured, ValueError):
        credentials = _credentials(conf.account(account))
        secrets = of_answers(secrets_of(credentials, webhook_url=webhook_url))
    return remove_secrets(remote, secrets=secrets)


def longest_send(*, sync: bool = False, stream: bool = False, body_bytes: int = 0) -> float:
    """Return the seconds after which a send has certainly ended, with an answer or without.

    It depends on the timeouts of the settings and on the size of the body.
    """
    timeouts = Timeouts(**conf.timeouts)
    return timeouts.longest_send(sync=sync, stream=stream, body_bytes=body_bytes)


def _credentials(account: Account) -> Credentials:
    try:
        return Credentials(account.api_id, account.api_key, account.base_url)
    except ValueError as error:
        problem = f"Account {account.name!r}: {error}"
    # A new error, because the traceback of the first one has frames that hold both keys.
    raise ValueError(problem)


@lru_cache(maxsize=32)
def _client(credentials: Credentials, timeouts: Timeouts, pool_size: int) -> RemoteClient:
    return RemoteClient(credentials, timeouts=timeouts, pool_size=pool_size)
