"""Bring the site's catalogues up to date with its templates, scripts and modules.

    make texts

Texts that are new stand in the files without a translation, and those that are gone are removed. The test of
the languages fails until all are translated.
"""

from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from mien.tasks.requests import FaceSwapRequest
from mien.web.languages import DEFAULT, FOLDER, LANGUAGES, read_catalog

WEB = FOLDER.parent
_METHODS = [
    ("**.py", "python"),
    ("templates/**.html", "jinja2.ext:babel_extract"),
    ("static/**.js", "javascript"),
]
_OPTIONS = {"templates/**.html": {"trimmed": "true", "silent": "false", "newstyle_gettext": "true"}}

# Without dates, which would change it each time.
_HEADER = """\
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Language: {language}\\n"
"Plural-Forms: {plurals}\\n"

"""


def extracted() -> Catalog:
    """All texts that there are, with the files that they're in."""
    catalog = Catalog(project="Mien", charset="utf-8")
    for file, _line, text, comments, context in extract_from_dir(WEB, _METHODS, _OPTIONS):
        catalog.add(text, None, [(Path(file).as_posix(), 0)], auto_comments=comments, context=context)
    for field in FaceSwapRequest.model_fields.values():  # a page describes them
        catalog.add(str(field.description), None, [("tasks/requests.py", 0)])
    return catalog


def update() -> None:
    """Write the catalogues of all languages."""
    template = extracted()
    for language in LANGUAGES:
        if language == DEFAULT:
            continue
        path = FOLDER / f"{language}.po"
        catalog = read_catalog(language) if path.exists() else Catalog(locale=language, project="Mien")
        catalog.update(template, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        with path.open("wb") as file:
            file.write(_HEADER.format(language=language, plurals=catalog.plural_forms).encode())
            write_po(file, catalog, width=110, sort_by_file=True, include_lineno=False, omit_header=True)


if __name__ == "__main__":
    update()
