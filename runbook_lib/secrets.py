"""Secrets are named by reference, live in memory only, and are taken out of everything that is written or shown."""

import base64
import html
import importlib
import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from runbook_lib.errors import SecretError

MASK = "[redacted]"
SHORTEST = 6
SCHEMES = ("env:", "file:", "keyring:")
ANSI = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]")
PICTURES = ("image/", "audio/", "video/", "application/pdf", "application/octet-stream", "font/")
SUSPICIOUS_NAME = re.compile(
    r"(?i)(?:^|[_\-.])(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_\-]?key|private[_\-]?key|credentials?|auth)(?:$|[_\-.])"
)
# What secrets look like where nobody told us of them. Each pattern's group `keep` stays readable.
PATTERNS = tuple(
    re.compile(p)
    for p in (
        r"(?P<keep>[a-z][a-z0-9+.\-]{1,20}://[^\s:/@'\"<>]{0,80}:)[^\s@'\"<>]{1,256}(?=@)",
        r"(?i)(?P<keep>\bBearer\s+)[A-Za-z0-9\-._~+/]{12,4096}=*",
        r"(?i)(?P<keep>\bauthorization['\"]?\s*[:=]\s*['\"]?(?:Basic|OAuth|Token)\s+)[A-Za-z0-9\-._~+/]{8,4096}=*",
        r"(?i)(?P<keep>\bpassword\s+E?')(?:[^'\\]|''|\\.){1,256}(?=')",
        (
            r"(?i)(?P<keep>\b\w{0,40}(?:password|passwd|secret|api_?key|access_?token|auth_?token|private_?key)\w{0,20}"
            r"['\"]?\s{0,3}[=:]\s{0,3}(?:\\?[\"'])?)(?!\\?[\"']|env:|file:|keyring:)[^\s,;\"'\\&<>(){}\[\]]{6,256}"
        ),
        r"(?P<keep>)\bAKIA[0-9A-Z]{16}\b",
        r"(?P<keep>)\b(?:ghp|gho|ghs|github_pat|glpat|xox[abprs]|sk_live|rk_live)[_\-][A-Za-z0-9_\-]{16,255}",
        r"(?P<keep>)\beyJ[A-Za-z0-9_\-]{10,2048}\.eyJ[A-Za-z0-9_\-]{10,4096}\.[A-Za-z0-9_\-]{10,1024}",
        r"(?P<keep>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)[\s\S]{1,8192}?(?=-----END)",
    )
)


def is_reference(value: object) -> bool:
    return isinstance(value, str) and value.startswith(SCHEMES)


def resolve(reference: str) -> str:
    """Reads the secret that `env:NAME`, `file:PATH` or `keyring:SERVICE/NAME` names, and has it redacted from now on.

    Raises SecretError with the reference, never the value.
    """
    scheme, _, name = reference.partition(":")
    readers = {"env": _from_env, "file": _from_file, "keyring": _from_keyring}
    if scheme not in readers or not name:
        # The text itself may be the secret, so it is not shown.
        raise SecretError("a secret is named by reference: write env:NAME, file:PATH or keyring:SERVICE/NAME")
    value = readers[scheme](name)
    if len(value) < SHORTEST:
        raise SecretError(
            f"{reference} has {len(value)} characters; one shorter than {SHORTEST} cannot be kept out of the evidence"
        )
    redactor.add(value)
    return value


def _from_env(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise SecretError(f"env:{name} is not set: export {name} and try again")
    return value


def _from_file(name: str) -> str:
    path = Path(name).expanduser()
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SecretError(f"file:{name} cannot be read: {cause}") from error


def _from_keyring(name: str) -> str:
    service, _, user = name.partition("/")
    try:
        keyring = importlib.import_module("keyring")
    except ModuleNotFoundError as error:
        raise SecretError(f"keyring:{name} needs the extra: pip install 'runbook-lib[keyring]'") from error
    try:
        value = keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        raise SecretError(f"keyring:{name} cannot be read: {error}") from error
    if value is None:
        raise SecretError(f"keyring:{name} is not there: keyring set {service} {user}")
    return str(value)


def looks_secret(name: str, value: object) -> bool:
    """Whether a parameter must not be written down: by its name, or by the look of its value."""
    if not isinstance(value, str) or not value or is_reference(value):
        return False
    return bool(SUSPICIOUS_NAME.search(name)) or Redactor().redact(value) != value


def _spellings(value: str) -> Iterable[str]:
    """The forms in which a value turns up in URLs, JSON, HTML, Python source and HTTP headers."""
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(json.dumps(value)[1:-1])[1:-1]
    yield repr(value)[1:-1]
    yield html.escape(value)
    yield quote(value, safe="")
    yield quote(value)
    yield quote_plus(value)
    raw = value.encode("utf-8", "surrogatepass")
    for shift in range(3):
        # Only the characters that do not depend on the neighbours in a longer encoded text (user:password).
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        start, end = (0, 2, 3)[shift], len(encoded) - (0 if (len(raw) + shift) % 3 == 0 else 4)
        if end - start >= SHORTEST:
            yield encoded[start:end]


class Redactor:
    """Takes known secrets, in every usual spelling, and what looks like one, out of text and JSON-like values."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._spellings: set[str] = set()
        self._known: re.Pattern[str] | None = None
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        self._spellings.update(s for s in _spellings(secret) if len(s) >= SHORTEST)
        longest_first = sorted(self._spellings, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first)))

    @property
    def longest(self) -> int:
        return max(map(len, self._spellings), default=0)

    def redact(self, text: str) -> str:
        """
        >>> Redactor(["hunter2hunter2"]).redact("it is hunter2hunter2, or postgres://app:swordfish@db")
        'it is [redacted], or postgres://app:[redacted]@db'
        """
        safe = self._masked(text)
        if "\x1b" not in text:
            return safe
        # Colours go where they stand inside of a secret (a traceback colours each token).
        plain = ANSI.sub("", text)
        safe_plain = self._masked(plain)
        return safe_plain if safe_plain != plain else safe

    def _masked(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern in PATTERNS:
            text = pattern.sub(lambda m: m["keep"] + MASK, text)
        return text

    def clean(self, value: Any) -> Any:
        """The same for nested mappings, sequences and text; other values pass through."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, dict):
            return {self.clean(k): self.clean(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.clean(v) for v in value)
        return value

    def clean_display(self, value: Any, redact: Callable[[str], str] | None = None) -> Any:
        """The same for what a notebook shows, where pictures and the like, by their MIME type, are left as they are.

        `redact` may stand in for `self.redact`, to remember what it did with texts that come again and again.
        """
        redact = redact or self.redact
        if isinstance(value, str):
            return redact(value)
        if isinstance(value, dict):
            return {redact(k): v if _picture(k) else self.clean_display(v, redact) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean_display(v, redact) for v in value]
        return value

    def holdback(self, text: str) -> int:
        """How many characters at the end could be the beginning of a known secret, so must wait for more text."""
        for length in range(min(len(text), self.longest - 1), 0, -1):
            tail = text[-length:]
            if any(s.startswith(tail) for s in self._spellings):
                return length
        return 0


def _picture(key: str) -> bool:
    return key.startswith(PICTURES) and not key.startswith("image/svg")


redactor = Redactor()
"""The one of this process: `resolve` teaches it, everything that writes or shows asks it."""
