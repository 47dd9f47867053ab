"""The vendor's API again, told from the contract alone: stateful, strict, with faults to switch on.

Standard library only; imports nothing else from this package, so that the two can't share a
mistake. `python -m creatify_textgen.emulator --help` starts it from a terminal.
"""

from .emulator import Emulator
from .switches import SWITCHES, SwitchError

__all__ = ["SWITCHES", "Emulator", "SwitchError"]
