"""Ends the sandbox's processes when its supervisor is gone, whatever ended it.

Reads lines from stdin: `PID SIGNAL` adds a process, `PID 0` forgets it. At the end of input it sends each its signal,
and SIGKILL to what is left after 3 s. Only the standard library, so that it starts in some ten milliseconds.
"""

import os
import signal
import sys
import time

PATIENCE = 3.0


def send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wards: dict[int, int] = {}
    for line in sys.stdin:
        pid, number = map(int, line.split())
        wards[pid] = number
    left = [pid for pid, number in wards.items() if number and send(pid, number)]
    deadline = time.monotonic() + PATIENCE
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [pid for pid in left if send(pid, 0)]
    for pid in left:
        send(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
