"""What an object store's answers mean in our error tree; the SDK returns errors, obstore raises them."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Iterator
from typing import Any

from obstore.exceptions import BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError

from aimass.core.errors import AimassError, NotAllowedError, NotFoundError, UnreachableError

DENIED = {
    "AccessDenied": "Grant the key's owner the right to list and read the bucket",
    "InvalidAccessKeyId": "Check the access key of the connection",
    "SignatureDoesNotMatch": "Check the secret key of the connection, and its region",
    "ExpiredToken": "Renew the temporary keys, or let credentials be ecs, oidc or chain",
    "VirtualHostDomainRequired": "Set addressing to virtual: OBS takes the bucket in the host's name only",
}
CODE = re.compile(r"<Code>([^<]+)</Code>\s*<Message>([^<]*)</Message>")
CERTIFICATE = re.compile(
    r"(invalid peer certificate|InvalidCertificate|certificate verify failed)[^\n)]*\)?", re.IGNORECASE
)
DENIED_STATUS = (401, 403)
SUCCESS_STATUS = 300


@contextlib.contextmanager
def asking(doing: str) -> Iterator[None]:
    """Turn what obstore, the SDK and the network raise while `doing` something into our errors.

    Raises
    ------
    NotFoundError
        There is no such bucket or object; ``details["code"]`` says which.
    NotAllowedError
        The keys are wrong or may not do this, or the server's certificate is not to be trusted.
    UnreachableError
        Nobody answers, or not as they should.
    """
    try:
        yield
    except (BaseError, OSError) as error:
        raise translated(error, doing) from None


def translated(error: BaseException, doing: str) -> AimassError:
    """Return our error for one that a library raised."""
    text = str(error)
    if isinstance(error, ssl.SSLError) or CERTIFICATE.search(text):
        found = CERTIFICATE.search(text)
        return NotAllowedError(
            f"The server's certificate is refused while {doing}: {found.group(0) if found else text}",
            expected="a certificate for the endpoint's host name, signed by a public authority or that in `ca_file`",
            hint="Check endpoint and ca_file of the connection",
        )
    if isinstance(error, PreconditionError):
        return NotFoundError(f"The object is no longer the same while {doing}", code="PreconditionFailed")
    answer = CODE.search(text)
    if answer:
        return _from_code(answer.group(1), answer.group(2), doing)
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"There is no such object while {doing}", code="NoSuchKey")
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
        return NotAllowedError(f"Access denied while {doing}", hint=DENIED["AccessDenied"])
    return UnreachableError(
        f"No answer while {doing}: {_brief(text)}",
        hint="Check the endpoint of the connection and that it runs, then retry",
    )


def checked(answer: Any, doing: str) -> Any:
    """Return the body of an answer of Huawei's SDK, which never raises what the server refused.

    Raises
    ------
    NotFoundError, NotAllowedError, UnreachableError
        As `asking` says.
    """
    if answer.status < SUCCESS_STATUS:
        return answer.body
    if answer.errorCode:
        raise _from_code(answer.errorCode, answer.errorMessage or "", doing)
    if answer.status in DENIED_STATUS:
        raise NotAllowedError(f"Access denied while {doing}", hint=DENIED["AccessDenied"])
    raise UnreachableError(f"The server answered {answer.status} {answer.reason} while {doing}", hint="Retry later")


def _from_code(code: str, message: str, doing: str) -> AimassError:
    said = f"{code} while {doing}: {message}" if message else f"{code} while {doing}"
    if code in ("NoSuchBucket", "NoSuchKey"):
        return NotFoundError(said, code=code)
    if code in DENIED or "virtual host domain" in message.lower():
        return NotAllowedError(said, hint=DENIED.get(code, DENIED["VirtualHostDomainRequired"]), code=code)
    return UnreachableError(said, hint="Retry; where it stays, ask who runs the server", code=code)


def _brief(text: str) -> str:
    """Return the first line, without the address and its query, of what may be pages."""
    line = text.split("\n", 1)[0].split("Debug source", 1)[0].strip()
    return re.sub(r"https?://\S+", "…", line)[:200]
