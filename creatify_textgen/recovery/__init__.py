"""What waits or went wrong: the sweep, polls, adoption from the remote's list, reconciliation.

Never sends but through `dispatch`. Invariant: every row that is not final is processed here when
its time has come, whatever process died before.
"""
