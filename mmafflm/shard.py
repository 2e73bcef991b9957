"""The share of the work of one process, for schedulers such as Slurm that start the same command several times."""

import hashlib
from typing import NamedTuple

from mmafflm.errors import UsageFault


class Shard(NamedTuple):
    """Share `number` of `of` shares of the ids. Shares are counted from 1."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Parse I/N, such as 2/3. Raises UsageFault for anything else."""
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise UsageFault(f"--shard {text}: write I/N, such as 2/3 for the second of three")
        return cls(int(number), int(of))

    def has(self, name: str) -> bool:
        """Whether this id is in the share; every id is in exactly one share."""
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % self.of == self.number - 1

    @property
    def folder(self) -> str:
        """The name of the share's folder, such as 2-of-3."""
        return f"{self.number}-of-{self.of}"


WHOLE = Shard()
