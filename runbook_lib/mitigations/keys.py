"""The approver's own key: what is approved with it can be checked by anybody who reads the archive."""

import base64
import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from runbook_lib.errors import SecretError


def path() -> Path:
    """RUNBOOK_KEY, else ~/.config/runbook/key."""
    named = os.environ.get("RUNBOOK_KEY")
    return Path(named).expanduser() if named else Path.home() / ".config" / "runbook" / "key"


def own() -> Ed25519PrivateKey:
    """This person's key, made at first use, readable by them alone. Raises SecretError where it cannot be read."""
    place = path()
    if not place.exists():
        _make(place)
    try:
        if place.stat().st_mode & 0o077:
            raise SecretError(f"key {place} can be read by others, so it proves nothing: chmod 600 {place}")
        key = load_pem_private_key(place.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SecretError(f"key {place} cannot be read: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SecretError(f"key {place} is no ed25519 key: remove it, and a new one is made")
    return key


def _make(place: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = place.with_name(f".{place.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        try:
            place.hardlink_to(draft)
        except FileExistsError:
            pass  # somebody else made it at the same moment: theirs is as good
        finally:
            draft.unlink()
    except OSError as error:
        raise SecretError(
            f"key {place} cannot be made: {error.strerror}; name another place with RUNBOOK_KEY"
        ) from error


def public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def fingerprint(public_key: str) -> str:
    """Short enough to be read out over the phone."""
    digest = hashlib.sha256(base64.b64decode(public_key)).hexdigest()[:16]
    return ":".join(digest[i : i + 4] for i in range(0, 16, 4))


def sign(key: Ed25519PrivateKey, message: str) -> str:
    return base64.b64encode(key.sign(message.encode())).decode()


def signed(public_key: str, message: str, signature: str) -> bool:
    """Whether the holder of the key signed exactly this message."""
    try:
        raw = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
        raw.verify(base64.b64decode(signature), message.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
