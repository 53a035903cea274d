"""Code on pages: its colours, and examples in several languages with this service's own address."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape
from pygments import highlight as _highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

KEY_PLACEHOLDER = "YOUR_KEY"

_FOLDER = Path(__file__).parent / "examples"
_ADDRESS = "https://swap.example.com"
_FORMATTER = HtmlFormatter(nowrap=True)


@dataclass(frozen=True, slots=True)
class Example:
    """The whole of a face swap in one language."""

    id: str
    language: str
    file: str
    lexer: str

    def source(self, public_url: str) -> str:
        """The code, for the service at `public_url`, with a placeholder for the key."""
        return (_FOLDER / self.file).read_text().replace(_ADDRESS, public_url)

    def highlighted(self, public_url: str) -> Markup:
        return highlighted(self.source(public_url), self.lexer)


EXAMPLES = (
    Example("curl", "curl", "curl.sh", "bash"),
    Example("python", "Python", "python.py", "python"),
    Example("javascript", "JavaScript", "javascript.mjs", "javascript"),
    Example("php", "PHP", "php.php", "php"),
    Example("go", "Go", "go.go", "go"),
)


@cache
def highlighted(code: str, lexer: str) -> Markup:
    """A `pre` of code whose colours are classes, since inline styles are not allowed on our pages."""
    try:
        text = _highlight(code, get_lexer_by_name(lexer), _FORMATTER)
    except ClassNotFound:
        text = escape(code)
    # Tabs to focus, so that the keyboard can scroll it.
    return Markup('<pre class="code hl" tabindex="0"><code>{}</code></pre>').format(Markup(text))  # noqa: S704


def marked(text: str) -> Markup:
    """A sentence whose names in backquotes are shown as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )
