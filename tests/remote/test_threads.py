from tests.waiting import wait_until

from swell.processors.governor import Governor
from swell.processors.shares import Demands
from swell.remote.threads import ClientThreads


def test_a_client_has_its_threads_only_while_it_computes() -> None:
    demands = Demands.create(2)
    threads = ClientThreads(Governor(demands, 0, exact=3))
    assert threads.now == 3
    assert demands.others(1) == []
    assert threads.begin() == 3
    assert demands.others(1) == [3]
    threads.end()
    wait_until(lambda: demands.others(1) == [], "the threads are left to others")
