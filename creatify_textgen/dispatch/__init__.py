"""Brings one generation to its one accepted POST: intent, lease, send, answer.

Decides what an answer, or no answer, means for a row. It never decides that the remote did not
accept a request: `recovery` does. Invariant: nothing is sent without a lease.
"""
