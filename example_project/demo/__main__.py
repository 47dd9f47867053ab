"""`python -m example_project.demo`: the tour, then the site until Ctrl-C.

Exit code 0 where all went well. With ONCE=1 or without a terminal it ends after the tour.
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
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m example_project.demo", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=0, help="port of the site (default: a free one)"
    )
    parser.add_argument("--serve", action="store_true", help="no tour: serve until Ctrl-C")
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
        screen.title("See for yourself")
        screen.line(f"  admin  {stack.origin}/admin/")
        screen.line(f"  page   {stack.origin}/")
        screen.line(f"  login  {stack.user_name} / {stack.password}")
        if serve_only or _is_attended():
            serve()
    if troubles:
        screen.line(f"\nWent wrong: {', '.join(troubles)}")
    return 1 if troubles else 0


def tour(stack: Stack) -> list[str]:
    """Show everything; return the names of what went wrong."""
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
        return "its Creatify is the emulator"
    return "its Creatify is the real service (this spends credits)"


def _is_attended() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("ONCE") != "1"


if __name__ == "__main__":
    sys.exit(main())
