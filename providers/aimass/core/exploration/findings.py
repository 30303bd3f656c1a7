"""What a person should look at, in words with figures: from the profiles alone, nothing is read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aimass.core.exploration.profile import Association, ColumnProfile, Finding, LeakageSuspect, TargetProfile

MUCH_MISSING = 0.5
SOME_MISSING = 0.05
MANY_VALUES = 50
NEARLY_UNIQUE = 0.95
DOMINANT = 0.99
SKEWED = 5.0
TWINS = 0.98
RARE_CLASS = 0.05
RARE_CLASS_ROWS = 50
FEW_ROWS = 500
MOST_PER_CODE = 20
MEASURES = {"pearson": "Pearson", "spearman": "Spearman", "cramers_v": "Cramér's V"}
LEVELS = ("error", "warning", "info")


def find(
    rows: int,
    columns: Sequence[ColumnProfile],
    target: TargetProfile | None,
    links: Sequence[Association],
    suspects: Sequence[LeakageSuspect],
) -> list[Finding]:
    """Return the findings, most urgent first; at most `MOST_PER_CODE` single ones of a kind, the rest summed up."""
    found = [*_leaks(suspects), *_dataset(rows, target), *_pairs(links)]
    for column in columns:
        if column.role != "target":
            found.extend(_column(column))
    return sorted(_folded(found), key=lambda finding: LEVELS.index(finding.level))


def _finding(level: str, code: str, column: str | None, text: str) -> Finding:
    return Finding.model_validate({"level": level, "code": code, "column": column, "text": text})


def _leaks(suspects: Sequence[LeakageSuspect]) -> Iterator[Finding]:
    for column in dict.fromkeys(suspect.column for suspect in suspects):
        evidence = "; ".join(suspect.evidence for suspect in suspects if suspect.column == column)
        text = f"{column} may know the outcome: {evidence}. Leave it out unless it is known when you predict."
        yield _finding("error", "leakage", column, text)


def _dataset(rows: int, target: TargetProfile | None) -> Iterator[Finding]:
    if rows < FEW_ROWS:
        yield _finding("warning", "few_rows", None, f"The training part has {rows:,} rows: every figure here is rough.")
    for item in target.classes if target else []:
        share = item.count / rows
        if share < RARE_CLASS or item.count < RARE_CLASS_ROWS:
            text = f"The class {item.value!r} of {target.name} is rare: {item.count:,} rows ({share:.1%})."  # type: ignore[union-attr]
            yield _finding("warning", "rare_class", target.name, text)  # type: ignore[union-attr]


def _pairs(links: Sequence[Association]) -> Iterator[Finding]:
    for item in links:
        if item.measure in MEASURES and abs(item.value) >= TWINS:
            text = f"{item.left} and {item.right} say the same ({MEASURES[item.measure]} {item.value:.3f})."
            yield _finding("info", "twins", item.left, text)


def _column(column: ColumnProfile) -> Iterator[Finding]:
    name, present = column.name, column.rows - column.missing - column.nan
    if present <= 0:
        yield _finding("warning", "empty", name, f"{name} has no value at all: it cannot help a model.")
        return
    if column.distinct <= 1 and column.kind != "other":
        value = f" ({column.top[0].value!r})" if column.top else ""
        yield _finding("warning", "constant", name, f"{name} has a single value{value}: it cannot help a model.")
        return
    if column.missing_share >= MUCH_MISSING:
        yield _finding("warning", "much_missing", name, f"{name} is missing in {column.missing_share:.1%} of the rows.")
    elif column.missing_share >= SOME_MISSING:
        yield _finding("info", "missing", name, f"{name} is missing in {column.missing_share:.1%} of the rows.")
    if column.infinite:
        yield _finding("warning", "infinite", name, f"{name} is infinite in {column.infinite:,} rows.")
    if column.role == "raw":
        yield from _values(column, present)


def _values(column: ColumnProfile, present: int) -> Iterator[Finding]:
    name = column.name
    if column.kind == "other":
        yield _finding("info", "unreadable", name, f"{name} has the type {column.type}: only its gaps were counted.")
    elif column.top and column.top[0].count / present >= DOMINANT:
        share = column.top[0].count / present
        yield _finding("info", "dominant", name, f"{name} is {column.top[0].value!r} in {share:.1%} of its values.")
    if column.kind == "category" and column.distinct >= NEARLY_UNIQUE * present and present > MANY_VALUES:
        text = f"{name} is different in nearly every row: an identifier? Name it under `id`, or leave it out."
        yield _finding("info", "identifier", name, text)
    elif column.kind == "category" and column.distinct > MANY_VALUES:
        yield _finding("info", "many_values", name, f"{name} has {column.distinct:,} different values.")
    skew = column.numbers.skew if column.numbers and column.kind == "numeric" else None
    if skew is not None and abs(skew) >= SKEWED:
        yield _finding("info", "skewed", name, f"{name} has a long tail (skew {skew:.1f}).")


def _folded(found: Sequence[Finding]) -> Iterator[Finding]:
    for code in dict.fromkeys(finding.code for finding in found):
        same = [finding for finding in found if finding.code == code]
        yield from same[:MOST_PER_CODE]
        rest = len(same) - MOST_PER_CODE
        if rest > 0:
            yield _finding(same[0].level, code, None, f"{rest:,} more columns: {code.replace('_', ' ')}.")
