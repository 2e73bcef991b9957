"""The sample of a limit is the same in every version and on every machine: runs are compared with older ones."""

from mmafflm.benchmark.benchmark import benchmark
from mmafflm.sampling import sample, shuffle_key
from tests.eval.tiny_tests import records_of


def test_the_sample_of_a_limit_never_changes() -> None:
    records = records_of(benchmark()["XED"].tasks[0], 40)
    assert [records.index(one) for one in sample(records, 6)] == [1, 9, 19, 26, 30, 38]


def test_the_place_in_a_shuffled_order_never_changes() -> None:
    assert shuffle_key(2505, "XED/ec/en/test/000001").hex() == "542d303d15a9796da6997aca3f47fcdf"
