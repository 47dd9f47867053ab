"""A site with psycopg2 is lived in as every other host is."""

from __future__ import annotations

import os

import pytest

from tests.hosts.test_hosts import run_checks

URL = os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/")


@pytest.mark.service
class TestDriver:
    def test_that_is_psycopg2_is_lived_in(self) -> None:
        rows = "whole_way or is_streamed or is_swept or breaks_off"
        run_checks(
            "old_driver", "-k", rows, TEST_POSTGRES_URL=f"{URL}textgen_psycopg2_{os.getpid()}"
        )
