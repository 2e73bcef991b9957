"""`mmaffin browse` of a build: filters and pages as pure functions, and the files that it serves or refuses."""

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mmafflm.browse.page import show
from mmafflm.browse.query import PAGE_ROWS, Query, choose
from mmafflm.browse.server import listening, reply
from mmafflm.browse.table import RecordTable, open_table
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import Record, write_jsonl, write_text
from tests.eval.made_runs import record
from tests.media_files import clip_bytes, picture_of, write

SCRIPT_TAG = "<script>alert(1)</script>"
FRAMES = [f"media/{at}.png" for at in range(4)]
BAD = [
    "../../etc/passwd", "/etc/passwd", "media/link.png", "media/gone.png", "manifest.json", "media/\x00.png",
    f"media/{'a' * 300}.png", "media/ring.png",
]  # fmt: skip


def made(root: Path) -> Dataset:
    """XED in all splits, with some translated training rows; ordinals; pictures, a clip, and bad files."""
    origin = {"language": "en", "engine": "apertium", "version": "3"}
    xed = [record("XED", at, ["joy"] if at % 2 else ["sadness", "anger"], language="de") for at in range(50)]
    degrees = [record("semeval2018_english", at, at, "ei_oc", emotion="joy") for at in (0, 2)]
    rows: dict[tuple[str, str], list[Record]] = {
        ("XED", "train"): [replace(one, translated_from=origin if at < 5 else None) for at, one in enumerate(xed)],
        ("XED", "val"): [record("XED", 100, ["joy"], text="أنا سعيد")],
        ("XED", "test"): [record("XED", 200 + at, ["joy"], language="fi", text=SCRIPT_TAG) for at in range(3)],
        ("semeval2018_english", "test"): degrees,
        ("FER2013", "test"): [
            replace(record("FER2013", 0, ["neutral"]), images=[FRAMES[0], *BAD]),
            replace(record("FER2013", 1, ["neutral"]), images=[FRAMES[1]], videos=[FRAMES, [], "media/clip.mp4"]),
        ],
    }  # fmt: skip
    files, subsets = {}, {}
    for (name, split), records in rows.items():
        records = [replace(one, id=one.id.replace("/", f"/{split}/", 1), split=split) for one in records]
        write_jsonl(root / split_file(name, split), (one.to_json() for one in records))
        files[split_file(name, split)] = {"rows": len(records)}
        subsets.setdefault(name, {})[split] = {}
    write_text(root / "manifest.json", json.dumps({"files": files, "subsets": subsets, "data_hash": "x"}))
    for at, name in enumerate(FRAMES):
        picture_of(40, 30, at).save(write(root / name, b""))
    write(root / "media/clip.mp4", clip_bytes(5))
    picture_of(40, 30).save(root.parent / "outside.png")
    (root / "media/link.png").symlink_to(root.parent / "outside.png")
    (root / "media/ring.png").symlink_to(root / "media/ring.png")
    return Dataset.open(root)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> RecordTable:
    return open_table(made(tmp_path_factory.mktemp("browsing") / "data"))


def test_only_the_files_asked_for_are_opened(table: RecordTable) -> None:
    some = open_table(Dataset.open(table.root), [split_file("XED", "test"), split_file("FER2013", "test")])
    assert some.rows.height == 5 and len(some.files) == 2
    assert some.rows["gold"].to_list()[:3] == ['["joy"]'] * 3


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", 58),
        ("subset=XED", 54),
        ("subset=XED&split=train", 50),
        ("language=fi", 3),
        ("label=sadness", 25),
        ("label=anger&translated=yes", 3),
        ("translated=from+en", 5),
        ("translated=no&split=train", 45),
        ("task=emotion_intensity_ordinal&label=2", 1),
        ("id=/val/", 1),
        ("id=.*", 0),
        ("text=%D8%B3%D8%B9%D9%8A%D8%AF", 1),  # a word of the Arabic text
        ("text=WHAT+a+Day", 52),
        ("text=SADNESS", 25),
        ("text=alert(1)&language=fi", 3),
        ("text=XED", 0),
        ("text=what&shuffle=7", 52),
        ("label=nothing", 0),
        ("unheard=of&subset=&page=-7", 58),
    ],
)
def test_rows_are_chosen_by_every_value_asked_for(asked: str, found: int, table: RecordTable) -> None:
    query = Query.parse(asked, table)
    chosen = choose(table, query)
    assert chosen.found == found
    for one in map(table.record, chosen.rows):
        facts = {"subset": one.subset, "split": one.split, "language": one.language, "task": one.task}
        assert {name: query.values.get(name, fact) for name, fact in facts.items()} == facts
        assert query.values.get("label") in (None, *(one.gold if isinstance(one.gold, list) else [str(one.gold)]))
        assert query.id in one.id


def test_pages_hold_every_row_once_and_addresses_lead_back(table: RecordTable) -> None:
    seen: list[int] = []
    query, page = Query.parse("subset=XED&id=XED", table), 1
    while True:
        chosen = choose(table, query)
        assert (chosen.page, chosen.pages) == (page, 3) and len(chosen.rows) <= PAGE_ROWS
        seen += chosen.rows
        if page == chosen.pages:
            break
        page += 1
        query = Query.parse(query.address(page).partition("?")[2], table)
    assert len(seen) == len(set(seen)) == 54
    assert {table.record(row).subset for row in seen} == {"XED"}
    assert choose(table, replace(query, page=10**8)) == choose(table, replace(query, page=3)), "the last one"


