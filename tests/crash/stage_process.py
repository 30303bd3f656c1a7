"""The door, with fail points: `python -m tests.crash.stage_process <arguments of python -m aimass.core>`."""

from __future__ import annotations

import sys

from aimass.core.__main__ import main
from tests.crash.killing import FileFailpoints

if __name__ == "__main__":
    sys.exit(main(failpoints=FileFailpoints()))
