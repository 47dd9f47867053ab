from __future__ import annotations

from importlib.util import find_spec

NEEDED = {
    "test_pools.py": "gevent",
    "test_driver.py": "psycopg2",
    "test_tenants.py": "django_tenants",
}

collect_ignore = [file for file, package in NEEDED.items() if find_spec(package) is None]
