"""The manual: the Markdown files of `docs/`, as pages, with a search over their sections.

The files are our own; still no HTML in them passes, and of links only those to known pages and to the web.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from mien.web.code import highlighted

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# In the wheel they lie beside this file, in the repository in their own folder.
_FOLDERS = (Path(__file__).parent / "manual", Path(__file__).parents[3] / "docs")
_ORDER = (
    *("http", "errors", "webhooks", "client", "credits", "accounts"),
    *("self-hosting", "settings", "cli", "marks", "safety", "privacy", "law", "engine"),
)
_SNIPPET = 180  # characters
_LANGUAGES = {"sh": "bash", "python": "python", "json": "json"}


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Document:
    name: str
    """Of its address: `/docs/<name>`."""
    title: str
    body: Markup
    """Everything behind the title."""
    headings: tuple[Heading, ...]
    sections: tuple["Section", ...]


@dataclass(frozen=True, slots=True)
class Section:
    """What stands below one heading, as plain text for the search."""

    document: str
    title: str
    heading: str
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    section: Section
    snippet: Markup


@cache
def documents(base: str) -> Mapping[str, Document]:
    """All pages by name, in their order; links begin with `base`."""
    paths = {path.stem: path for path in sorted(_folder().glob("*.md"))}
    names = [name for name in _ORDER if name in paths] + [name for name in paths if name not in _ORDER]
    return {name: _read(name, paths[name].read_text(), set(paths), base) for name in names}


def picture(name: str) -> Path | None:
    """The file of a picture that pages show."""
    pictures = (path for path in (_folder() / "images").iterdir() if path.suffix in (".jpg", ".svg"))
    return {path.name: path for path in pictures}.get(name)


def part(base: str, name: str, anchor: str) -> Markup:
    """The rendered part of a page below one of its headings, up to the next of the same level or above."""
    body = str(documents(base)[name].body)
    match = re.search(rf'<h(\d) id="{re.escape(anchor)}">.*?</h\d>', body)
    if match is None:
        raise KeyError(anchor)
    rest = body[match.end() :]
    end = re.search(rf"<h[1-{match[1]}] id=", rest)
    return Markup(rest[: end.start()] if end else rest)  # noqa: S704 - rendered by us, from our files


def search(query: str, base: str, *, most: int = 30) -> list[Finding]:
    """The sections that have all words of `query`, best first: those that have them in their headings."""
    words = [word for word in re.findall(r"[\w-]+", query.lower()) if word]
    if not words:
        return []
    found: list[tuple[int, Section]] = []
    for document in documents(base).values():
        for section in document.sections:
            heading, text = f"{section.title} {section.heading}".lower(), section.text.lower()
            if all(word in heading or word in text for word in words):
                score = sum(100 * (word in heading) + min(text.count(word), 20) for word in words)
                found.append((score, section))
    found.sort(key=lambda one: -one[0])
    return [Finding(section, _snippet(section.text, words)) for _, section in found[:most]]


def _folder() -> Path:
    return next(folder for folder in _FOLDERS if folder.is_dir())


def _read(name: str, text: str, names: set[str], base: str) -> Document:
    parser = _parser()
    tokens = parser.parse(text)
    headings: list[Heading] = []
    sections: list[Section] = []
    title = name
    texts: list[str] = []

    def close() -> None:
        heading = headings[-1] if headings else Heading(1, title, "")
        if texts:
            sections.append(Section(name, title, heading.text, heading.anchor, " ".join(texts)))
            texts.clear()

    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            heading_text = _plain(tokens[index + 1])
            level = int(token.tag[1])
            if level == 1:
                title = heading_text
                continue
            close()
            heading = Heading(level, heading_text, _anchor(heading_text, headings))
            headings.append(heading)
            token.attrSet("id", heading.anchor)
        elif token.type == "inline" and tokens[index - 1].type != "heading_open":
            texts.append(_plain(token))
            _lead_links(token, names, base)
        elif token.type == "fence":
            texts.append(token.content)
    close()
    body = Markup(parser.renderer.render(_without_title(tokens), parser.options, {}))  # noqa: S704 - no HTML
    return Document(name, title, body, tuple(headings), tuple(sections))


def _without_title(tokens: Sequence["Token"]) -> list["Token"]:
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        return list(tokens[3:])
    return list(tokens)


def _parser() -> "MarkdownIt":
    # Here, since many API processes never show a document.
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    renderer = parser.renderer
    assert isinstance(renderer, RendererHTML)  # noqa: S101 - the default
    rules: dict[str, Any] = renderer.rules
    rules["fence"] = rules["code_block"] = _code
    rules["table_open"] = lambda *_: '<div class="table-frame" tabindex="0"><table>'
    rules["table_close"] = lambda *_: "</table></div>"
    return parser


def _code(tokens: Sequence["Token"], index: int, *_: Any) -> str:
    token = tokens[index]
    return str(highlighted(token.content.rstrip("\n"), _LANGUAGES.get(token.info.strip(), "text")))


def _lead_links(token: "Token", names: set[str], base: str) -> None:
    """Let links to other files lead to their pages; those that lead nowhere here lose their address."""
    for child in token.children or []:
        if child.type == "image":
            child.attrSet("src", f"{base}/docs/{child.attrGet('src')}")
            child.attrSet("loading", "lazy")
        if child.type != "link_open":
            continue
        target, _, anchor = str(child.attrGet("href")).partition("#")
        page = target.removesuffix(".md")
        if target.startswith(("http://", "https://")) or not target:
            continue
        if page in names:
            child.attrSet("href", f"{base}/docs/{page}" + (f"#{anchor}" if anchor else ""))
        else:
            child.attrs.pop("href", None)


def _plain(token: "Token") -> str:
    kept: list[str] = []
    for child in token.children or []:
        if child.type in ("text", "code_inline"):
            kept.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            kept.append(" ")
    return "".join(kept)


def _anchor(text: str, earlier: Sequence[Heading]) -> str:
    """As GitHub makes them, so that links work in both places."""
    anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
    taken = {heading.anchor for heading in earlier}
    return next(
        name for name in (anchor, *(f"{anchor}-{number}" for number in range(1, 100))) if name not in taken
    )


def _snippet(text: str, words: Sequence[str]) -> Markup:
    lower = text.lower()
    first = min((place for word in words if (place := lower.find(word)) >= 0), default=0)
    start = max(0, first - _SNIPPET // 3)
    cut = text[start : start + _SNIPPET]
    pieces = re.split(f"({'|'.join(map(re.escape, words))})", cut, flags=re.IGNORECASE)
    marked: Any = Markup("").join(
        Markup("<mark>{}</mark>").format(piece) if number % 2 else escape(piece)
        for number, piece in enumerate(pieces)
    )
    return Markup("{}{}{}").format("…" if start else "", marked, "…" if start + _SNIPPET < len(text) else "")
