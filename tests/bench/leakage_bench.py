"""Find leaks between the default mix (115,200 rows) and all 95,342 test rows, in made-up texts: seconds, linearity."""

import random
import resource
import string
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from data_build.config import Leaks
from data_build.leaks.leaks import LeakRow, find_leaks, make_rows

TRAIN, TESTS = 115_200, 95_342
PICTURES = 0.3  # share of the rows with a picture, given only by its hash
PLANTED = 0.01  # share of the training rows that are a test's text with three characters changed


def rows(count: int, seed: int) -> list[LeakRow]:
    """Texts of 20 to 600 characters, 110 on average as in SemEval and MMS, with realistic frequencies of words."""
    chance = random.Random(seed)
    letters = random.Random(0)
    words = ["".join(letters.choices(string.ascii_lowercase, k=letters.randint(2, 9))) for _ in range(20_000)]
    weights = [1 / (rank + 10) for rank in range(len(words))]
    pool = chance.choices(words, weights, k=1_000_000)

    def texts() -> Iterator[tuple[str, str, str, str]]:
        for number in range(count):
            start = chance.randrange(len(pool) - 100)
            length = min(100, 3 + int(chance.expovariate(1 / 15)))
            yield f"{seed}/{number}", "MMS", " ".join(pool[start : start + length]), ""

    made = make_rows(texts(), {}, Leaks().shortest)
    with_picture = int(count * PICTURES)
    return [
        row._replace(words="", long=False, picture="x.mp4", sight=chance.getrandbits(64))
        if number < with_picture
        else row
        for number, row in enumerate(made)
    ]


def planted(train: list[LeakRow], tests: list[LeakRow]) -> list[LeakRow]:
    """The training rows; one in a hundred is a test's text with three characters changed."""
    chance = random.Random(1)
    texts = [row.words for row in tests if len(row.words) > 80]
    changed = list(train)
    for number in range(len(train) - int(len(train) * PLANTED), len(train)):
        letters = list(chance.choice(texts))
        for place in chance.sample(range(len(letters)), 3):
            letters[place] = chance.choice(string.ascii_lowercase)
        changed[number] = train[number]._replace(words="".join(letters), long=True)
    return changed


def main() -> None:
    """Print the figures of half the rows and of all."""
    seconds, wall = {}, 0.0
    for share in (0.5, 1.0):
        tests = rows(int(TESTS * share), 2)
        train = planted(rows(int(TRAIN * share), 1), tests)
        began, cpu = time.perf_counter(), time.process_time()
        found = find_leaks(train, tests, Leaks(), Path())
        seconds[share], wall = time.process_time() - cpu, time.perf_counter() - began
        late = {row.id for row in train[-int(len(train) * PLANTED) :]}
        hits = sum(leak.train.id in late for leak in found)
        print(f"{len(train):,} training rows against {len(tests):,} of tests: {seconds[share]:.1f} s of one core, "
              f"{wall:.1f} s in all; {hits} of "
              f"{len(late)} planted found, {len(found) - hits} others", flush=True)  # fmt: skip
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"core time for twice the rows: {seconds[1.0] / seconds[0.5]:.2f} times; {memory:.2f} GB resident", flush=True
    )
    if wall > 300:
        sys.exit("leakage: more than 5 minutes")


if __name__ == "__main__":
    main()
