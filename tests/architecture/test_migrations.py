"""The migrations say what the models say."""

from __future__ import annotations

import pytest
from django.core.management import call_command


class TestMigrations:
    @pytest.mark.django_db
    def test_leave_nothing_to_make(self) -> None:
        call_command("makemigrations", "--check", "--dry-run", verbosity=0)
