"""What goes wrong, as the `Status` bodies that clients know."""

from typing import Any

from runbook_lib.sandbox.cluster.kinds import Kind


class ApiError(Exception):
    """Raised anywhere below a request; its `body` is the answer."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            **({"details": details} if details else {}),
            "code": code,
        }


def _details(kind: Kind, name: str) -> dict[str, Any]:
    return {"name": name, **({"group": kind.group} if kind.group else {}), "kind": kind.plural}


def not_found(kind: Kind, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def no_such_path() -> ApiError:
    message = "the server could not find the requested resource"
    return ApiError(404, "NotFound", message, {})


def already_exists(kind: Kind, name: str) -> ApiError:
    return ApiError(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> ApiError:
    why = why or ("the object has been modified; please apply your changes to the latest version and try again")
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(kind, name))


def forbidden(message: str, kind: Kind | None = None, name: str = "") -> ApiError:
    return ApiError(403, "Forbidden", message, _details(kind, name) if kind else {})


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def method_not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, {})


def unsupported_media(given: str, known: tuple[str, ...]) -> ApiError:
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(known)}"
    return ApiError(415, "UnsupportedMediaType", message + (f" (given: {given})" if given else ""))


def gone(message: str = "") -> ApiError:
    return ApiError(410, "Expired", message or "The resourceVersion for the provided watch is too old.")


def invalid(kind: Kind, name: str, causes: list[tuple[str, str, str]]) -> ApiError:
    """`causes` are (field, reason, message): `FieldValueRequired`, `FieldValueInvalid`, ..."""
    told = [f"{field}: {message}" for field, _, message in causes]
    joined = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    resource = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details = {
        **_details(kind, name),
        "kind": kind.kind,
        "causes": [{"reason": reason, "message": message, "field": field} for field, reason, message in causes],
    }
    return ApiError(422, "Invalid", f'{resource} "{name}" is invalid: {joined}', details)


def too_many_requests(message: str, seconds: int, causes: list[dict[str, str]] | None = None) -> ApiError:
    details: dict[str, Any] = {"retryAfterSeconds": seconds} if seconds else {}
    return ApiError(429, "TooManyRequests", message, {**details, **({"causes": causes} if causes else {})})


def success(kind: Kind, name: str, uid: str) -> dict[str, Any]:
    """The answer to a delete that removed at once."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**_details(kind, name), "uid": uid},
    }
