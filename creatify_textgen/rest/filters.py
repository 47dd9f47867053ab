"""Filters of the history, and the query strings of other endpoints.

Invariant: a filter only removes rows from the queryset, and never searches content that its caller
may not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import MINYEAR, date, datetime, timedelta
from typing import Any
from uuid import UUID

import django_filters
from django import forms
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError as FieldError
from django.db.models import Q
from django.utils.translation import gettext as _
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.request import Request

from creatify_textgen import clock
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import RequestError
from creatify_textgen.models import Generation, GenerationQuerySet, read_uuid
from creatify_textgen.permissions import is_staff_with
from creatify_textgen.rest.moments import to_stored
from creatify_textgen.states import Mode, Status

__all__ = [
    "GenerationFilters",
    "HistoryFilter",
    "check_account",
    "latest_since",
    "read_credits_query",
    "read_model_name",
]


UNINDEXED = ("mode", "model_name", "account")
"""Filters on columns without an index."""
SEARCHED = timedelta(days=30)
"""How far back a search of staff goes that no index helps, if they name no time."""
METADATA = "metadata__"
MOST_KEYS = 5
LONGEST_WORD = 200
_UNFIT = re.compile(r"""^-?\d+$|["'\\]""")
"""Keys of metadata that some databases cannot find: they read a number as a place in a list."""
TEMPLATES = "django_filters"
DEFAULT_ACCOUNT = "default"


def _sees_all(user: Any) -> bool:
    return is_staff_with(user, "view_generation")


class MomentField(forms.DateTimeField):
    """A time in the form in which the database of this site stores times."""

    def clean(self, value: Any) -> datetime | None:
        # With USE_TZ, Django puts a time without an offset into the zone that the host has
        # activated for the request.
        moment = super().clean(value)
        if moment is None:
            return None
        try:
            return to_stored(moment)
        except ValueError as error:
            raise FieldError(str(error)) from error


class MomentFilter(django_filters.DateTimeFilter):
    field_class = MomentField


