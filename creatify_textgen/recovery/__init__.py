"""What waits or went wrong: the sweep, polls, adoption from the remote's list, reconciliation.

Sends only through `dispatch`. Invariant: every row that is not final is processed here once it is
due, even if the process that worked on it has died.
"""
