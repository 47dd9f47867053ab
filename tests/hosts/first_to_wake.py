"""A site where it is tomorrow already."""

from tests.settings import *  # noqa: F403

TIME_ZONE = "Pacific/Kiritimati"
