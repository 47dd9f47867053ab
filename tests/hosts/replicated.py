"""A site whose reads go to a replica, as in Django's guide; this one lags behind for ever."""

from typing import Any

from tests.hosts.second_database import sqlite_file
from tests.settings import *  # noqa: F403
from tests.settings import DATABASES as ONE

DATABASES = {**ONE, "replica": sqlite_file("replica")}
DATABASE_ROUTERS = ["tests.hosts.replicated.ReplicaRouter"]


class ReplicaRouter:
    """Sends the app's reads to the replica; the site's users from where they are written."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "replica" if model._meta.app_label == "creatify_textgen" else None

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "default"

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        return True
