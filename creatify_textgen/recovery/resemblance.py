"""Adopts a generation that the remote lists with the same texts but another form of the request.

The remote may add its defaults to `config`, name the model that it chose, or encode media again.
Invariant: in doubt nothing is adopted. The texts must be equal, the times must fit, and neither a
second generation nor a second row may fit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from creatify_textgen.models import Generation
from creatify_textgen.recovery.evidence import Reading, Skew
from creatify_textgen.recovery.matching import is_of_its_time, texts_of, texts_of_row
from creatify_textgen.recovery.taken import in_workspace, taken_ids
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import TERMINAL, Mode, Status

__all__ = ["is_alone", "pairs_alike"]

MOST_OTHERS = 500
"""If more rows than this wait beside a row, their texts are not compared, and the row waits."""

# Not `submitting`: the answer to that send may be on its way, and has the id.
_SURELY_SENT = (Status.UNCONFIRMED, Status.EXPIRED)

Pair = tuple[Generation, RemoteGeneration]


def pairs_alike(lost: Iterable[Generation], reading: Reading, *, skew: Skew | None) -> list[Pair]:
    """Return the pairs of rows and generations that fit only each other."""
    # A stream's text has reached readers, and must not be continued on a guess.
    rows = [row for row in lost if row.mode != Mode.STREAM and row.status in _SURELY_SENT]
    if not rows or not reading.is_whole or skew is None:
        return []
    by_texts: dict[str, list[RemoteGeneration]] = defaultdict(list)
    for remote in _unadopted(reading.candidates):
        by_texts[texts_of(remote)].append(remote)
    pairs: list[Pair] = []
    for row in rows:
        fitting = [one for one in by_texts[texts_of_row(row)] if is_of_its_time(row, one, skew)]
        if len(fitting) == 1 and is_alone(row):
            pairs.append((row, fitting[0]))
    return pairs


def is_alone(generation: Generation) -> bool:
    """Whether no other row without a remote id has asked with the same texts."""
    # Also rows that are sent at this moment: any of them may have asked for the generation.
    ours = in_workspace([generation.account], [generation.workspace])
    others = Generation.objects.filter(ours, remote_id=None)
    waiting = others.exclude(status__in=TERMINAL).exclude(pk=generation.pk)
    rows = list(waiting.filter(attempts__gt=0).select_related("content")[: MOST_OTHERS + 1])
    texts = texts_of_row(generation)
    return len(rows) <= MOST_OTHERS and all(texts_of_row(row) != texts for row in rows)


def _unadopted(remotes: Iterable[RemoteGeneration]) -> list[RemoteGeneration]:
    by_id = {remote.id: remote for remote in remotes}
    taken = taken_ids(by_id)
    return [remote for remote_id, remote in by_id.items() if remote_id not in taken]
