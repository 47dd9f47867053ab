"""For tests of a host's code: a remote in this process that gives the answers that a test sets.

No other room imports it. The app's own code handles each request; only the connection and the
worker are replaced, during a `with` block.
"""

from creatify_textgen.testing.answers import FAULTS, Answer, Asked
from creatify_textgen.testing.stub import Stub, StubMixin

__all__ = ["FAULTS", "Answer", "Asked", "Stub", "StubMixin"]
