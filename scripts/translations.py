"""Keep the translations complete: add what is new, drop what is gone, and say what a person must translate.

``python scripts/translations.py`` rewrites the catalogs; with ``--check`` it writes nothing. The exit code is 1 where
something is missing. English sentences stand in the code (`say`, `translate`) and in templates (`_`, `{% trans %}`).
"""

from __future__ import annotations

import inspect
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
# The catalog's folder, and the folder whose sentences it holds.
CATALOGS = {
    "providers/aimass/core/reports/locale": "providers/aimass/core",
    "providers/aimass/notifications/locale": "providers/aimass/notifications",
    "providers/aimass/ui/locale": "providers/aimass/ui",
}
METHODS = [("**.py", "python"), ("**/templates/**", "jinja2")]
OPTIONS = {"**/templates/**": {"trimmed": "true", "silent": "false", "extensions": "jinja2.ext.do"}}
KEYWORDS = {"say": None, "translate": None, "translate_count": (1, 2), "_": None, "gettext": None, "ngettext": (1, 2)}
PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w*(?:![rs])?(?::[^{}]*)?\}")


def sentences(folder: str) -> Catalog:
    """Return every English sentence below `folder`, with the file it stands in."""
    catalog = Catalog(charset="utf-8")
    found = extract_from_dir(ROOT / folder, METHODS, OPTIONS, KEYWORDS)
    for file, line, message, _, _ in sorted(found, key=lambda item: item[:2]):
        catalog.add(message, locations=[(f"{folder}/{file}", line)])
    if folder == "providers/aimass/core":
        add_metrics(catalog)
    if folder == "providers/aimass/ui":
        add_forms(catalog)
        add_dags(catalog)
    return catalog


def add_metrics(catalog: Catalog) -> None:
    """Add what the metrics say about themselves: third parties add theirs without our catalog, in English."""
    from aimass.core.evaluation import METRICS

    for name in METRICS.names():
        metric = METRICS.load(name)
        for text in (metric.title, metric.explanation):
            catalog.add(text, locations=[("providers/aimass/core/evaluation/metrics.py", 0)])


def add_forms(catalog: Catalog) -> None:
    """Add what the fields of our forms are called and say about themselves."""
    from aimass.pipelines.forms import FORMS, form_params

    for name in FORMS.names():
        for param in form_params(FORMS.load(name)).values():
            schema = param.schema
            choices = schema.get("values_display", {}).values()
            for text in (schema["title"], param.description, schema["section"], *choices):
                catalog.add(text, locations=[("providers/aimass/pipelines/forms", 0)])


def add_dags(catalog: Catalog) -> None:
    """Add what the DAGs that come with the package say about themselves; people's own pipelines speak as they do."""
    from aimass.operators import batch_predict, improve, retire, rollback
    from aimass.pipelines.forms import FORMS
    from aimass.pipelines.forms.ingest import ABOUT

    requests = [rollback.RollbackForm, retire.RetireRequest, batch_predict.BatchRequest, improve.ImproveRequest]
    forms = [FORMS.load(name) for name in FORMS.names()]
    for text in (*ABOUT.values(), *((inspect.getdoc(form) or "").partition("\n")[0] for form in (*forms, *requests))):
        catalog.add(text, locations=[("providers/aimass/pipelines", 0)])


def updated(path: Path, template: Catalog) -> Catalog:
    """Return the catalog at `path` with exactly the sentences of `template`; translations that still fit are kept."""
    with path.open("rb") as file:
        catalog = read_po(file, locale=path.parts[-3])
    catalog.update(template, no_fuzzy_matching=True, update_header_comment=False)
    return catalog


def text_of(catalog: Catalog) -> str:
    """Return the catalog as a file: no line numbers and no dates, so that it changes only where sentences do."""
    output = io.BytesIO()
    write_po(output, catalog, width=116, omit_header=True, include_lineno=False, ignore_obsolete=True)
    header = f'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n"Language: {catalog.locale}\\n"\n'
    return f'{header}"Plural-Forms: {catalog.plural_forms}\\n"\n\n{output.getvalue().decode().strip()}\n'


def faults(catalog: Catalog) -> Iterator[str]:
    """Yield what a person must mend."""
    for message in catalog:
        if message.id:
            translation = [message.string or ""] if not isinstance(message.string, tuple) else message.string
            if not all(translation):
                yield f"not translated: {message.id!r}"
            elif any(placeholders(text) != wanted(message) for text in translation):
                yield f"other placeholders than the English sentence: {message.id!r}"


def wanted(message: Message) -> list[str]:
    """Return the placeholders of the English sentence, of the last form where there are several."""
    return placeholders(message.id if isinstance(message.id, str) else message.id[-1])


def placeholders(text: str) -> list[str]:
    """Return the placeholders in `text`, sorted: a translation may order them anew."""
    return sorted(PLACEHOLDER.findall(text))


def main() -> int:
    """Update or check every catalog."""
    only_check = "--check" in sys.argv[1:]
    found = []
    for folder, source in CATALOGS.items():
        template = sentences(source)
        for path in sorted((ROOT / folder).glob("*/LC_MESSAGES/*.po")):
            catalog = updated(path, template)
            found += [f"{path.relative_to(ROOT)}: {fault}" for fault in faults(catalog)]
            if not only_check:
                path.write_text(text_of(catalog), encoding="utf-8")
            elif path.read_text(encoding="utf-8") != text_of(catalog):
                found.append(f"{path.relative_to(ROOT)}: not current, run python scripts/translations.py")
    print("\n".join(found), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
