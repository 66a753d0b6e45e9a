"""Asking the remote itself: whether it answers, lets us read, write and delete, and writes an object once where it is asked to."""

from __future__ import annotations

import errno
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.data.remote import s3_system
from tasks.repository.check import Check
from tasks.repository.remotes import Remote

_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_BODY = b"ascl remote check\n"
_BY_CODE = {
    "RequestTimeTooSkewed": (
        "the clock of this machine and that of the store differ too much",
        "set this machine's clock: timedatectl set-ntp true",
    ),
    "InvalidAccessKeyId": ("the store does not know this access key", f"check {_KEYS}"),
    "SignatureDoesNotMatch": ("the secret does not belong to the access key", f"check {_KEYS}"),
    "ExpiredToken": ("the credentials have expired", "sign in anew, or renew AWS_SESSION_TOKEN"),
    "NoSuchBucket": ("the bucket does not exist", "create it, or: ascl remote set s3://BUCKET/PREFIX"),
    "AccessDenied": (
        "access is denied",
        "have the owner of the bucket allow these credentials to list, read, write and delete under the prefix",
    ),
    "PermanentRedirect": ("the bucket is in another region", "ascl remote set … --region REGION"),
    "AuthorizationHeaderMalformed": ("the bucket is in another region", "ascl remote set … --region REGION"),
}
_BY_TYPE = {
    "NoCredentialsError": ("no credentials were found", f"set {_KEYS}"),
    "PartialCredentialsError": ("only half of the credentials was found", f"set {_KEYS}"),
    "ProfileNotFound": ("the profile of AWS_PROFILE does not exist", "aws configure list-profiles, or unset AWS_PROFILE"),
}


@dataclass(frozen=True)
class Fault:
    """Why a remote cannot be used now."""

    problem: str
    hint: str
    passing: bool
    """Whether it may be over in a moment, as where a server starts again."""


def fault(remote: Remote) -> Fault | None:
    """What is wrong with reaching the remote, found by one request; None where it answers as it should."""
    if not remote.on_s3:
        return None
    try:
        s3_system(remote.endpoint, remote.region).call_s3("list_objects_v2", Bucket=remote.bucket, MaxKeys=1)
    except Exception as error:  # of whichever layer of the client
        return fault_of(error, remote)
    return None


def fault_of(error: BaseException, remote: Remote) -> Fault:
    """What an error of an S3 client means; repeats nothing of it, as it may carry credentials."""
    for cause in _causes(error):
        code = str(getattr(cause, "response", {}).get("Error", {}).get("Code", ""))
        if code in _BY_CODE:
            return Fault(*_BY_CODE[code], passing=False)
        if type(cause).__name__ in _BY_TYPE:
            return Fault(*_BY_TYPE[type(cause).__name__], passing=False)
    if isinstance(error, PermissionError):
        return Fault(*_BY_CODE["AccessDenied"], passing=False)
    if isinstance(error, FileNotFoundError):
        return Fault(*_BY_CODE["NoSuchBucket"], passing=False)
    where = remote.endpoint or "AWS_ENDPOINT_URL"
    return Fault(
        f"the store does not answer ({type(error).__name__})", f"start it, or check {where}, the region and the network", passing=True
    )


def check_remote(remote: Remote) -> Iterator[Check]:
    """One check after the other, up to the first that fails; leaves nothing behind."""
    if not remote.on_s3:
        yield _folder(Path(remote.url))
        return
    if found := fault(remote):
        yield Check("reach", "error", found.problem, found.hint)
        return
    yield Check("reach", "ok", f"{remote} answers")
    system, path = s3_system(remote.endpoint, remote.region), f"{remote.url}/.probe-{uuid.uuid4().hex}"
    try:
        system.pipe_file(path, _BODY)
        yield Check("write", "ok", "an object was written")
        same = system.cat_file(path) == _BODY
        yield (
            Check("read", "ok", "it was read back")
            if same
            else Check("read", "error", "it came back as something else", "use another store")
        )
        yield _once(system, path)
        system.rm_file(path)
        yield Check("delete", "ok", "it was deleted")
    except Exception as error:  # of whichever layer of the client
        found = fault_of(error, remote)
        yield Check("use", "error", found.problem, found.hint)


def _once(system: Any, path: str) -> Check:
    """Whether the store keeps the first of two that create the same object."""
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
            "it overwrites an object in spite of If-None-Match",
            "two releases at a time may collide: update the store",
        )
    return Check("write once", "ok", "what exists is not overwritten where If-None-Match says so")


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
