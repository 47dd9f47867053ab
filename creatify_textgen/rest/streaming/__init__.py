"""Streams for browsers: the views, and the iterators that send frames over HTTP."""
