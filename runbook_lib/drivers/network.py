"""What the operating system says when a connection fails, as an outcome; the same for every system."""

import errno
import socket
import ssl

from runbook_lib.model import Outcome

BY_ERRNO = {
    errno.ECONNREFUSED: Outcome.REFUSED,
    errno.ECONNRESET: Outcome.REFUSED,
    errno.ECONNABORTED: Outcome.REFUSED,
    errno.EPIPE: Outcome.REFUSED,
    errno.ENOENT: Outcome.REFUSED,
    errno.ETIMEDOUT: Outcome.TIMED_OUT,
    errno.EHOSTUNREACH: Outcome.TIMED_OUT,
    errno.ENETUNREACH: Outcome.TIMED_OUT,
}


def outcome(error: BaseException | None) -> Outcome | None:
    """By the type and errno of the error, or of the first one in what it was raised from; None: it was not the network.

    >>> str(outcome(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")))
    'refused'
    """
    while error is not None:
        if isinstance(error, socket.gaierror):
            return Outcome.DNS
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return Outcome.REFUSED
        if isinstance(error, ssl.SSLError):
            return Outcome.TLS
        if isinstance(error, OSError) and error.errno in BY_ERRNO:
            return BY_ERRNO[error.errno]
        if isinstance(error, TimeoutError):
            return Outcome.TIMED_OUT
        error = error.__cause__ or error.__context__
    return None
