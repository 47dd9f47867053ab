"""System checks, run by `manage.py check` and before most commands.

They only read settings: they use no network and no database. If a key is a callable, they do not
call it, because it may connect to a vault. docs/reference/settings.md lists every id.
"""

from creatify_textgen.checks.deployment import check_deployment
from creatify_textgen.checks.values import check_values

__all__ = ["check_deployment", "check_values"]
