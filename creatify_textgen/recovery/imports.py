"""Makes rows for generations that only the remote has: a second acceptance, or a late answer.

Invariant: a generation is not imported while one of our rows may wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from creatify_textgen import clock, gateway, lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.dispatch.snapshots import Snapshot
from creatify_textgen.intake import excerpt_of
from creatify_textgen.models import Generation, GenerationContent
from creatify_textgen.recovery.evidence import ANY_SKEW
from creatify_textgen.recovery.matching import (
    fingerprint_of,
    fingerprints_of,
    is_of_its_time,
    shows_its_media,
    texts_of,
    texts_of_row,
)
from creatify_textgen.recovery.taken import in_workspace
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.remote_ids import identifier
from creatify_textgen.states import TERMINAL, Mode, Status

__all__ = ["import_remote", "is_waited_for", "rows_without_id"]

BEING_SENT = (Status.SUBMITTING, Status.RUNNING)
MOST_WAITING = 10_000
"""If more rows than this wait, nothing is imported: it may belong to one that was not read."""


def rows_without_id(account: str) -> list[Generation]:
    """Return the rows that were sent, are not final and have no remote id, with their contents.

    Also those of other accounts that have keys of the same workspace.
    """
    ours = in_workspace([account], [gateway.workspace_of(account)])
    rows = Generation.objects.filter(ours, remote_id=None, attempts__gt=0)
    open_rows = rows.exclude(status__in=TERMINAL).select_related("content")
    return list(open_rows.order_by("-created_at")[: MOST_WAITING + 1])


def is_waited_for(remote: RemoteGeneration, waiting: Sequence[Generation]) -> bool:
    """Whether this generation may belong to one of these rows, whose answer may be on its way."""
    if len(waiting) > MOST_WAITING:
        return True
    texts = texts_of(remote)
    # Wider than what adoption accepts: an import that waits costs nothing, but a generation that
    # was imported is no longer adopted, and its row would then find no answer.
    return any(
        identifier(row.unverified_remote_id) == remote.id
        or (row.status in BEING_SENT and is_of_its_time(row, remote))
        or (is_of_its_time(row, remote, ANY_SKEW) and texts_of_row(row) == texts)
        for row in waiting
    )


def import_remote(remote: RemoteGeneration, *, account: str, now: datetime) -> bool:
    """Save a row for this generation; False if another row has its id by now.

    Its owner is the owner of the last row with the same request, if there is one. It has no content
    if that row keeps none.
    """
    known = _row_that_asked_it(remote, account)
    keeps_content = known.keeps_content if known else conf.store_content
    created_at = now if remote.created_at is None else clock.to_stored(remote.created_at)
    generation = Generation(
        account=account,
        owner_id=known.owner_id if known else None,
        mode=Mode.IMPORTED,
        model_name=remote.model_name[:255],
        excerpt=known.excerpt if known else excerpt_of(remote.messages or []),
        keeps_content=keeps_content,
        content_removed_at=None if keeps_content else now,
        fingerprint=fingerprint_of(remote),
        workspace=gateway.workspace_of(account),
        due_at=now,
        created_at=created_at,
        updated_at=now,
    )
    content = GenerationContent(
        # The echo has no images and videos. The row that asked it still refers to the stored files.
        messages=known.content.messages if known else remote.messages or [],
        system_instruction=remote.system_instruction,
        config=remote.config,
    )
    snapshot = Snapshot(generation, remote)
    return lifecycle.import_generation(
        generation, content, to=snapshot.target, outcome=snapshot.outcome()
    )


def _row_that_asked_it(remote: RemoteGeneration, account: str) -> Generation | None:
    alike = Generation.objects.filter(account=account, fingerprint__in=fingerprints_of(remote))
    # Equal fingerprints differ only in their media, so few rows have to be compared.
    asked = alike.exclude(mode=Mode.IMPORTED).select_related("content").order_by("-created_at")
    return next((row for row in asked[:20] if shows_its_media(row, remote)), None)
