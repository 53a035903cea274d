"""Charts as SVG that stands in a page: colours and fonts come from the style sheet, in light and dark."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, register_namespace, tostring

from markupsafe import Markup

_LABELS = 12  # pixels that labels are measured with; the style sheet shows them in this size
_SVG = "http://www.w3.org/2000/svg"
# Their style and scripts would be refused by our pages' policy; their tips come with those scripts.
_UNWANTED = ("overlay", "text-overlay", "tooltip-overlay", "titles", "background")


def stacked_bars(
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[int]]],
    *,
    name: str,
    title: str,
    description: str,
    size: tuple[int, int],
    every: int,
) -> Markup:
    """Bars of several series on top of each other. Labels are all different; every `every`th is written.

    `name` tells its ids from those of another chart of the page, `size` is width and height in pixels. The
    series have the classes `serie-0`, `serie-1` and so on.
    """
    highest = max([4, *map(sum, zip(*(values for _, values in series), strict=True))])
    # Here, since many API processes never draw.
    import pygal
    from pygal.style import Style

    chart = pygal.StackedBar(
        width=size[0],
        height=size[1],
        style=Style(label_font_size=_LABELS, major_label_font_size=_LABELS),
        js=[],
        margin=4,
        spacing=8,
        show_legend=False,
        show_minor_x_labels=False,
        no_prefix=True,
        truncate_label=-1,
        rounded_bars=2,
        range=(0, highest),
    )
    chart.x_labels = list(labels)
    # Counted from the end: the latest is always named.
    chart.x_labels_major = list(labels[::-1][::every])
    chart.y_labels = _steps(highest)
    for label, values in series:
        chart.add(label, list(values))
    root: Element = chart.render_tree()
    for number, (label, values) in enumerate(series):
        _name_bars(root, f"serie-{number}", label, labels, values)
    _clean(root)
    _explain(root, name, title, description)
    register_namespace("", _SVG)
    return Markup(tostring(root, encoding="unicode"))  # noqa: S704 - a tree, which escapes all texts


def _steps(highest: int) -> list[int]:
    """From 0 to `highest` in up to four round steps."""
    steps = (factor * 10**power for power in range(18) for factor in (1, 2, 5))
    step = next(step for step in steps if highest <= 4 * step)
    return list(range(0, highest + 1, step))


def _name_bars(root: Element, series: str, name: str, labels: Sequence[str], values: Sequence[int]) -> None:
    """Let each bar say what it shows when it's pointed at; those of nothing go."""
    plot = next(group for group in root.iter() if series in group.get("class", "").split())
    for bars in plot:
        shown = zip(list(bars), labels, values, strict=True)
        for bar, label, value in shown:
            if value == 0:
                bars.remove(bar)
                continue
            bar[1:] = [_element("title", f"{label}: {value} {name}")]


def _clean(root: Element) -> None:
    """Take out what is there for pygal's own style and scripts."""
    for parent in list(root.iter()):
        for child in list(parent):
            kind = child.tag.rpartition("}")[2] if isinstance(child.tag, str) else "comment"
            classes = child.get("class", "").split()
            in_axis = "guides" in parent.get("class", "").split()
            if (
                kind in ("comment", "defs")
                or (kind == "title" and (parent is root or in_axis))
                or any(name in classes for name in _UNWANTED)
            ):
                parent.remove(child)


def _explain(root: Element, name: str, title: str, description: str) -> None:
    """Name and describe it for who can't see it."""
    root.attrib.pop("id", None)
    root.set("class", "chart")
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-description")
    root[:0] = [
        _element("title", title, id=f"{name}-title"),
        _element("desc", description, id=f"{name}-description"),
    ]


def _element(kind: str, text: str, **attributes: str) -> Element:
    made = Element(kind, attributes)
    made.text = text
    return made
