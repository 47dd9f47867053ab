"""System checks, run by `manage.py check` and before most commands.

They only read settings: they use no network and no database. They do not call a callable that
stands in place of a key, because it may connect to a vault. docs/reference/settings.md
lists every id.
"""

from creatify_textgen.checks.deployment import check_deployment
from creatify_textgen.checks.values import check_values

__all__ = ["check_deployment", "check_values"]
