"""A site on PostgreSQL with psycopg2, which Django uses only if psycopg 3 is missing."""

import os
import sys

sys.modules["psycopg"] = None  # type: ignore[assignment]

from tests.databases import database_from_url  # noqa: E402
from tests.settings import *  # noqa: E402, F403

DATABASES = {"default": database_from_url(os.environ["TEST_POSTGRES_URL"])}
