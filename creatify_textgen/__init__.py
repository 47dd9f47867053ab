"""Text generation with Gemini models through the Creatify API, as a reusable Django app.

Nothing is imported here, so that `creatify_textgen.remote` works without a configured Django.
"""

__version__ = "0.2.0"
