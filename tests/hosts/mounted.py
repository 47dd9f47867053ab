"""Below a longer prefix and under a namespace of the host's choice."""

from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.hosts.mounted_urls"
