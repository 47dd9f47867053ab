"""Below a longer prefix, under a namespace of the host's choice, with both parts of `contrib`."""

from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.hosts.mounted_urls"
INSTALLED_APPS = [
    *INSTALLED_APPS,  # noqa: F405
    "creatify_textgen.contrib.opentelemetry",
    "creatify_textgen.contrib.prometheus",
]
