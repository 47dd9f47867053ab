"""Which of the remote's generations belong to one of our rows, or may. Reads the database.

Invariant: the generation of a deleted row is given to no other row: its cost was counted, and its
text was meant to be forgotten.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q

from creatify_textgen.models import DeletedGeneration, Generation

__all__ = ["deleted_ids", "in_workspace", "taken_ids"]


def taken_ids(remote_ids: Collection[str]) -> set[str]:
    """Return the ids that a row of any account has, or had before it was deleted."""
    # Of any account: two accounts of the settings may have keys of the same workspace.
    rows = Generation.objects.filter(remote_id__in=remote_ids)
    ids = {str(remote_id) for remote_id in rows.values_list("remote_id", flat=True)}
    return ids | deleted_ids(remote_ids)


def in_workspace(accounts: Collection[str], workspaces: Collection[str]) -> Q:
    """Return the condition of rows whose requests the lists of these accounts may have.

    Two accounts of the settings may have keys of the same workspace.
    """
    known = [workspace for workspace in workspaces if workspace]
    return Q(account__in=accounts) | Q(workspace__in=known)


def deleted_ids(remote_ids: Collection[str]) -> set[str]:
    """Return the ids that a row had before it was deleted."""
    deleted = DeletedGeneration.objects.filter(remote_id__in=remote_ids)
    return set(deleted.values_list("remote_id", flat=True))
