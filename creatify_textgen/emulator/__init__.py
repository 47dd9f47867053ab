"""A server that behaves as the Creatify API does by its contract, with faults to switch on.

It keeps state and refuses what the contract refuses. It uses the standard library only and
imports nothing else from this package, so that the two cannot share a mistake.
`python -m creatify_textgen.emulator --help` shows how to start it from a terminal.
"""

from .driving.emulator import Emulator
from .faults.switch import SwitchError
from .faults.switches import SWITCHES

__all__ = ["SWITCHES", "Emulator", "SwitchError"]
