"""Parse an HTML page for tests: whether its tags are balanced, and what it loads, runs, links and says."""

from html.parser import HTMLParser

VOID = {"meta", "img", "wbr", "br", "link", "input", "hr"}
LOADS = {"src", "href", "srcset", "data", "action", "poster", "xlink:href", "formaction", "background"}


class Page(HTMLParser):
    """One parsed page. Raises AssertionError at a closing tag without its opening tag."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []  # (innermost tag, text)
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, (tag, self.open[-5:], self.getpos())

    def handle_data(self, data: str) -> None:
        self.text.append((self.open[-1] if self.open else "", data))

    @property
    def said(self) -> str:
        """All text that a reader sees."""
        return "".join(text for tag, text in self.text if tag not in ("script", "style"))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element with this tag."""
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def loads(self) -> set[str]:
        """Every address that the page could fetch or follow."""
        return {str(attrs[name]) for _, attrs in self.tags for name in LOADS & set(attrs)}