def test_a_shuffle_has_the_same_rows_in_another_order_that_its_address_keeps(table: RecordTable) -> None:
    def rows(query: Query) -> list[int]:
        return [row for page in (1, 2, 3) for row in choose(table, replace(query, page=page)).rows]

    plain = Query.parse("subset=XED", table)
    mixed = replace(plain, shuffle=3)
    assert rows(mixed) != rows(plain) == sorted(rows(mixed)) and rows(mixed) != rows(replace(plain, shuffle=4))
    assert rows(Query.parse(mixed.address().partition("?")[2], table)) == rows(mixed)
    html = reply(table, mixed.address()).body.decode()
    assert "shuffle=4" in html and "in order" in html and 'name="shuffle" value="3"' in html


def test_every_filter_can_be_dropped_by_itself(table: RecordTable) -> None:
    html = reply(table, "/?subset=XED&language=de&text=%3Cb%3Eday&id=0").body.decode()
    assert "text or answer holds: &lt;b&gt;day" in html
    for dropped in ("subset=XED", "language=de"):
        kept = {"subset=XED", "language=de"} - {dropped}
        assert f'href="/?{kept.pop()}&amp;text=%3Cb%3Eday&amp;id=0&amp;page=1"' in html


def test_facets_name_what_is_there_with_its_rows(table: RecordTable) -> None:
    facets = {facet.name: facet.values for facet in table.facets}
    assert facets["split"] == {"train": 50, "val": 1, "test": 7}
    assert list(facets["label"].items())[:3] == [("0", 1), ("2", 1), ("anger", 25)], "classes before words"
    assert facets["translated"] == {"from en": 5, "no": 53, "yes": 5}


def test_what_is_in_a_record_is_escaped_and_its_text_stands_alone(table: RecordTable) -> None:
    html = reply(table, "/?language=fi").body.decode()
    assert "<script>alert" not in html and html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 6, "text and prompt"
    row = choose(table, Query.parse("split=val", table)).rows[0]
    assert show(table, row).text == "أنا سعيد"
    assert reply(table, '/?id="><script>alert(2)').body.decode().count("<script") == 1


def test_only_what_a_record_names_below_data_is_served(table: RecordTable) -> None:
    bad, clip = choose(table, Query.parse("subset=FER2013", table)).rows
    assert reply(table, f"/media/{bad}/0").kind == "image/png"
    assert reply(table, f"/media/{bad}/0").body == (table.root / FRAMES[0]).read_bytes()
    for place in range(1, len(BAD) + 1):
        assert reply(table, f"/media/{bad}/{place}").status == 404
    said = ["relative path", "relative path", "leads out", "missing", *["relative path"] * 3, "cannot be opened"]
    first, *others = [one.note for one in show(table, bad).seen]
    assert not first and all(words in note for words, note in zip(said, others, strict=True))
    frames = show(table, clip).seen[1]
    assert (frames.first, frames.frames, frames.clip) == (1, len(FRAMES), False)
    assert reply(table, f"{frames.address}/{frames.first + 3}").body == (table.root / FRAMES[3]).read_bytes()


@pytest.fixture(scope="module")
def port(table: RecordTable) -> Iterator[int]:
    with listening(table, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def get(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    asked.request("GET", path, headers=headers)
    found = asked.getresponse()
    assert "default-src 'none'" in found.headers["Content-Security-Policy"]
    return found.status, found.read()


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [("bytes=0-9", 0, 10), ("bytes=20-", 20, None), ("bytes=7-999999999", 7, None)],
)
def test_a_clip_is_wound_by_its_bytes(asked: str, first: int, end: int | None, table: RecordTable, port: int) -> None:
    row = choose(table, Query.parse("subset=FER2013", table)).rows[1]
    clip, content = show(table, row).seen[2], (table.root / "media/clip.mp4").read_bytes()
    assert clip.clip and get(port, f"{clip.address}/{clip.first}") == (200, content)
    assert get(port, f"{clip.address}/{clip.first}", Range=asked) == (206, content[first:end])
    for other in ("bytes=9-3", "bytes=-5", f"bytes={len(content)}-", "nonsense"):
        assert get(port, f"{clip.address}/{clip.first}", Range=other) == (200, content)
    assert get(port, "/", Range=asked)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/media/../../../etc/passwd",
        "/media/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "//etc/passwd",
        "/manifest.json",
        "/page.html.j2",
        "/media/0/0",
        "/media/999999/0",
        "/media/-1/0",
        "/media/3_0/0",
    ],
)
def test_other_paths_are_refused(path: str, port: int) -> None:
    status, body = get(port, path)
    assert status == 404 and b"root:" not in body


def test_it_answers_to_this_machines_names_alone(port: int) -> None:
    assert get(port, "/")[0] == get(port, "/", Host=f"localhost:{port}")[0] == 200
    assert get(port, "/", Host=f"evil.example:{port}")[0] == 403, "a name that was led to 127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.2", port, timeout=30).request("GET", "/")
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    asked.request("POST", "/", "x")
    assert asked.getresponse().status == 501


def test_a_port_that_is_taken_is_said(table: RecordTable, port: int) -> None:
    with pytest.raises(UsageFault, match="another"), listening(table, port):
        pass


def test_a_file_that_is_no_records_or_changed_is_named(tmp_path: Path) -> None:
    data = made(tmp_path / "data")
    file = tmp_path / "data/mmaffin/XED_val.jsonl"
    table, content = open_table(data), file.read_bytes()
    row = choose(table, Query.parse("split=val", table)).rows[0]
    file.write_bytes(b"{}\n" + content)
    for asked in ("split=val", "text=joy"):
        assert b"XED_val.jsonl: changed" in reply(table, f"/?{asked}").body
    with pytest.raises(Fault, match="changed"):
        table.record(row)
    file.write_bytes(content + b"{nonsense\n")
    with pytest.raises(Fault, match=r"XED_val\.jsonl:2"):
        open_table(data)
    file.unlink()
    with pytest.raises(Fault, match="missing"):
        open_table(data)
