"""Checks with tools of others: a function for each, in a file for each group, run by `benchmarks/interoperability.py`.

A check runs in an environment of its own that has its requirements and the standard library, not this project. So it imports its tool
inside the function, and a group imports this project only inside its `prepare`.

    checks = Checks()

    @checks.add("cyclonedx-python-lib", "cyclonedx-python-lib[validation]==11.12.0", tried="the bill against the strict schema")
    def bill(given: str) -> str:
        from cyclonedx.validation.json import JsonStrictValidator
        ...
        return "valid, 312 components"

`given` is what the group's `prepare` yields: a folder, or a server's URL. A check returns its result in a few words, and raises if the
tool refuses what it must accept, or accepts what it must refuse. The row names the version of the tool that was installed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Function = Callable[[str], str]


@dataclass(frozen=True)
class Check:
    """One tool of others, and what is tried with it."""

    tool: str
    """The name of its distribution, whose version the row has."""
    requirements: tuple[str, ...]
    tried: str
    """What is tried, as the table says it."""
    run: Function


@dataclass(frozen=True)
class Checks:
    """The checks of a group, by the name of their function, in the order of the table."""

    of: dict[str, Check] = field(default_factory=dict)

    def add(self, tool: str, *requirements: str, tried: str) -> Callable[[Function], Function]:
        """Register a function as a check that needs these packages; without any, it needs a program of the machine."""

        def register(function: Function) -> Function:
            self.of[function.__name__] = Check(tool, requirements, tried, function)
            return function

        return register
