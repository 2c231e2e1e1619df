"""A page of HTML, taken apart."""

from collections import Counter
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "col"}


class Page(HTMLParser):
    """Tags in order, ids, links and text; an end without its beginning is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.shown = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = {name: value or "" for name, value in attrs}
        assert len(given) == len(attrs), f"an attribute of {tag} stands twice"
        self.attributes += given.items()
        self.ids.update([given["id"]] if "id" in given else [])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.shown += data
