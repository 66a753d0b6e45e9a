"""The public data sets that parameters name: which are missing on this machine, and their download.

A file is downloaded to a hidden file in the same folder, where an interrupted download goes on, and renamed once its SHA-256 is the pinned
one. Files of the hub are pinned by their revision instead; their checksums are not known.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ascl_core.artifacts import sha256_file
from ascl_core.catalogue import dataset
from ascl_core.catalogue.dataset import Dataset, Download
from ascl_core.config.params import Params
from ascl_core.config.sources import SourceConfig
from ascl_core.config.suites import SuiteConfig
from ascl_core.data.locations import EXTERNAL, expand, fetched_folder, is_own_page, is_url, patterns_of, pin_hint, split_files
from ascl_core.errors import ConfigError, DataError

MIRROR = "ASCL_DATA_MIRROR"
"""The variable that names a folder or URL with the same files as `FOLDER/FILE`, to be asked instead of their authors' pages."""


@dataclass(frozen=True)
class PublicSet:
    """One public data set as a source names it."""

    source: SourceConfig
    folder: Path
    """Where its files belong."""
    required: bool
    """Whether a run fails without it; a suite is otherwise reported as missing."""

    @property
    def known(self) -> Dataset:
        """Its entry in the catalogue."""
        return dataset(self.source.format)

    @property
    def reads_hub(self) -> bool:
        """Whether a run can read it from the hub without a download."""
        return is_own_page(self.source)

    @property
    def files(self) -> list[str]:
        """The files that are there, of the split or of the file that the source names."""
        named = Path(expand(str(self.source.path)))
        if not self.reads_hub and named != self.folder and named.suffix:
            return [str(named)] if named.exists() else []
        return split_files(self.folder, self.source)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to download."""
        return bool(self.files) and (self.reads_hub or not self.downloads)

    @property
    def downloads(self) -> tuple[Download, ...]:
        """Its files outside of the hub that are not there."""
        return tuple(one for one in self.known.downloads if not (self.folder / one.file).exists())


def public_sets(params: Params) -> list[PublicSet]:
    """Return the public data sets that the parameters read from the folder of public files, or from their own page of the hub."""
    wanted: list[tuple[SourceConfig, bool]] = [(source, True) for source in (*params.curate.sources, *params.build_sft.published)]
    return list(_sets([*wanted, *((suite, suite.required) for suite in params.suites.external)]))


def sets_named(formats: Sequence[str]) -> list[PublicSet]:
    """Return these public data sets as suites, with their default split; `ConfigError` names the nearest for an unknown one."""
    for name in formats:
        dataset(name)
    return list(_sets((SuiteConfig.model_validate({"format": name}), True) for name in formats))


def _sets(sources: Iterable[tuple[SourceConfig, bool]]) -> Iterator[PublicSet]:
    if is_url(expand(EXTERNAL)):
        return  # files are read from there, and no download goes there
    for source, required in sources:
        folder = fetched_folder(source)
        if folder is not None and (is_own_page(source) or _is_in(source, folder)):
            yield PublicSet(source, folder, required)


def _is_in(source: SourceConfig, folder: Path) -> bool:
    """Return whether a source names the folder, or a file in it, by the variable."""
    return str(source.path).startswith(EXTERNAL) and Path(os.path.normpath(expand(str(source.path)))).is_relative_to(
        os.path.normpath(folder)
    )


def missing(sets: Iterable[PublicSet]) -> list[PublicSet]:
    """Return those of which no file is there."""
    return [one for one in sets if not one.files]


def damaged(sets: Iterable[PublicSet]) -> list[tuple[Path, Download]]:
    """Return the files whose SHA-256 is not the pinned one."""
    return [
        (path, download)
        for one in sets
        for download in one.known.downloads
        if (path := one.folder / download.file).exists() and sha256_file(path) != download.sha256
    ]


class Unreachable(DataError):
    """A page cannot be reached, so that no other file of it is tried."""


def fetch(sets: Iterable[PublicSet], on_start: Callable[[PublicSet], None] = lambda _: None) -> dict[str, DataError]:
    """Download the files of the sets that are not there, with progress on standard error; return what failed, by the set's format.

    An interrupted download goes on. After a page could not be reached, it is not tried for other sets.
    """
    failed: dict[str, DataError] = {}
    unreachable: dict[str, Unreachable] = {}
    for one in sets:
        host = _host(one)
        if not one.is_complete and host in unreachable:
            failed[one.source.format] = unreachable[host]
        elif not one.is_complete and one.source.format not in failed:
            on_start(one)
            try:
                _fetch_set(one)
            except DataError as error:
                failed[one.source.format] = error
                if isinstance(error, Unreachable):
                    unreachable[host] = error
    return failed


def _fetch_set(wanted: PublicSet) -> None:
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # it would print a line for each retry
    if not wanted.known.downloads:
        _fetch_from_hub(wanted)
    for download in wanted.downloads:
        _fetch_file(download, wanted.folder)


def _host(wanted: PublicSet) -> str:
    """Return the host of the set's files; they are all on one."""
    downloads = wanted.known.downloads
    return str(urlsplit(_mirrored(downloads[0], wanted.folder.name)).hostname) if downloads else "the hub"