class OwnerField(forms.CharField):
    """The primary key of a user, of any type that the host's user model has."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        # A text that is no key of the model raises ValidationError, so the response is 400.
        return get_user_model()._meta.pk.to_python(text) if text else None


class OwnerFilter(django_filters.Filter):
    field_class = OwnerField

    def filter(self, qs: GenerationQuerySet, value: Any) -> GenerationQuerySet:
        if value is None:
            return qs
        # Through the users: a primary key lookup accepts a number that is too large for the column.
        return qs.filter(owner__in=get_user_model()._default_manager.filter(pk=value))


class GenerationFilters(django_filters.FilterSet):
    """Filters of the history. All are optional."""

    # Without DISTINCT: no table is joined, so no row is found twice, and sorting all rows is slow.
    status = django_filters.MultipleChoiceFilter(choices=Status.choices, distinct=False)
    mode = django_filters.MultipleChoiceFilter(choices=Mode.choices, distinct=False)
    model_name = django_filters.CharFilter(max_length=255)
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")
    owner = OwnerFilter()
    account = django_filters.CharFilter(max_length=64)
    search = django_filters.CharFilter(method="search_text", max_length=200)

    class Meta:
        model = Generation
        fields: list[str] = []

    _found: list[UUID] | None = None

    def filter_queryset(self, queryset: GenerationQuerySet) -> GenerationQuerySet:
        rows: GenerationQuerySet = super().filter_queryset(queryset)
        wanted = read_metadata(self.data)
        if (since := self._reads_since(wanted)) is not None:
            rows = rows.filter(created_at__gte=since)
        if wanted and not is_staff_with(self.request.user, "view_content"):
            # Metadata is content. Without the permission, a filter must not reveal it.
            rows = rows.for_owner(self.request.user)
        return rows.with_metadata(wanted)

    def _reads_since(self, metadata: Mapping[str, str]) -> datetime | None:
        """Return where the search for what no index finds begins, if the caller names no time.

        The rows of one owner are found by an index, whatever else is asked.
        """
        asked = self.form.cleaned_data
        words = asked["search"] and not self._ids(asked["search"])
        is_indexed = not (words or metadata or any(asked[name] for name in UNINDEXED))
        is_of_one = asked["owner"] is not None or not _sees_all(self.request.user)
        if is_indexed or is_of_one or asked["created_after"]:
            return None
        end: datetime = asked["created_before"] or clock.now()
        # The calendar has no earlier years.
        return end - SEARCHED if end.year > MINYEAR else None

    def _ids(self, text: str) -> list[UUID]:
        """Return the keys of the generations with this id, or with exactly this remote id."""
        # Kept, because two filters ask: the search and the one of its time.
        if self._found is None:
            by_remote_id = self.queryset.with_remote_id(text).values_list("pk", flat=True)
            own_id = read_uuid(text)
            by_id = self.queryset.filter(pk=own_id).values_list("pk", flat=True) if own_id else ()
            self._found = [*by_id, *by_remote_id]
        return self._found

    def search_text(self, queryset: GenerationQuerySet, name: str, text: str) -> GenerationQuerySet:
        """Narrow to the generation with this id, or to those whose model or prompt has the text."""
        if ids := self._ids(text):
            return queryset.filter(pk__in=ids)
        user = self.request.user
        in_excerpt = Q(excerpt__icontains=text)
        if not is_staff_with(user, "view_content"):
            # The excerpt is content. Without the permission, a search must not reveal it.
            in_excerpt &= Q(owner_id=user.pk)
        return queryset.filter(in_excerpt | Q(model_name__icontains=text))


class HistoryFilter(DjangoFilterBackend):
    """Also shows the filters on a page of the browsable API, if the host has their templates."""

    def to_html(self, request: Request, queryset: Any, view: Any) -> Any:
        return super().to_html(request, queryset, view) if apps.is_installed(TEMPLATES) else None


class ModelForm(forms.Form):
    model_name = forms.CharField(required=False, max_length=255)


def read_model_name(request: Request) -> str | None:
    """Return the model that the query string names, if any. Raises: ValidationError."""
    return _cleaned(ModelForm(request.query_params))["model_name"] or None


def read_metadata(query: Mapping[str, str]) -> dict[str, str]:
    """Return `{"order": "17"}` of `?metadata__order=17`.

    Raises: ValidationError for a key or a value that metadata cannot have.
    """
    named = ((name.removeprefix(METADATA), name) for name in query if name.startswith(METADATA))
    wanted = {key: query[name] for key, name in named}
    # Each key is one more comparison in every row, which no index helps.
    if len(wanted) > MOST_KEYS:
        raise ValidationError({METADATA: [f"At most {MOST_KEYS} keys."]})
    for key, value in wanted.items():
        # Printable excludes NUL, which PostgreSQL refuses with an error.
        if not 0 < len(key) <= LONGEST_WORD or _UNFIT.search(key) or not key.isprintable():
            rule = "Must end with a key of metadata that is not a number and has no quotes."
        elif len(value) > LONGEST_WORD or not value.isprintable():
            rule = f"Must be at most {LONGEST_WORD} printable characters."
        else:
            continue
        raise ValidationError({f"{METADATA}{key}"[:LONGEST_WORD]: [rule]})
    return wanted


def check_account(account: Any) -> None:
    """Refuse an account that the setting `REST_ACCOUNTS` does not list. Raises: RequestError."""
    if account not in conf.rest_accounts:
        rule = f"Must be one of {', '.join(conf.rest_accounts)}."
        raise RequestError.about("account", rule)


class CreditsForm(forms.Form):
    all = forms.BooleanField(required=False)
    owner = OwnerField(required=False)
    # A function, because settings are read at each request.
    account = forms.ChoiceField(required=False, choices=lambda: [(n, n) for n in conf.accounts])
    all_accounts = forms.BooleanField(required=False)
    by_owner = forms.BooleanField(required=False)
    since = forms.DateField(required=False)
    until = forms.DateField(required=False)


def read_credits_query(request: Request) -> dict[str, Any]:
    """Return the arguments of `services.credits` that the query string asks for.

    Raises: ValidationError; PermissionDenied if the user may not see the credits of others;
    NotFound if there is no such user.
    """
    asked = _cleaned(CreditsForm(request.query_params))
    account = None if asked["all_accounts"] else asked["account"] or DEFAULT_ACCOUNT
    query = {"account": account, "since": asked["since"], "until": asked["until"]}
    if not asked["all"] and not asked["by_owner"] and asked["owner"] is None:
        return {**query, "owner": request.user}
    if not _sees_all(request.user):
        raise PermissionDenied(
            _("Only staff who may view generations can see the credits of others.")
        )
    return {**query, "owner": _user(asked["owner"]), "by_owner": asked["by_owner"]}


def latest_since(query: Mapping[str, Any]) -> date | None:
    """Return from which day on the durations of such a report are read.

    An index finds the latest rows of one owner, and of all. Those of one account are searched in 30
    days, unless the caller names the days.
    """
    since: date | None = query["since"]
    if since is not None or query["owner"] is not None or query["account"] is None:
        return since
    end: date = query["until"] or clock.utc_now().date()
    return date.fromordinal(max(1, end.toordinal() - SEARCHED.days))


def _user(key: Any) -> Any:
    if key is None:
        return None
    user = get_user_model()._default_manager.filter(pk=key).first()
    if user is None:
        raise NotFound(_("There is no such user."))
    return user


def _cleaned(form: forms.Form) -> dict[str, Any]:
    if not form.is_valid():
        raise ValidationError(
            {name: [str(text) for text in texts] for name, texts in form.errors.items()}
        )
    return form.cleaned_data
