"""Text generation with Gemini models through the Creatify API, as a reusable Django app.

Nothing is imported here, so that `creatify_textgen.remote` works where Django is not set up.
"""

__version__ = "0.1.0"
