"""Everything that this package raises on purpose.

RunbookError                 exit status 1
|-- UsageError               2   bad input: what, where, what to do
|   |-- ParameterError           a parameter that is unknown, mistyped or looks like a secret
|   |-- ProfileError             a profile that does not load (file and line)
|   |-- SecretError              a secret reference that cannot be resolved
|   `-- ArchiveError             an archive that cannot be reached, or a record in it that is not there
|-- RefusedError             3   somebody or something said no
|   |-- WrongTargetError         the system that answers is proven not to be the incident's
|   `-- PlanRefusedError         approval, expiry, precondition, permission or lease is missing
|-- DriverError              1   a system could not be asked: carries a typed outcome
|-- RunFailedError           1   a notebook did not run to its end
|-- SandboxError             1   the sandbox could not do what it was told
`-- StateError               1   a record on disk that contradicts itself
"""


class RunbookError(Exception):
    """Root of the tree; its text is one line for a person, its class says the exit status."""

    exit_status = 1


class UsageError(RunbookError):
    exit_status = 2


class ParameterError(UsageError):
    pass


class ProfileError(UsageError):
    pass


class SecretError(UsageError):
    pass


class ArchiveError(UsageError):
    pass


class RefusedError(RunbookError):
    exit_status = 3


class WrongTargetError(RefusedError):
    pass


class PlanRefusedError(RefusedError):
    pass


class DriverError(RunbookError):
    """A system could not be asked.

    `outcome` is a value of `model.Outcome`, kept as text so that this module stays at the bottom.
    """

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


class RunFailedError(RunbookError):
    pass


class SandboxError(RunbookError):
    pass


class StateError(RunbookError):
    pass
