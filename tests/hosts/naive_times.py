"""Times without a zone, in a country a quarter of an hour beside its neighbors."""

from tests.settings import *  # noqa: F403

USE_TZ = False
TIME_ZONE = "Asia/Kathmandu"
