"""The remote: where copies of what the pipeline makes are kept.

    ASCL_REMOTE, ASCL_REMOTE_ENDPOINT, ASCL_REMOTE_REGION    come first: the environment of a worker or a container
    .dvc/config.local                                        this machine: `ascl remote set`
    .dvc/config                                              everybody: `ascl remote set --shared`

Credentials are in none of them: an S3 client finds them in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE).
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ascl_core.data.remote import S3
from ascl_core.errors import ConfigError
from ascl_core.urls import has_credentials

NAME = "store"
"""The name under which `ascl remote set` writes a remote."""
VARIABLE = "ASCL_REMOTE"
FILES = (Path(".dvc") / "config", Path(".dvc") / "config.local")
CLEARTEXT = "credentials are written in clear text: {}"
_SECRET = re.compile(r"(access_key_id|secret|session_token|password|account_key|sas_token|connection_string|sse_customer_key)")
_HINT = "take them out of the file, revoke them if it was ever pushed, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


@dataclass(frozen=True)
class Remote:
    """A store of copies."""

    name: str
    url: str
    """`s3://bucket/prefix`, or an absolute folder."""
    endpoint: str | None = None
    """The URL of an S3 server; None for AWS_ENDPOINT_URL, or Amazon's."""
    region: str | None = None

    @property
    def on_s3(self) -> bool:
        """Whether it is a prefix on S3."""
        return self.url.startswith(S3)

    @property
    def bucket(self) -> str:
        """The bucket of a remote on S3."""
        return self.url.removeprefix(S3).partition("/")[0]

    @property
    def settings(self) -> dict[str, str]:
        """Its section in DVC's configuration; DVC verifies the digests of what it fetches."""
        known = {"url": self.url, "endpointurl": self.endpoint, "region": self.region}
        timeouts = {"connect_timeout": "10", "read_timeout": "60"} if self.on_s3 else {}
        return {name: value for name, value in known.items() if value} | timeouts | {"verify": "true"}

    def __str__(self) -> str:
        more = [f"at {self.endpoint}"] if self.endpoint else []
        return " ".join([self.url, *more, *([f"in {self.region}"] if self.region else [])])


@dataclass(frozen=True)
class Secret:
    """A credential in a configuration file."""

    file: str
    section: str
    key: str
    hint: str = _HINT

    def __str__(self) -> str:
        return f"{self.key} of [{self.section}] in {self.file}"


def make_remote(url: str, endpoint: str | None = None, region: str | None = None) -> Remote:
    """Return the remote at that URL or folder; `ConfigError` if it is neither, or if it contains credentials."""
    for field, value in (("url", url), ("endpoint", endpoint)):
        refuse_credentials(value, field=field)
    if endpoint and not re.fullmatch(r"https?://[^\s/?#]+/?", endpoint):
        raise ConfigError(
            "not the URL of a server", field="endpoint", value=endpoint, hint="such as https://s3.example.org or http://127.0.0.1:9000"
        )
    if region and not re.fullmatch(r"[a-z0-9-]+", region):
        raise ConfigError("not the name of a region", field="region", value=region, hint="such as eu-central-1")
    if not url.startswith(S3):
        if "://" in url or endpoint or region or not Path(url).is_absolute():
            raise ConfigError(
                "neither a prefix on S3 nor an absolute folder",
                field="url",
                value=url,
                hint="give s3://BUCKET/PREFIX, or an absolute folder",
            )
        return Remote(NAME, os.path.normpath(url))
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.=+-]+)*/?", url) or "/." in url:
        hint = "s3://BUCKET/PREFIX with letters, digits, dots, dashes and slashes"
        raise ConfigError("not a bucket with a prefix", field="url", value=url, hint=hint)
    return Remote(NAME, url.rstrip("/"), endpoint.rstrip("/") if endpoint else None, region)


def read_remote(root: Path, *, environment: bool = True) -> Remote | None:
    """Return the remote of this repository, if there is one; with `environment` False only the files count."""
    if environment and (named := from_environment()):
        return named
    settings = read_settings(root)
    name = settings.get("core", {}).get("remote", "")
    values = settings.get(f'remote "{name}"', {})
    if not (url := values.get("url")):
        return None
    if "://" not in url:
        url = dvc_path(root, url)
    return Remote(name, refuse_credentials(url, field="url"), values.get("endpointurl"), values.get("region"))


def from_environment() -> Remote | None:
    """Return the remote that the environment names, if any."""
    url = os.environ.get(VARIABLE)
    return make_remote(url, os.environ.get(f"{VARIABLE}_ENDPOINT"), os.environ.get(f"{VARIABLE}_REGION")) if url else None


def refuse_credentials(url: str | None, *, field: str) -> str:
    """Return the URL; `ConfigError`, which does not repeat it, if it contains a key, a password or a token."""
    if url and has_credentials(url):
        hint = "leave them out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a credential helper of git"
        raise ConfigError("a URL with credentials in it", field=field, hint=hint)
    return url or ""


def read_settings(root: Path) -> dict[str, dict[str, str]]:
    """Return the sections of DVC's configuration, those of this machine over the shared ones, without quotes around their names."""
    merged: dict[str, dict[str, str]] = {}
    for file in FILES:
        for section, values in _sections(root / file):
            merged[section] = {**merged.get(section, {}), **values}
    return merged


def dvc_path(root: Path, path: str) -> str:
    """Return the absolute path of one that DVC's configuration names relative to `.dvc`."""
    return os.path.normpath(root.resolve() / ".dvc" / path)


def secrets_in_configuration(root: Path) -> list[Secret]:
    """Return every credential in DVC's configuration of the repository."""
    return [
        Secret(str(file), section, key)
        for file in FILES
        for section, values in _sections(root / file)
        for key, value in values.items()
        if _SECRET.search(key) or has_credentials(value)
    ]


def _sections(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    parser = configparser.ConfigParser(interpolation=None, strict=False, default_section="")
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError("cannot be read as DVC's configuration", file=file, hint=f"git checkout -- {file}") from error
    for section in parser.sections():
        yield section.strip("'"), {key: value.strip("'\"") for key, value in parser[section].items()}
