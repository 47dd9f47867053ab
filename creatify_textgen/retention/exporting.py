"""Exports everything that the app knows of one person: a ZIP with `data.json` and the media.

Written piece by piece: memory holds the primary keys of one table and one slice of its rows,
however much a person has.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import IO, Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet

from creatify_textgen import clock
from creatify_textgen.exceptions import TextgenError
from creatify_textgen.intake.media import open_media, read_block
from creatify_textgen.intake.owners import read_owner
from creatify_textgen.intake.reading import Reader
from creatify_textgen.models import Generation, GenerationContent, Media
from creatify_textgen.models.json_text import JSONTextField
from creatify_textgen.retention.reads import record_reads

__all__ = ["ExportReport", "export"]

SLICE = 200
BLOCK_BYTES = 256 * 1024
APP = "creatify_textgen"
LEFT_OUT = {
    Generation: {"owner", "claim", "fingerprint", "idempotency_key", "idempotency_hash"},
    GenerationContent: {"generation"},
}
LEFT_OUT_ELSEWHERE = {"owner", "claim", "key", "key_hash"}
"""Columns that say nothing about the person. A key is a hash."""


@dataclass(slots=True)
class ExportReport:
    """What was written."""

    generations: int = 0
    media: int = 0
    missing_media: list[str] = field(default_factory=list)
    """The ids of images and videos whose files could not be read."""


def export(owner: Any, file: IO[bytes], *, by: Any = None) -> ExportReport:
    """Write everything that is known of a user into a ZIP archive, and return what that was.

    `file` is a binary file, open for writing. `data.json` has the keys `username`, `exported_at`,
    `generations` (each with its request, answer, cost and `events`), `media`, and one key for each
    other table whose rows belong to an owner, such as `conversation` and its `turn`. A table that
    names users in another role has a key with that role, such as `toolcall_decided_by`, and no
    content, which may be another person's. The files are in `media/`. With `by`, the user who
    exports, the setting `RECORD_READS` applies.

    Raises: RequestError if `owner` is not a saved user.
    """
    reader = Reader()
    owner_id = read_owner(owner, reader=reader)
    if owner is None:
        reader.refuse("owner", "Must be a user.")
    reader.raise_if_refused()
    report = ExportReport()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        # ZIP64, because the size is not known before, and an entry of 2 GiB needs it.
        with archive.open("data.json", "w", force_zip64=True) as data:
            for piece in _pieces(owner, owner_id, report, by=by):
                data.write(piece.encode())
        for media in _batches(Media.objects.filter(owner_id=owner_id)):
            _add_file(archive, media, report)
    return report


def _pieces(owner: Any, owner_id: Any, report: ExportReport, *, by: Any) -> Iterator[str]:
    head = {"username": owner.get_username(), "exported_at": clock.now()}
    # JSON is written by hand around the rows: `json.dumps` needs the whole document in memory.
    yield _json(head)[:-1]
    rows = Generation.objects.filter(owner_id=owner_id).select_related("content")
    generations = map(partial(_generation, report=report, by=by), _batches(rows))
    yield from _list("generations", generations)
    media = Media.objects.filter(owner_id=owner_id)
    yield from _list("media", ({**_row(one), "file": _name(one)} for one in _batches(media)))
    # By the columns, not by a list of models: a new table of a person cannot be forgotten.
    for model in apps.get_app_config(APP).get_models():
        if model not in (Generation, Media):
            yield from _other_rows(model, owner_id)
    yield "}"


def _other_rows(model: type[Model], owner_id: Any) -> Iterator[str]:
    """Yield the rows that belong to the person, and those that name the person in another role."""
    name, rows = model._meta.model_name or "", model._base_manager
    if path := _path_to_owner(model):
        yield from _list(name, map(_row, _batches(rows.filter(**{path: owner_id}))))
    for column in model._meta.concrete_fields:
        if column.related_model is get_user_model() and column.name != "owner":
            named = _batches(rows.filter(**{column.name: owner_id}))
            yield from _list(f"{name}_{column.name}", (_row(one, content=False) for one in named))


def _path_to_owner(model: type[Model]) -> str:
    """Return the lookup of the owner of a row, such as `step__run__owner`; empty without one."""
    for column in model._meta.concrete_fields:
        other: Any = column.related_model
        if column.name == "owner":
            return "owner"
        # What belongs to a generation is a part of it in the export.
        is_ours = other is not None and other._meta.app_label == APP
        if is_ours and other not in (Generation, Media, model) and (path := _path_to_owner(other)):
            return f"{column.name}__{path}"
    return ""


def _list(name: str, items: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield f", {json.dumps(name)}: ["
    for number, item in enumerate(items):
        yield f"{',' if number else ''}\n{_json(item)}"
    yield "]"


def _batches(rows: QuerySet[Any]) -> Iterator[Any]:
    """Yield rows a few at a time. The keys are read first: nothing else is left out or repeated."""
    keys = list(rows.order_by("pk").values_list("pk", flat=True))
    for at in range(0, len(keys), SLICE):
        yield from rows.filter(pk__in=keys[at : at + SLICE]).order_by("pk")


def _generation(row: Generation, *, report: ExportReport, by: Any) -> dict[str, Any]:
    report.generations += 1
    if by is not None:
        record_reads([row], by=by, where="an export")
    # A row that was erased and has not ended still needs its content, but no reader has it.
    is_erased = row.content_removed_at is not None and not row.is_final
    content = GenerationContent() if is_erased else row.content
    events = row.events.values("at", "status", "cause", "detail")
    media = [str(key) for key in row.media.values_list("pk", flat=True)]
    return {**_row(row), **_row(content), "media": media, "events": list(events)}


def _row(row: Any, *, content: bool = True) -> dict[str, Any]:
    left_out = LEFT_OUT.get(type(row), LEFT_OUT_ELSEWHERE)
    fields = [field for field in row._meta.concrete_fields if field.name not in left_out]
    # `serializable_value` gives the key of a foreign key, and loads no related row.
    return {
        field.name: row.serializable_value(field.name)
        for field in fields
        if content or not isinstance(field, JSONTextField)
    }


def _add_file(archive: zipfile.ZipFile, media: Media, report: ExportReport) -> None:
    try:
        with open_media(media) as stored:
            _copy(archive, _name(media), stored)
        report.media += 1
    except TextgenError:
        # The person receives the rest. The file of a discarded medium may be gone, too.
        report.missing_media.append(str(media.pk))


def _copy(archive: zipfile.ZipFile, name: str, stored: Any) -> None:
    # Only reading raises TextgenError: an archive that cannot be written is no missing medium.
    block = read_block(stored, BLOCK_BYTES)
    target: IO[bytes]
    with archive.open(name, "w", force_zip64=True) as target:
        while block:
            target.write(block)
            block = read_block(stored, BLOCK_BYTES)


def _name(media: Media) -> str:
    return f"media/{media.pk}.{media.path.rpartition('.')[2]}"


class _Encoder(DjangoJSONEncoder):
    """Writes times in UTC: with `USE_TZ = False`, a stored time does not say its zone."""

    def default(self, value: Any) -> Any:
        is_time = isinstance(value, datetime)
        return super().default(clock.as_utc_range(value)[0] if is_time else value)


def _json(value: Any) -> str:
    return json.dumps(value, cls=_Encoder, ensure_ascii=False)
