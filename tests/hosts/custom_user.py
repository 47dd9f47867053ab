"""Users of the host's own, keyed by UUID."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.hosts.members"]  # noqa: F405
AUTH_USER_MODEL = "members.Member"
