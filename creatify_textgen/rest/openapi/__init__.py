"""The OpenAPI document of our views, for hosts that use drf-spectacular.

Imported by `urls` only where that is installed; the views know nothing of it.
"""

from creatify_textgen.rest.openapi import endpoints, streams

__all__ = ["endpoints", "streams"]
