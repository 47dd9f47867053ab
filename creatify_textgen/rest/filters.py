"""What a history may be narrowed by. Narrows what the queryset shows, never widens it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

import django_filters
from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError as FieldError
from django.db.models import Q
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.request import Request

from creatify_textgen.http.permissions import is_staff_with
from creatify_textgen.models import Generation, GenerationQuerySet
from creatify_textgen.rest.moments import to_stored
from creatify_textgen.states import Mode, Status

__all__ = ["CreditsQuery", "GenerationFilters"]


class MomentField(forms.DateTimeField):
    def clean(self, value: Any) -> datetime | None:
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
    """The primary key of a user, whatever the host's user model has for one."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        return get_user_model()._meta.pk.to_python(text) if text else None


class OwnerFilter(django_filters.Filter):
    field_class = OwnerField

    def filter(self, qs: GenerationQuerySet, value: Any) -> GenerationQuerySet:
        if value is None:
            return qs
        # Through the users, because only a primary key's lookup survives a number that no
        # column can hold.
        return qs.filter(owner__in=get_user_model()._default_manager.filter(pk=value))


class GenerationFilters(django_filters.FilterSet):
    """Filters of the history; each may be left out."""

    status = django_filters.MultipleChoiceFilter(choices=Status.choices, distinct=False)
    mode = django_filters.MultipleChoiceFilter(choices=Mode.choices, distinct=False)
    model_name = django_filters.CharFilter(max_length=255)
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")
    owner = OwnerFilter()
    search = django_filters.CharFilter(method="search_text", max_length=200)

    class Meta:
        model = Generation
        fields: list[str] = []

    def search_text(self, queryset: GenerationQuerySet, name: str, text: str) -> GenerationQuerySet:
        """Narrow to generations whose model, ids or beginning of the prompt match."""
        user = self.request.user
        in_excerpt = Q(excerpt__icontains=text)
        if not is_staff_with(user, "view_content"):
            # The excerpt is content: others' may not be probed by searching for it.
            in_excerpt &= Q(owner_id=user.pk)
        matches = in_excerpt | Q(model_name__icontains=text) | Q(remote_id=text)
        own_id = _as_uuid(text)
        return queryset.filter(matches | Q(pk=own_id) if own_id else matches)


class CreditsForm(forms.Form):
    all = forms.BooleanField(required=False)
    owner = OwnerField(required=False)
    since = forms.DateField(required=False)


@dataclass(frozen=True, slots=True)
class CreditsQuery:
    """Whose credits are asked for, and since which day."""

    owner: Any
    """A user, or None for everybody and the site itself."""
    since: date | None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Read the query string.

        Raises: ValidationError; PermissionDenied where others' credits are not the caller's to
        see; NotFound for a user who is not there.
        """
        form = CreditsForm(request.query_params)
        if not form.is_valid():
            raise ValidationError(
                {name: [str(text) for text in texts] for name, texts in form.errors.items()}
            )
        asked = form.cleaned_data
        if not asked["all"] and asked["owner"] is None:
            return cls(owner=request.user, since=asked["since"])
        if not is_staff_with(request.user, "view_generation"):
            raise PermissionDenied("Only staff who may view generations see others' credits.")
        return cls(owner=_user(asked["owner"]), since=asked["since"])


def _user(key: Any) -> Any:
    if key is None:
        return None
    user = get_user_model()._default_manager.filter(pk=key).first()
    if user is None:
        raise NotFound("There is no such user.")
    return user


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
