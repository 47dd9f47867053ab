"""`python -m example_project.demo`: the tour, then the site until Ctrl-C.

The exit code is 0 if everything worked. With ONCE=1 or without a terminal it ends after the tour.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
from pathlib import Path

from example_project.demo import screen
from example_project.demo.stack import Stack
from example_project.demo.tour import Tour, visit


def main() -> int:
    """Run the demo and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m example_project.demo", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=0, help="port of the site (default: a free one)"
    )
    parser.add_argument("--serve", action="store_true", help="skip the tour and serve until Ctrl-C")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="textgen-demo-") as folder:
            return run(Path(folder), port=options.port, serve_only=options.serve)
    except KeyboardInterrupt:
        screen.line("\nStopped.")
        return 130


def run(folder: Path, *, port: int, serve_only: bool) -> int:
    with Stack(folder, port=port) as stack:
        screen.line(f"The site runs at {stack.origin}, {_remote_name(stack)}.")
        troubles = [] if serve_only else tour(stack)
        screen.title("Try it yourself")
        screen.line(f"  assistant  {stack.origin}/")
        screen.line(f"  admin      {stack.origin}/admin/")
        screen.line(f"  login      {stack.user_name} / {stack.password}")
        if serve_only or _is_attended():
            serve()
    if troubles:
        screen.line(f"\nFailed: {', '.join(troubles)}")
    return 1 if troubles else 0


def tour(stack: Stack) -> list[str]:
    """Show everything. Return the names of the steps that failed."""
    with visit(stack.origin, name=stack.user_name, password=stack.password) as visitor:
        shown = Tour(visitor, stack.remote)
        shown.run()
        return shown.troubles


def serve() -> None:
    screen.line("\nServing until Ctrl-C.")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        screen.line("\nStopping.")


def _remote_name(stack: Stack) -> str:
    if stack.remote.has_webhooks:
        return "with the emulator as Creatify"
    return "with the real Creatify (this spends credits)"


def _is_attended() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("ONCE") != "1"


if __name__ == "__main__":
    sys.exit(main())
