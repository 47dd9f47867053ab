"""System checks, run by `manage.py check` and before most commands.

They read settings and nothing else: no network, no database, and no call of a callable that a
host put in place of a key, which may ask a vault. Every id is listed in docs/settings.md.
"""

from creatify_textgen.checks.deployment import check_deployment
from creatify_textgen.checks.values import check_values

__all__ = ["check_deployment", "check_values"]
