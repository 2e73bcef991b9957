"""Find texts with question marks in place of apostrophes, dashes or letters that the file's encoding did not have."""

from typing import NamedTuple

import polars as pl

# INSIDE matches "don?t" and "caf?s", but not "really? no" or the query of a URL. RUN matches runs of question marks.
INSIDE = r"(?:^|[\s\"'(])\p{L}+\?(?:s|t|m|d|re|ve|ll|\p{Ll}+)(?:$|[\s\"'),.;:!?-])"
RUN = r"^[\s\p{P}]*\?{4,}[\s\p{P}]*$|\?{3,}\p{P}?\?{3,}"


class Lost(NamedTuple):
    """How many of the texts of a raw file lost marks, and the source and text of the first."""

    file: str
    texts: int
    of: int
    source: str
    text: str

    def __str__(self) -> str:
        return (
            f"{self.file}: {self.texts:,} of {self.of:,} texts ({self.texts / self.of:.1%}) seem to have lost signs: "
            f'they have "?" instead. The first is {self.source}: {self.text[:60]!r}. Use a copy in UTF-8'
        )


def lost_marks(texts: pl.DataFrame) -> list[Lost]:
    """One Lost for each raw file that has such texts. texts: columns source (file:line) and text, a row per example."""
    one = texts.unique("source", keep="first", maintain_order=True).with_columns(
        file=pl.col("source").str.replace(r":[^:]*$", ""),
        lost=pl.col("text").str.contains(INSIDE) | pl.col("text").str.contains(RUN),
    )
    found = one.group_by("file", maintain_order=True).agg(
        pl.col("lost").sum(), pl.len(), pl.col("source", "text").filter("lost").first()
    )
    return [Lost(*row) for row in found.filter(pl.col("lost") > 0).iter_rows()]
