"""The control groups this process is in, for each kind of limit: v1, v2, or both side by side.

Every group from the process's own up to the root of the mount can limit it. In a container the mount often shows only a
part of the tree, while /proc/self/cgroup may name groups outside of that part.

Sources: cgroups(7), proc_pid_mountinfo(5), and the kernel's cgroup-v2.rst.
"""

import os
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import NamedTuple


class Hierarchy(Enum):
    """Which generation of control groups a directory belongs to: their files have other names."""

    V1 = "v1"
    V2 = "v2"


def directories(controller: str, root: Path) -> Iterator[tuple[Path, Hierarchy]]:
    """The directories of the groups that `controller` ("memory", "cpu") can limit, each hierarchy's own group first.

    `root` is where the file system begins, which is / but in tests. Nothing where there are no control groups.
    """
    mounts: dict[Hierarchy, list[_Mount]] = {}
    for mount in _mounts(_text(root / "proc/self/mountinfo"), controller):
        mounts.setdefault(mount.hierarchy, []).append(mount)
    paths = dict(_paths(_text(root / "proc/self/cgroup"), controller))
    for hierarchy, path in paths.items():
        if hierarchy in mounts:
            for directory in _directories(root, path, mounts[hierarchy]):
                yield directory, hierarchy


_MOUNT = re.compile(r"\S+ \S+ \S+ (\S+) (\S+) .* - (cgroup2?) \S* (\S+)")


class _Mount(NamedTuple):
    hierarchy: Hierarchy
    root: str
    point: str


def _paths(text: str, controller: str) -> Iterator[tuple[Hierarchy, str]]:
    """The group in each hierarchy that has the controller, from /proc/self/cgroup."""
    for line in text.split("\n"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            yield Hierarchy.V1, path
        elif number == "0" and not controllers:
            yield Hierarchy.V2, path


def _mounts(text: str, controller: str) -> Iterator[_Mount]:
    """The mounted hierarchies that can have the controller, from /proc/self/mountinfo."""
    for line in text.split("\n"):
        if match := _MOUNT.fullmatch(line):
            root, point, kind, options = match.groups()
            if kind == "cgroup2" or controller in options.split(","):
                hierarchy = Hierarchy.V2 if kind == "cgroup2" else Hierarchy.V1
                yield _Mount(hierarchy, _unescaped(root), _unescaped(point))


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _directories(root: Path, path: str, mounts: list[_Mount]) -> Iterator[Path]:
    """The group at `path` and those above it, as far as the mount that shows most of them does."""
    shown = [(names, mount.point) for mount in mounts if (names := _below(path, mount.root)) is not None]
    # where no mount shows the group, as in some containers, the root of one is all that can be seen of it
    names, point = max(shown, key=lambda it: len(it[0]), default=((), mounts[0].point))
    for depth in range(len(names), -1, -1):
        yield root.joinpath(point.lstrip("/"), *names[:depth])


def _below(path: str, root: str) -> tuple[str, ...] | None:
    """The names that lead from `root` to `path`; None if it isn't there."""
    group = PurePosixPath(path)
    return group.relative_to(root).parts if group.is_relative_to(root) and ".." not in group.parts else None


def _text(path: Path) -> str:
    try:
        return os.fsdecode(path.read_bytes())
    except OSError:
        return ""
