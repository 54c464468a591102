"""The real Claude Code, where it is installed: by `make conformance`, or on the path."""

import os
import shutil
from pathlib import Path

import pytest

OURS = Path(__file__).parent.parent / ".ci" / "node_modules" / ".bin"
CLAUDE = shutil.which("claude", path=f"{OURS}{os.pathsep}{os.environ['PATH']}") or ""

needs_claude = pytest.mark.skipif(
    not CLAUDE, reason="Claude Code is not installed: `make conformance` installs it"
)