def _failure(error: Exception, file: str, hint: str) -> DataError:
    import httpx
    from huggingface_hub.errors import LocalEntryNotFoundError

    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | LocalEntryNotFoundError | ConnectionError):
        return Unreachable("cannot be reached", file=file, value=reason, hint=hint)
    return DataError(f"cannot be downloaded: {reason}", file=file, hint=hint)


def addresses(wanted: PublicSet) -> list[tuple[str, Path, str]]:
    """Return address, path and checksum of each file of the set that is not there, for a download by hand."""
    if wanted.known.downloads:
        return [(one.url, wanted.folder / one.file, f"sha256 {one.sha256}, {one.size:,} bytes") for one in wanted.downloads]
    hub = wanted.known.hub
    if hub is None or wanted.files:
        return []
    pattern = patterns_of(wanted.folder, wanted.source)[0]
    page = f"https://huggingface.co/datasets/{hub.id}"
    if hub.revision is None:
        return [(page, wanted.folder / pattern, "no revision of it is known: choose one")]
    return [(f"{page}/tree/{hub.revision}", wanted.folder / pattern, "pinned by its revision; its checksum is not known")]


def _fetch_file(download: Download, folder: Path) -> None:
    target = folder / download.file
    part = target.with_name(f".{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    if part.exists() and part.stat().st_size > download.size:
        part.unlink()
    url = _mirrored(download, folder.name)
    try:
        _download(url, part, download)
    except Exception as error:  # of the client, whichever it is
        hint = f"check the network and run it again, it goes on where it stopped; or put the file at {target}"
        raise _failure(error, url, hint) from error
    if (found := sha256_file(part)) != download.sha256:
        part.unlink()
        hint = f"it was removed; run it again, or get SHA-256 {download.sha256} from elsewhere and put it at {target}"
        raise DataError("is another file than the one that is pinned", file=url, field="sha256", value=found, hint=hint)
    os.replace(part, target)


def _download(url: str, part: Path, download: Download) -> None:
    if not is_url(url):
        shutil.copyfile(url, part)
        return
    from huggingface_hub.file_download import http_get

    with open(part, "ab") as file:
        http_get(url, file, resume_size=file.tell(), expected_size=download.size, displayed_filename=Path(download.file).name)


def _mirrored(download: Download, folder: str) -> str:
    mirror = os.environ.get(MIRROR)
    if not mirror:
        return download.url
    if is_url(mirror) and urlsplit(mirror).scheme not in ("http", "https"):
        raise ConfigError("neither a folder nor an http(s) address", field=MIRROR, value=mirror, hint="such as https://host/data")
    return f"{mirror.rstrip('/')}/{folder}/{download.file}"


def _fetch_from_hub(wanted: PublicSet) -> None:
    hub, split = wanted.known.hub, wanted.source.hub_split
    revision = wanted.source.revision or (hub.revision if hub else None)
    if hub is None or revision is None:
        raise DataError(
            "no revision of it is known", file=wanted.known.origin, field=f"source {wanted.source.name}", hint=pin_hint(wanted.source)
        )
    from huggingface_hub import snapshot_download

    patterns = list(patterns_of(wanted.folder, wanted.source))
    try:
        snapshot_download(hub.id, repo_type="dataset", revision=revision, allow_patterns=patterns, local_dir=wanted.folder)
    except Exception as error:  # of the hub's client, whichever it is
        terms = "it is gated: accept its terms on its page, and set HF_TOKEN" if hub.gated else "check the network, and run it again"
        raise _failure(error, wanted.known.origin, f"{terms}; or put its files into {wanted.folder}") from error
    shutil.rmtree(wanted.folder / ".cache", ignore_errors=True)  # what an interrupted download goes on from
    if not wanted.files:
        hint = f"put the file of the split {split} into {wanted.folder} by hand"
        raise DataError(f"its page has no file named {' or '.join(patterns)}", file=wanted.known.origin, value=revision, hint=hint)
