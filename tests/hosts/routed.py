"""A site whose database `default` is somebody else's: its router sends everything elsewhere."""

from typing import Any

from tests.hosts.second_database import sqlite_file
from tests.settings import *  # noqa: F403
from tests.settings import DATABASES as ONE

DATABASES = {**ONE, "texts": sqlite_file("texts")}
DATABASE_ROUTERS = ["tests.hosts.routed.Router"]


class Router:
    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "texts"

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "texts"

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "texts"
