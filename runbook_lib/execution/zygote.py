"""The process that kernels are forked from: it has imported what they need, and never runs a notebook itself.

`python -m runbook_lib.execution.zygote FD`; `warm` starts it and talks to it over the socket FD. It keeps to one
thread: forking is safe only then.
"""

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import random
import signal
import socket
import sys
import time
from contextlib import suppress

# Named, not imported: a kernel's libraries are no business of the process that conducts it.
PRELOADED = (
    "ipykernel.kernelapp",
    "ipykernel.debugger",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "PIL.PngImagePlugin",
    "numpy.random",
    "runbook_lib.session",
    "runbook_lib.charts",
)
FOLDERS = ("runbook_lib.drivers", "runbook_lib.sources", "runbook_lib.checks", "runbook_lib.diagnosis.causes")
DIES_WITH_PARENT = 1
"""PR_SET_PDEATHSIG."""


def main(channel: socket.socket) -> None:
    """Forks a kernel for each request until the other side is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _preload()
    gc.freeze()
    ours = os.getpid()
    while True:
        size, fds, _, _ = socket.recv_fds(channel, 8, 1)
        if not size:
            return
        request = _read(channel, int.from_bytes(size, "big"))
        if os.fork() == 0:
            channel.close()
            _mind(json.loads(request), fds[0], ours)
        os.close(fds[0])


def _preload() -> None:
    inside = [
        module.name
        for folder in map(importlib.import_module, FOLDERS)
        for module in pkgutil.walk_packages(folder.__path__, f"{folder.__name__}.")
    ]
    for name in (*PRELOADED, *inside):
        with suppress(ImportError):  # an extra that is not installed; whoever needs it is told in the notebook
            importlib.import_module(name)


def _read(channel: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = channel.recv(size - len(parts))
        if not part:
            sys.exit(1)
        parts += part
    return parts


def _mind(request: dict[str, object], told: int, parent: int) -> None:
    """Waits for the kernel and tells how it ended: a parent that only asks over a socket cannot."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _die_with(parent)
    ours = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        _die_with(ours)
        _become_kernel(request)
    with suppress(BrokenPipeError):
        os.write(told, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become_kernel(request: dict[str, object]) -> None:
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    environment, argv, cwd = request["env"], request["argv"], request["cwd"]
    assert isinstance(environment, dict)  # noqa: S101 - our own message
    assert isinstance(argv, list)  # noqa: S101 - our own message
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(str(cwd))
    time.tzset()
    random.seed()
    sys.modules["numpy"].random.seed()
    from ipykernel.kernelapp import launch_new_instance

    status = 1
    try:
        launch_new_instance(argv=argv)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        os._exit(status)


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
