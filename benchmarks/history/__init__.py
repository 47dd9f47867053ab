"""A history of a million generations: `seed` makes it, `__main__` measures it."""
