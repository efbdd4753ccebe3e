"""The pages of a check: there, whole, and without another host."""

from __future__ import annotations

import re
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest

from quality.docs import is_current, replace_folder
from quality.pages import stand_alone
from tests.unit.quality.conftest import Check, make_contract


class Links(HTMLParser):
    """Collects what a page leads to or loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        self.found += [value for name, value in attrs if name in {"href", "src"} and value]


def links_of(page: Path) -> list[str]:
    parser = Links()
    parser.feed(page.read_text())
    return parser.found


def test_the_pages_show_each_failing_row_and_lead_to_great_expectations_pages(
    check: Check, tmp_path: Path
) -> None:
    docs = tmp_path / "pages" / "docs"
    columns = [
        {"name": "id", "type": "integer"},
        {"name": "note", "type": "text", "values": ["<b>fine</b>"]},
    ]
    sql = "CREATE TABLE gold.orders AS SELECT 7 :: BIGINT AS id, '<i>odd</i>' AS note"
    result = check(sql, make_contract(columns=columns), docs=docs)
    assert not result.passed
    assert is_current(docs)
    index = (docs / "index.html").read_text()
    assert "&#39;id&#39;: 7, &#39;note&#39;: &#39;&lt;i&gt;odd&lt;/i&gt;&#39;" in index
    assert "<i>odd</i>" not in index
    assert ">sales</td>" in index
    pages = [docs / link for link in links_of(docs / "index.html") if not link.startswith("#")]
    assert {page.name for page in pages} == {
        "gold-tables.html",
        "gold-orders.columns.html",
        "gold-orders.figures.html",
        "gold-orders.values.html",
    }
    values = next(page for page in pages if page.name == "gold-orders.values.html").read_text()
    assert "must belong to this set" in values
    assert "Failed" in values


def test_no_page_names_another_host_and_every_link_between_pages_leads_somewhere(
    check: Check, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    check("CREATE TABLE gold.orders AS SELECT 1 :: BIGINT AS id", make_contract(), docs=docs)
    pages = sorted(docs.resolve().rglob("*.html"))
    assert len(pages) > 5
    for page in pages:
        assert not re.search(r"(https?:)?//[\w.-]+\.\w+/", page.read_text()), page
        for link in links_of(page):
            target = link.partition("#")[0]
            assert not target or (page.parent / target).exists(), (page, link)


def test_what_a_page_would_load_is_taken_out_and_what_it_says_stays() -> None:
    page = (
        '<html><head><script src="https://a.example/x.js"></script><link href="//b.example/y">'
        '</head><body><img src="https://c.example/?d=1"><a href="https://d.example">text</a>'
        '<a href="other.html">more</a></body></html>'
    )
    alone = stand_alone(page)
    assert ".example" not in alone
    assert "text" in alone
    assert '<a href="other.html">more</a>' in alone


def test_a_reader_finds_the_old_pages_or_the_new_and_never_none(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    with replace_folder(docs) as folder:
        (folder / "index.html").write_text("0")
    stop = threading.Event()
    seen: list[str] = []

    def read() -> None:
        while not stop.is_set():
            seen.append((docs / "index.html").read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 30):
        with replace_folder(docs) as folder:
            (folder / "index.html").write_text(str(number))
    stop.set()
    reader.join()
    assert [int(one) for one in seen] == sorted(int(one) for one in seen)
    assert len([one for one in tmp_path.iterdir() if one.is_dir() and not one.is_symlink()]) == 2


def test_pages_that_could_not_be_built_leave_the_old_ones(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    with replace_folder(docs) as folder:
        (folder / "index.html").write_text("old")

    def fail() -> None:
        with replace_folder(docs) as folder:
            (folder / "index.html").write_text("new")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert (docs / "index.html").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_plain_folder_in_the_place_of_the_pages_is_replaced(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.html").write_text("old")
    with replace_folder(docs) as folder:
        (folder / "index.html").write_text("new")
    assert (docs / "index.html").read_text() == "new"
