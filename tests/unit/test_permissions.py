"""Who may do what, also if the host's users know no permissions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser

from creatify_textgen.permissions import has_permission, is_staff_with

PLAIN = SimpleNamespace(is_active=True, is_staff=True)
"""A user model with `is_staff`, but without `PermissionsMixin`."""


class TestPermissions:
    @pytest.mark.parametrize("user", [PLAIN, AnonymousUser(), None])
    def test_are_no_ones_who_knows_none(self, user: object) -> None:
        assert not is_staff_with(user, "view_content")
        assert not has_permission(user, "creatify_textgen.view_content")

    def test_are_those_of_staff_alone(self) -> None:
        for is_staff in (True, False):
            user = SimpleNamespace(is_active=True, is_staff=is_staff, has_perm=lambda name: True)
            assert is_staff_with(user, "view_content") is is_staff
