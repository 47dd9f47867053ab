"""Streams for browsers: views and the iterators they serve, over services and hub."""
