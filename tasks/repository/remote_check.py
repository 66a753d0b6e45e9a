"""Checks of a remote: whether it answers, allows to read, write and delete, and never overwrites an object on request."""

from __future__ import annotations

import errno
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ascl_core.data.remote import s3_system
from tasks.repository.remotes import Remote

_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_BODY = b"ascl remote check\n"
_BY_CODE = {
    "RequestTimeTooSkewed": (
        "the clocks of this machine and of the store differ too much",
        "set this machine's clock: timedatectl set-ntp true",
    ),
    "InvalidAccessKeyId": ("the store does not know this access key", f"check {_KEYS}"),
    "SignatureDoesNotMatch": ("the secret does not belong to the access key", f"check {_KEYS}"),
    "ExpiredToken": ("the credentials have expired", "sign in again, or renew AWS_SESSION_TOKEN"),
    "NoSuchBucket": ("the bucket does not exist", "create it, or: ascl remote set s3://BUCKET/PREFIX"),
    "AccessDenied": (
        "access is denied",
        "ask the owner of the bucket to let these credentials list, read, write and delete under the prefix",
    ),
    "PermanentRedirect": ("the bucket is in another region", "ascl remote set … --region REGION"),
    "AuthorizationHeaderMalformed": ("the bucket is in another region", "ascl remote set … --region REGION"),
}
_BY_TYPE = {
    "NoCredentialsError": ("no credentials were found", f"set {_KEYS}"),
    "PartialCredentialsError": ("only half of the credentials were found", f"set {_KEYS}"),
    "ProfileNotFound": ("the profile of AWS_PROFILE does not exist", "aws configure list-profiles, or unset AWS_PROFILE"),
}


@dataclass(frozen=True)
class Check:
    """One thing that a run needs of this machine or of a remote, and what was found."""

    name: str
    level: Literal["ok", "warning", "error"]
    found: str
    hint: str = ""


@dataclass(frozen=True)
class Fault:
    """Why a remote cannot be used now."""

    problem: str
    hint: str
    transient: bool
    """Whether a retry may succeed, as when a server restarts."""


def find_fault(remote: Remote) -> Fault | None:
    """Send one request to the remote and return why it fails; None if it is answered."""
    if not remote.on_s3:
        return None
    try:
        s3_system(remote.endpoint, remote.region).call_s3("list_objects_v2", Bucket=remote.bucket, MaxKeys=1)
    except Exception as error:  # from any layer of the client
        return explain(error, remote)
    return None


def explain(error: BaseException, remote: Remote) -> Fault:
    """Return what an error of an S3 client means, without its text, which may contain credentials."""
    for cause in _causes(error):
        code = str(getattr(cause, "response", {}).get("Error", {}).get("Code", ""))
        if code in _BY_CODE:
            return Fault(*_BY_CODE[code], transient=False)
        if type(cause).__name__ in _BY_TYPE:
            return Fault(*_BY_TYPE[type(cause).__name__], transient=False)
    if isinstance(error, PermissionError):
        return Fault(*_BY_CODE["AccessDenied"], transient=False)
    if isinstance(error, FileNotFoundError):
        return Fault(*_BY_CODE["NoSuchBucket"], transient=False)
    where = remote.endpoint or "AWS_ENDPOINT_URL"
    return Fault(
        f"the store does not answer ({type(error).__name__})", f"start it, or check {where}, the region and the network", transient=True
    )


def check_remote(remote: Remote) -> Iterator[Check]:
    """Yield one check after the other, up to the first that fails; leaves nothing behind."""
    if not remote.on_s3:
        yield _folder(Path(remote.url))
        return
    if found := find_fault(remote):
        yield Check("reach", "error", found.problem, found.hint)
        return
    yield Check("reach", "ok", f"{remote} answers")
    system, path = s3_system(remote.endpoint, remote.region), f"{remote.url}/.probe-{uuid.uuid4().hex}"
    try:
        system.pipe_file(path, _BODY)
        yield Check("write", "ok", "an object was written")
        is_intact = system.cat_file(path) == _BODY
        yield Check("read", "ok", "it was read back") if is_intact else Check("read", "error", "its bytes changed", "use another store")
        yield _once(system, path)
        system.rm_file(path)
        yield Check("delete", "ok", "it was deleted")
    except Exception as error:  # from any layer of the client
        found = explain(error, remote)
        yield Check("use", "error", found.problem, found.hint)


def _once(system: Any, path: str) -> Check:
    """Check that the store rejects the second of two requests that create the same object."""
    try:
        system.pipe_file(path, b"second\n", mode="create")
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    else:
        return Check(
            "write once",
            "warning",
            "it ignores If-None-Match and overwrites objects",
            "two simultaneous releases may collide: update the store",
        )
    return Check("write once", "ok", "If-None-Match prevents overwriting")


def _folder(folder: Path) -> Check:
    probe = folder / f".probe-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(_BODY)
        probe.unlink()
    except OSError as error:
        return Check("folder", "error", f"{folder} cannot be written to: {error.strerror}", "give yourself write permission, or mount it")
    return Check("folder", "ok", f"{folder} can be read and written to")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
