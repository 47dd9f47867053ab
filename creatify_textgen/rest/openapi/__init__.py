"""The OpenAPI document of our views, for hosts that use drf-spectacular.

Imported by `urls` only if drf-spectacular is installed. The views do not use it.
"""

from creatify_textgen.rest.openapi import conversations, endpoints, runs, streams

__all__ = ["conversations", "endpoints", "runs", "streams"]
