"""The remote: where copies of what the pipeline makes are kept.

    ASCL_REMOTE, ASCL_REMOTE_ENDPOINT, ASCL_REMOTE_REGION    come first: the environment of a worker or a container
    .dvc/config.local                                        this machine: `ascl remote set`
    .dvc/config                                              everybody: `ascl remote set --shared`
    DVC's configuration of the user and of the system        last, as for DVC itself

Credentials are in none of them: an S3 client finds them in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import refuse_conflict
from ascl_core.data.remote import S3
from ascl_core.errors import ConfigError
from ascl_core.urls import has_credentials
from tasks.registry.paths import DVC_CONFIG, DVC_FOLDER, DVC_LOCAL_CONFIG

NAME = "store"
"""The name under which `ascl remote set` writes a remote."""
VARIABLE = "ASCL_REMOTE"
FILES = (DVC_CONFIG, DVC_LOCAL_CONFIG)
CLEARTEXT = "credentials are written in clear text: {}"
_SECRET = re.compile(r"(access_key_id|secret|session_token|password|account_key|sas_token|connection_string|sse_customer_key)")
_SET = "ascl remote set s3://BUCKET/PREFIX, or an absolute folder"
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

    def is_outside(self, root: Path) -> bool:
        """Return whether its copies lie outside of the repository; those of a new clone lie in its `.ascl/remote`."""
        return "://" in self.url or not Path(self.url).resolve().is_relative_to(root.resolve())

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
    if not (name := settings["core"].get("remote", "")):
        return None
    values = _resolved(settings["remote"], name)
    if not (url := values.get("url")):
        file = _file_of(root, ["core", "remote"])
        raise ConfigError("names no remote that is configured", file=file, field="core.remote", value=name, hint=_SET)
    return Remote(name, refuse_credentials(url, field="url"), values.get("endpointurl"), values.get("region"))


def _resolved(remotes: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the settings of a remote; one at `remote://OTHER/PATH` has those of the other as well."""
    values = remotes.get(name, {})
    if not str(values.get("url", "")).startswith("remote://"):
        return values
    other, _, path = values["url"].removeprefix("remote://").partition("/")
    base = _resolved({key: value for key, value in remotes.items() if key != name}, other)
    return {**base, **values, "url": f"{base['url'].rstrip('/')}/{path}" if "url" in base else None}


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


def read_settings(root: Path) -> dict[str, Any]:
    """Return DVC's configuration as DVC reads it: system, user, repository and machine over each other, with absolute paths.

    The remotes are under `remote` by name. `ConfigError` names the file that cannot be read, and the key whose value DVC would refuse.
    """
    from dvc.config import Config, get_compiled_schema
    from voluptuous import MultipleInvalid

    folder = root.resolve() / DVC_FOLDER
    for path in (root / file for file in FILES):
        refuse_conflict(path.read_text(encoding="utf-8", errors="replace") if path.is_file() else "", path, ConfigError)
    try:
        settings = dict(Config(dvc_dir=str(folder), validate=False))
        get_compiled_schema()(settings)
        return settings
    except MultipleInvalid as error:
        first = error.errors[0]
        keys = [str(key) for key in first.path]
        file = _file_of(root, keys)
        value = refuse_credentials(str(_value_at(settings, keys) or ""), field=".".join(keys)) or None
        raise ConfigError(first.msg, file=file, field=".".join(keys), value=value, hint=f"correct it{_undo(file)}") from error
    except Exception as error:  # DVC lets the errors of its parsers through
        for file in _files(root):
            _load(file)
        raise ConfigError(
            f"cannot be read as DVC's configuration: {error}", file=folder, hint="dvc config --list, and correct it"
        ) from error


def secrets_in_configuration(root: Path) -> list[Secret]:
    """Return every credential in DVC's configuration of the repository, also in a file that DVC cannot read."""
    return [secret for file in FILES if (root / file).is_file() for secret in _secrets(root / file, str(file))]


def _secrets(path: Path, name: str) -> Iterator[Secret]:
    section = ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, assigned, value = line.partition("=")
        if heading := re.fullmatch(r"\s*\[(.*)\]\s*", line):
            section = heading[1].strip("'")
        elif assigned and (_SECRET.search(key) or has_credentials(value.strip().strip("'\""))):
            yield Secret(name, section, key.strip())


def _files(root: Path) -> list[Path]:
    """Return the files of DVC's configuration, the nearest last."""
    from dvc.config import Config

    return [*(Path(Config.get_dir(level)) / "config" for level in ("system", "global")), *(root / file for file in FILES)]


def _file_of(root: Path, keys: Sequence[str]) -> Path:
    """Return the file that decides a key of DVC's configuration, or if none has it, the section that it belongs to."""
    found = (file for depth in range(len(keys), 0, -1) for file in reversed(_files(root)) if _value_at(_load(file), keys[:depth]))
    return next(found, root / DVC_CONFIG)


def _value_at(settings: Mapping[str, Any], keys: Sequence[str]) -> Any:
    value: Any = settings
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _undo(file: Path) -> str:
    """Return how to undo a change of a configuration file; only the repository's own is one of git's."""
    return f", or git checkout -- {file}" if file.parts[-2:] == DVC_CONFIG.parts else ", or remove it"


def _load(file: Path) -> dict[str, Any]:
    """Return the sections of one file of DVC's configuration; empty if it does not exist."""
    from dvc.config import Config

    try:
        return dict(Config.load_file(str(file)))
    except FileNotFoundError:
        return {}
    except Exception as error:  # DVC lets the errors of its parsers through
        raise ConfigError("cannot be read as DVC's configuration", file=file, hint=f"correct it{_undo(file)}") from error
