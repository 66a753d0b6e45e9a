"""A clock that jumps under the processes that it is set for: what they ask the system for the time of day is shifted by what a file says.

A library that is preloaded does it; libfaketime also meddles with sleeping, and breaks it for Python 3.11.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift(void) {
    char text[32] = {0};
    int file = open(SHIFT_FILE, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    return size > 0 ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int failed = syscall(SYS_gettimeofday, now, zone);
    if (!failed && now) now->tv_sec += shift();
    return failed;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
"""


@dataclass(frozen=True)
class ShiftedClock:
    """The clock of the processes that get its variable."""

    library: Path
    file: Path

    @property
    def variable(self) -> str:
        """The arguments of `env`."""
        return f"LD_PRELOAD={self.library}"

    def jump(self, seconds: int) -> None:
        """Have the time of day be so many seconds off from now on."""
        new = self.file.with_suffix(".new")
        new.write_text(str(seconds), encoding="utf-8")
        os.replace(new, self.file)


def make_shifted_clock(folder: Path) -> ShiftedClock:
    """A clock that is right until it jumps; the test is skipped where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    clock = ShiftedClock(folder / "clock.so", folder / "shift")
    command = [compiler, "-shared", "-fPIC", "-O2", f'-DSHIFT_FILE="{clock.file}"', "-x", "c", "-", "-o", str(clock.library)]
    subprocess.run(command, input=_SOURCE, text=True, check=True)
    return clock
