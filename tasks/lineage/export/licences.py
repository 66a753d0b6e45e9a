"""Licences as other tools read them: of the packages that are installed here, and of data sets."""

from __future__ import annotations

import hashlib
from importlib.metadata import Distribution
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclonedx.model.license import License

_LONGEST = 64
"""A longer `License` in a package's metadata is the licence's text, not its name."""
_OF_INSTALLER = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json")


def licences(names: list[str]) -> list[License]:
    """Return licences for CycloneDX: one expression if there is one name, else each as an SPDX id or a name.

    >>> [licence.value for licence in licences(["MIT OR Apache-2.0"])]
    ['MIT OR Apache-2.0']
    >>> [licence.id or licence.name for licence in licences(["MIT", "see its page"])]
    ['MIT', 'see its page']
    """
    from cyclonedx.contrib.license.factories import InvalidSpdxLicenseException, LicenseFactory

    factory = LicenseFactory()
    if len(names) == 1:
        return [factory.make_from_string(names[0])]
    found: list[License] = []
    for name in names:
        try:
            found.append(factory.make_with_id(name))
        except InvalidSpdxLicenseException:
            found.append(factory.make_with_name(name))
    return found


def spdx_url(licence: str) -> str:
    """Return the page of an SPDX licence; of another one its name.

    >>> spdx_url("CC-BY-4.0"), spdx_url("LicenseRef-own")
    ('https://spdx.org/licenses/CC-BY-4.0.html', 'LicenseRef-own')
    """
    from cyclonedx.spdx import fixup_id

    return f"https://spdx.org/licenses/{known}.html" if (known := fixup_id(licence)) else licence


def licences_of(package: Distribution) -> list[str]:
    """Return the licences in a package's metadata: its SPDX expression, else its name for them, else those of its classifiers."""
    values = package.metadata
    for key in ("License-Expression", "License"):
        said = str((values.get_all(key) or [""])[0]).strip()
        if said and said.upper() != "UNKNOWN" and len(said) <= _LONGEST and "\n" not in said:
            return [said]
    classifiers = [str(one).split(" :: ") for one in values.get_all("Classifier") or ()]
    return sorted({one[-1] for one in classifiers if one[0] == "License"})


def files_digest(package: Distribution) -> str | None:
    """Return one SHA-256 of a package's installed files, from the list in its wheel; None if it has no list.

    It is that of the lines `sha256=DIGEST,PATH` in order, without what the installer adds. So it is the same wherever this wheel is
    installed, whichever installer does it. It is not the SHA-256 of the wheel.
    """
    listed = sorted(
        f"{file.hash.mode}={file.hash.value},{file}\n"
        for file in package.files or ()
        if file.hash and not str(file).startswith("..") and file.name not in _OF_INSTALLER and file.suffix != ".pyc"
    )
    return hashlib.sha256("".join(listed).encode()).hexdigest() if listed else None
