from pathlib import Path

import pytest
from tests.control_group import new_group
from tests.memory.test_cgroup import Tree, v1_mount, v2_mount

from swell.memory.kills import KillCounter


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path)
    made.write("/proc", {"vmstat": "nr_free_pages 8\noom_kill 70\nballoon_inflate 0"})
    return made


def counter(tree: Tree) -> int:
    return KillCounter(tree.root).now()


def test_v1_the_own_group_tells(tree: Tree) -> None:
    tree.process("4:memory:/a/b\n", v1_mount())
    for directory, kills in (("", 60), ("/a", 50), ("/a/b", 2), ("/a/b/c", 40)):
        control = f"oom_kill_disable 0\nunder_oom 0\noom_kill {kills}"
        tree.write(f"/sys/fs/cgroup/memory{directory}", {"memory.oom_control": control})
    assert counter(tree) == 2


def test_v2_the_own_group_tells_without_those_below(tree: Tree) -> None:
    tree.process("0::/a/b\n", v2_mount())
    for directory, kills in (("/a", 50), ("/a/b", 2)):
        local, all_below = (f"low 0\nhigh 0\nmax 9\noom 3\noom_kill {number}" for number in (kills, kills + 40))
        tree.write(f"/sys/fs/cgroup{directory}", {"memory.events.local": local, "memory.events": all_below})
    assert counter(tree) == 2


def test_v2_before_it_told_of_the_group_alone(tree: Tree) -> None:
    tree.process("0::/a\n", v2_mount())
    tree.write("/sys/fs/cgroup/a", {"memory.events": "oom 1\noom_kill 4\noom_group_kill 1"})
    assert counter(tree) == 4


def test_hybrid_has_memory_in_v1(tree: Tree) -> None:
    tree.process("4:memory:/a\n0::/a\n", v1_mount(), v2_mount(point="/sys/fs/cgroup/unified"))
    tree.write("/sys/fs/cgroup/unified/a", {"cgroup.procs": "1"})
    tree.write("/sys/fs/cgroup/memory/a", {"memory.oom_control": "oom_kill 2"})
    assert counter(tree) == 2


@pytest.mark.parametrize("told", ["", "oom_kill_disable 0\nunder_oom 0", "oom_kill many"])
def test_where_no_group_tells_the_machine_does(tree: Tree, told: str) -> None:
    tree.process("4:memory:/\n0::/\n", v1_mount(), v2_mount(point="/sys/fs/cgroup/unified"))
    tree.write("/sys/fs/cgroup/memory", {"memory.oom_control": told})
    assert counter(tree) == 70


def test_where_nothing_tells_there_are_none(tmp_path: Path) -> None:
    assert KillCounter(tmp_path).now() == 0


def test_a_kill_that_comes_later_is_counted(tree: Tree) -> None:
    tree.process("0::/a\n", v2_mount())
    tree.write("/sys/fs/cgroup/a", {"memory.events.local": "oom_kill 1"})
    counter = KillCounter(tree.root)
    tree.write("/sys/fs/cgroup/a", {"memory.events.local": "oom_kill 2"})
    assert counter.now() == 2


@pytest.mark.destructive
def test_a_real_kill_in_another_group_is_not_counted() -> None:
    own = KillCounter()
    before = own.now()
    with new_group() as group:
        group.have_one_killed()
    assert own.now() == before
