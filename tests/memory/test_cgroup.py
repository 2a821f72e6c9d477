from pathlib import Path

import pytest

from swell.memory.cgroup import GroupMemory, find_groups, own_groups

MB = 1_000_000
NONE_V1 = (1 << 63) - 4096
V1_MOUNT = "35 31 0:32 {root} {point} rw,nosuid shared:9 - cgroup cgroup rw,memory"
V2_MOUNT = "41 31 0:38 {root} {point} rw,relatime - cgroup2 cgroup2 rw,nsdelegate"
OTHER_MOUNTS = """\
23 1 254:0 / / rw,relatime - ext4 /dev/root rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
"""


class Tree:
    """A file system with what the kernel tells about control groups."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def process(self, cgroup: str, *mounts: str) -> None:
        (self.root / "proc/self").mkdir(parents=True)
        (self.root / "proc/self/cgroup").write_text(cgroup)
        (self.root / "proc/self/mountinfo").write_text(OTHER_MOUNTS + "".join(f"{mount}\n" for mount in mounts))

    def write(self, directory: str, files: dict[str, object]) -> None:
        path = self.root / directory.lstrip("/")
        path.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (path / name).write_text(f"{content}\n")

    def v1(self, directory: str, limit: object, used: int = 0, inactive: int = 0, active: int = 0) -> None:
        own = "cache 7\ninactive_file 1\nactive_file 5"
        stat = f"{own}\ntotal_cache 9\ntotal_inactive_file {inactive}\ntotal_active_file {active}\ntotal_rss 4"
        self.write(directory, {"memory.limit_in_bytes": limit, "memory.usage_in_bytes": used, "memory.stat": stat})

    def v2(
        self, directory: str, limit: object, used: int = 0, inactive: int = 0, high: object = "max", active: int = 0
    ) -> None:
        stat = f"anon 7\nfile 8\nworkingset_inactive_file 3\ninactive_file {inactive}\nactive_file {active}"
        self.write(directory, {"memory.max": limit, "memory.high": high, "memory.current": used, "memory.stat": stat})

    def read(self) -> list[GroupMemory]:
        return [memory for group in find_groups(self.root) if (memory := group.read())]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def v1_mount(root: str = "/", point: str = "/sys/fs/cgroup/memory") -> str:
    return V1_MOUNT.format(root=root, point=point)


def v2_mount(root: str = "/", point: str = "/sys/fs/cgroup") -> str:
    return V2_MOUNT.format(root=root, point=point)


def test_v1_every_level_counts(tree: Tree) -> None:
    tree.process("5:cpu,cpuacct:/other\n4:memory:/a/b\n", v1_mount())
    tree.v1("/sys/fs/cgroup/memory", NONE_V1)
    tree.v1("/sys/fs/cgroup/memory/a", 900 * MB, 800 * MB, 50 * MB)
    tree.v1("/sys/fs/cgroup/memory/a/b", 500 * MB, 100 * MB, 20 * MB)
    tree.v1("/sys/fs/cgroup/memory/other", 1)
    inner, outer = tree.read()
    assert inner == GroupMemory(500 * MB, 100 * MB, 20 * MB)
    assert outer == GroupMemory(900 * MB, 800 * MB, 50 * MB)
    assert (inner.free_bytes, outer.free_bytes) == (420 * MB, 150 * MB)


def test_v2_every_level_counts(tree: Tree) -> None:
    tree.process("0::/user.slice/app.scope\n", v2_mount())
    tree.write("/sys/fs/cgroup", {"memory.stat": "inactive_file 1"})
    tree.v2("/sys/fs/cgroup/user.slice", 900 * MB, 300 * MB, 10 * MB)
    tree.v2("/sys/fs/cgroup/user.slice/app.scope", "max")
    assert tree.read() == [GroupMemory(900 * MB, 300 * MB, 10 * MB)]


@pytest.mark.parametrize(("limit", "high"), [("max", 400 * MB), (500 * MB, 400 * MB), (400 * MB, "max")])
def test_v2_the_lower_of_both_limits_holds(tree: Tree, limit: object, high: object) -> None:
    tree.process("0::/\n", v2_mount())
    tree.v2("/sys/fs/cgroup", limit, 100 * MB, high=high)
    assert [memory.free_bytes for memory in tree.read()] == [300 * MB]


def test_hybrid_has_memory_in_v1(tree: Tree) -> None:
    tree.process("4:memory:/a\n1:name=systemd:/s\n0::/s\n", v1_mount(), v2_mount(point="/sys/fs/cgroup/unified"))
    tree.v1("/sys/fs/cgroup/memory/a", 500 * MB)
    tree.write("/sys/fs/cgroup/unified/s", {"cgroup.procs": "1"})
    assert [memory.limit_bytes for memory in tree.read()] == [500 * MB]


def test_hybrid_has_memory_in_v2(tree: Tree) -> None:
    tree.process("1:name=systemd:/s\n0::/s\n", v2_mount(point="/sys/fs/cgroup/unified"))
    tree.v2("/sys/fs/cgroup/unified/s", 500 * MB)
    assert [memory.limit_bytes for memory in tree.read()] == [500 * MB]


@pytest.mark.parametrize("path", ["/docker/1f", "/", "/../other", "/kubepods/pod7"])
def test_in_a_container_the_root_of_the_mount_holds(tree: Tree, path: str) -> None:
    tree.process(f"4:memory:{path}\n", v1_mount(root="/docker/1f"))
    tree.v1("/sys/fs/cgroup/memory", 500 * MB)
    assert [memory.limit_bytes for memory in tree.read()] == [500 * MB]


def test_in_a_container_groups_below_its_own_are_found(tree: Tree) -> None:
    tree.process("0::/docker/1f/inner\n", v2_mount(root="/docker/1f"))
    tree.v2("/sys/fs/cgroup", 500 * MB)
    tree.v2("/sys/fs/cgroup/inner", 300 * MB)
    tree.v2("/sys/fs/cgroup/docker/1f/inner", 1)
    assert [memory.limit_bytes for memory in tree.read()] == [300 * MB, 500 * MB]


def test_in_a_namespace_a_path_that_leaves_it_stays_at_the_mount(tree: Tree) -> None:
    tree.process("0::/../sibling\n", v2_mount())
    tree.v2("/sys/fs/cgroup", 500 * MB)
    tree.v2("/sys/fs/sibling", 1)
    assert [memory.limit_bytes for memory in tree.read()] == [500 * MB]


def test_of_several_mounts_the_one_that_shows_most_is_read(tree: Tree) -> None:
    tree.process(
        "0::/a/b\n", v2_mount("/x", "/mnt/x"), v2_mount("/a", "/mnt/a"), v2_mount(), v2_mount("/a/b", "/mnt/b")
    )
    for directory in ("/mnt/x", "/mnt/a/b", "/mnt/b"):
        tree.v2(directory, 1)
    tree.v2("/sys/fs/cgroup/a/b", 300 * MB)
    tree.v2("/sys/fs/cgroup/a", 500 * MB)
    assert [memory.limit_bytes for memory in tree.read()] == [300 * MB, 500 * MB]


def test_names_with_spaces_and_colons(tree: Tree) -> None:
    tree.process("0::/a:b c\n", v2_mount(point="/sys/fs/my\\040groups"))
    tree.v2("/sys/fs/my groups/a:b c", 500 * MB)
    assert [memory.limit_bytes for memory in tree.read()] == [500 * MB]


def test_an_overdrawn_group_has_nothing_free() -> None:
    assert GroupMemory(limit_bytes=10, used_bytes=30, cached_bytes=5).free_bytes == 0


def test_a_limit_holds_even_where_its_use_is_not_told(tree: Tree) -> None:
    tree.process("0::/a\n", v2_mount())
    tree.write("/sys/fs/cgroup/a", {"memory.max": 500 * MB})
    assert tree.read() == [GroupMemory(500 * MB, 0, 0)]


def test_files_that_cannot_be_read_limit_nothing(tree: Tree) -> None:
    tree.process("0::/a/b\n", v2_mount())
    tree.v2("/sys/fs/cgroup/a", 500 * MB)
    (tree.root / "sys/fs/cgroup/a/b/memory.max").mkdir(parents=True)  # refuses root as well, unlike a mode
    assert [memory.limit_bytes for memory in tree.read()] == [500 * MB]


def test_a_group_that_goes_away_limits_nothing(tree: Tree) -> None:
    tree.process("0::/a\n", v2_mount())
    tree.v2("/sys/fs/cgroup/a", 500 * MB)
    (group,) = find_groups(tree.root)
    for path in (tree.root / "sys/fs/cgroup/a").iterdir():
        path.unlink()
    assert group.read() is None


def test_a_limit_that_changes_is_seen(tree: Tree) -> None:
    tree.process("0::/a\n", v2_mount())
    tree.v2("/sys/fs/cgroup/a", "max")
    (group,) = find_groups(tree.root)
    assert group.read() is None
    tree.v2("/sys/fs/cgroup/a", 500 * MB)
    assert group.read() == GroupMemory(500 * MB, 0, 0)


def test_no_control_groups_at_all(tree: Tree) -> None:
    assert find_groups(tree.root) == ()
    tree.process("")
    assert find_groups(tree.root) == ()


@pytest.mark.parametrize("cgroup", ["4:memory:/a\n", "0::/a\n", "nonsense\n\n:::\n"])
def test_groups_that_are_not_mounted(tree: Tree, cgroup: str) -> None:
    tree.process(cgroup, "truncated", "1 2 3 - cgroup2")
    assert find_groups(tree.root) == ()


def test_the_real_ones_can_be_read() -> None:
    for group in own_groups():
        memory = group.read()
        assert memory is None or memory.limit_bytes > 0


def test_cache_is_free_whether_it_was_used_lately_or_not(tree: Tree) -> None:
    tree.process("4:memory:/\n0::/\n", v1_mount(), v2_mount(point="/sys/fs/cgroup/unified"))
    tree.v1("/sys/fs/cgroup/memory", 500 * MB, 400 * MB, 20 * MB, active=100 * MB)
    tree.v2("/sys/fs/cgroup/unified", 600 * MB, 400 * MB, 10 * MB, active=50 * MB)
    assert [memory.free_bytes for memory in tree.read()] == [220 * MB, 260 * MB]
