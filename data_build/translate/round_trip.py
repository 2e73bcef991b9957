"""Round trips: translate some rows of each pair back with the engine's reverse pair, and compare with the originals.

The score is sacrebleu's chrF (Popovic 2015: F2 of character n-grams up to 6, from 0 to 100) with the 95% interval of
its bootstrap. It measures both directions together: two errors may add up, or hide each other (a word that stays
untranslated in both). We have no comparison with human translations: no corpus says which of its rows are translations
of each other.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from data_build.ids import original_id
from data_build.translate.engine import TranslationEngine
from data_build.translate.rows import Brief
from data_build.translate.work import Translator
from mmafflm.errors import UsageFault
from mmafflm.sampling import shuffle_key

BOOTSTRAP = 1000
Pair = tuple[str, str]
Figure = dict[str, Any]
KEY = ("from", "to", "engine", "model", "version")


def round_trips(
    manifest: Mapping[str, Any], rows: Iterable[Brief], pairs: list[Pair], translator: Translator, most: int
) -> list[Figure]:
    """Every pair's round-trip scores for the manifest: earlier ones, and new ones of these pairs with this engine.

    A score covers all `rows` of a pair that this engine, model and version made, in earlier runs and in this one, so
    the order of runs makes no difference. most: rows of each pair to translate back, drawn by the build's seed; 0 makes
    no new scores and keeps the scores of pairs whose number of rows has not changed.
    """
    earlier = {_key(one): one for one in manifest.get("translation", {}).get("round_trip", [])}
    made = _made(rows, pairs, translator.engine)
    for pair in pairs:
        stamp = _stamp(translator.engine, pair)
        before = earlier.pop(_key(stamp), None)
        if most and made[pair]:
            earlier[_key(stamp)] = stamp | _figure(made[pair], pair, translator, int(manifest["seed"]), most)
        elif before and before["of"] == len(made[pair]):
            earlier[_key(stamp)] = before
    return [earlier[key] for key in sorted(earlier)]


def in_words(figure: Figure) -> str:
    """A pair's round-trip score as a line of text."""
    what = f"{figure['to']}<-{figure['from']}, {figure['engine']} {figure['model']}: round trip"
    if "why" in figure:
        return f"{what} not made: {figure['why']}"
    low, high = figure["ci95"]
    return f"{what} chrF {figure['chrf']:.1f} [{low:.1f}, {high:.1f}] n={figure['rows']} of {figure['of']}"


def _key(figure: Figure) -> tuple[str, ...]:
    return tuple(figure[name] for name in KEY)


def _stamp(engine: TranslationEngine, pair: Pair) -> Figure:
    return dict(zip(KEY, (*pair, engine.name, engine.model(*pair), engine.version(*pair)), strict=True))


class Trip(NamedTuple):
    """A translated row to translate back. pair: from its language to that of `original`, the text it was made from."""

    id: str
    pair: Pair
    text: str
    original: str


def _made(rows: Iterable[Brief], pairs: list[Pair], engine: TranslationEngine) -> dict[Pair, list[Trip]]:
    """The rows of each pair that this engine made and that have their originals in `rows`."""
    stamps = {pair: _stamp(engine, pair) for pair in pairs}
    origins = {origin for origin, _ in pairs}
    texts: dict[str, str] = {}
    made: dict[Pair, list[Brief]] = {pair: [] for pair in pairs}
    for row in rows:
        if row.made is None:
            if row.language in origins:
                texts[row.id] = row.words
            continue
        pair = row.made["language"], row.language
        if pair in stamps and all(row.made[name] == stamps[pair][name] for name in KEY[2:]):
            made[pair].append(row)
    return {
        pair: [
            Trip(one.id, (pair[1], pair[0]), one.words, texts[name])
            for one in of
            if (name := original_id(one.id)) in texts
        ]
        for pair, of in made.items()
    }


def _figure(made: list[Trip], pair: Pair, translator: Translator, seed: int, most: int) -> Figure:
    origin, target = pair
    try:
        translator.engine.require(target, origin)
    except UsageFault:
        return {"rows": 0, "of": len(made), "why": f"the engine has no pair from {target} to {origin}"}
    some = sorted(made, key=lambda trip: shuffle_key(seed, trip.id))[:most]
    translator.work(some, f"{target} back to {origin}")
    scored = chrf([translator.text(trip) for trip in some], [trip.original for trip in some])
    return {"rows": len(some), "of": len(made)} | scored


def chrf(texts: list[str], references: list[str]) -> Figure:
    """chrF of all texts together, with its 95% interval and sacrebleu's signature."""
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    score = metric.corpus_score(texts, [references], n_bootstrap=BOOTSTRAP)
    signature = str(metric.get_signature())
    told = json.loads(score.format(is_json=True, signature=signature))
    middle, half = told.get("confidence_mean", 0.0), told.get("confidence_var", 0.0)  # sacrebleu leaves them out when 0
    interval = [round(middle - half, 2), round(middle + half, 2)]
    return {"chrf": told["score"], "ci95": interval, "signature": signature}
