"""Users with `is_staff`, without `PermissionsMixin`, and so without Django's admin."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [
    *(app for app in INSTALLED_APPS if app != "django.contrib.admin"),  # noqa: F405
    "tests.hosts.plain",
]
AUTH_USER_MODEL = "plain.Person"
MIGRATION_MODULES = {"plain": None}
ROOT_URLCONF = "tests.hosts.plain_urls"
LOGIN_URL = "/"
