"""The remote: where copies of what the pipeline made are kept, and what is wrong where it cannot be reached.

    ASCL_REMOTE, ASCL_REMOTE_ENDPOINT, ASCL_REMOTE_REGION    counts first: the environment of a worker or a container
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
SHOWN_IN_CLEAR = "credentials are written in clear: {}"
_SECRET = re.compile(r"(access_key_id|secret|session_token|password|account_key|sas_token|connection_string|sse_customer_key)")
_HINT = "take them out of the file, revoke them if it was ever pushed, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


@dataclass(frozen=True)
class Remote:
    """Where copies go."""

    name: str
    url: str
    """`s3://bucket/prefix`, or an absolute folder."""
    endpoint: str | None = None
    """Another S3 server than Amazon's; None leaves it to AWS_ENDPOINT_URL."""
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
        """What DVC is told of it; the copies that it brings are checked against their digests."""
        known = {"url": self.url, "endpointurl": self.endpoint, "region": self.region}
        timeouts = {"connect_timeout": "10", "read_timeout": "60"} if self.on_s3 else {}
        return {name: value for name, value in known.items() if value} | timeouts | {"verify": "true"}

    def __str__(self) -> str:
        more = [f"at {self.endpoint}"] if self.endpoint else []
        return " ".join([self.url, *more, *([f"in {self.region}"] if self.region else [])])


@dataclass(frozen=True)
class Secret:
    """A credential that stands in a configuration file."""

    file: str
    section: str
    key: str
    hint: str = _HINT

    def __str__(self) -> str:
        return f"{self.key} of [{self.section}] in {self.file}"


def make_remote(url: str, endpoint: str | None = None, region: str | None = None) -> Remote:
    """The remote at that place; `ConfigError` where it is none, or where a URL carries credentials."""
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
            raise ConfigError("not a place for copies", field="url", value=url, hint="give s3://BUCKET/PREFIX, or an absolute folder")
        return Remote(NAME, os.path.normpath(url))
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.=+-]+)*/?", url) or "/." in url:
        hint = "s3://BUCKET/PREFIX with letters, digits, dots, dashes and slashes"
        raise ConfigError("not a bucket with a prefix", field="url", value=url, hint=hint)
    return Remote(NAME, url.rstrip("/"), endpoint.rstrip("/") if endpoint else None, region)


def read_remote(root: Path, *, environment: bool = True) -> Remote | None:
    """The remote that counts here; None where there is none. `environment` False asks the files alone."""
    if environment and (named := from_environment()):
        return named
    settings = read_settings(root)
    name = settings.get("core", {}).get("remote", "")
    values = settings.get(f'remote "{name}"', {})
    if not (url := values.get("url")):
        return None
    if "://" not in url:
        url = os.path.normpath(root.resolve() / ".dvc" / url)
    return Remote(name, refuse_credentials(url, field="url"), values.get("endpointurl"), values.get("region"))


def from_environment() -> Remote | None:
    """The remote that the environment names, if it names one."""
    url = os.environ.get(VARIABLE)
    return make_remote(url, os.environ.get(f"{VARIABLE}_ENDPOINT"), os.environ.get(f"{VARIABLE}_REGION")) if url else None


def refuse_credentials(url: str | None, *, field: str) -> str:
    """The URL; `ConfigError`, which does not repeat it, where it has a key, a password or a token in it."""
    if url and has_credentials(url):
        hint = "leave them out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a credential helper of git"
        raise ConfigError("a URL with credentials in it", field=field, hint=hint)
    return url or ""


def read_settings(root: Path) -> dict[str, dict[str, str]]:
    """The sections of DVC's configuration of the repository, those of this machine over those of everybody; no quotes around a name."""
    merged: dict[str, dict[str, str]] = {}
    for file in FILES:
        for section, values in _sections(root / file):
            merged[section] = {**merged.get(section, {}), **values}
    return merged


def secrets_in_configuration(root: Path) -> list[Secret]:
    """Every credential in DVC's configuration of the repository."""
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
