"""For tests of a host's code: a remote in this process that answers what a test has set.

No other room imports it: what is sent goes the way of the app, and only the wire and the worker are
replaced, for the time of a `with` block.
"""

from creatify_textgen.testing.answers import FAULTS, Answer, Asked
from creatify_textgen.testing.stub import Stub, StubMixin

__all__ = ["FAULTS", "Answer", "Asked", "Stub", "StubMixin"]
