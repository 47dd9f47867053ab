"""Values in `ACCOUNTS` that lead to the value itself: callables, and dotted paths of callables.

A key is text, too, so `is_dotted_path` is the one rule for what may be imported. Reads no setting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

__all__ = ["is_dotted_path", "resolve"]


def is_dotted_path(value: Any) -> bool:
    """Return whether this may be a dotted path, such as `example.keys.api_key`.

    Most keys and all URLs have characters that no path has, or a dot at an end.
    """
    parts = value.split(".") if isinstance(value, str) else []
    return len(parts) > 1 and all(part.isidentifier() for part in parts)


def resolve(value: Any) -> Any:
    """Import a dotted path, and call the value if it is callable.

    A string that cannot be imported is returned unchanged, because a key may contain a dot.
    Raises: ImproperlyConfigured if the module or the callable raises.
    """
    if is_dotted_path(value):
        try:
            value = import_string(value)
        except ImportError:
            return value
        except Exception as error:
            problem = (
                "A dotted path in CREATIFY_TEXTGEN['ACCOUNTS'] leads to a module that raised "
                f"{type(error).__name__} when it was imported."
            )
            raise ImproperlyConfigured(problem) from error
    return _call(value) if callable(value) else value


def _call(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except ImproperlyConfigured:
        raise
    except Exception as error:
        # Without the callable's message: the client of a vault may quote the secret.
        problem = f"A callable in CREATIFY_TEXTGEN['ACCOUNTS'] raised {type(error).__name__}."
        raise ImproperlyConfigured(problem) from error
