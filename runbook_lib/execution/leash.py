"""A child process that never outlives the thread that started it (Linux)."""

import os
import sys

# PR_SET_PDEATHSIG in a process of its own that then becomes the child: it outlasts exec, needs no code between fork
# and exec, and works where ipykernel's polling thread does not (C code that holds the GIL).
LEASH = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def leashed(argv: list[str]) -> list[str]:
    """The command, killed when its parent dies."""
    return [sys.executable, "-I", "-S", "-c", LEASH, str(os.getpid()), *argv]
