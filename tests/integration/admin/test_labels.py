"""What the columns of the admin are called."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, label_for_field
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.utils import translation

from creatify_textgen.admin.permissions import ReadOnlyAdmin

OURS = [one for one in admin.site._registry.values() if isinstance(one, ReadOnlyAdmin)]


def columns_of(model_admin: Any) -> list[Any]:
    request = RequestFactory().get("/")
    request.user = User(is_staff=True, is_active=True, is_superuser=True)
    fields = flatten_fieldsets(model_admin.get_fieldsets(request, None))
    return [one for one in (*model_admin.list_display, *fields) if callable(one)]


@pytest.mark.django_db
class TestLabels:
    @pytest.mark.parametrize("model_admin", OURS, ids=lambda one: one.model.__name__)
    def test_are_in_the_language_of_the_reader(self, model_admin: Any) -> None:
        for column in columns_of(model_admin):
            with translation.override("en"):
                english = str(label_for_field(column, model_admin.model, model_admin))
            with translation.override("ar"):
                assert label_for_field(column, model_admin.model, model_admin) != english
