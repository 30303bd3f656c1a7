"""What a person should look at, in words with figures: from the profiles alone, nothing is read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aimass.core.exploration.profile import Association, ColumnProfile, Finding, LeakageSuspect, TargetProfile
from aimass.core.reports import number
from aimass.core.texts import Text, say

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
MEASURES = {"pearson": say("Pearson"), "spearman": say("Spearman"), "cramers_v": say("Cramér's V")}
LEVELS = ("error", "warning", "info")
TITLES = {
    "leakage": say("leakage suspect"),
    "few_rows": say("few rows"),
    "rare_class": say("rare class"),
    "twins": say("says the same"),
    "empty": say("empty"),
    "constant": say("constant"),
    "much_missing": say("much missing"),
    "missing": say("missing"),
    "infinite": say("infinite"),
    "unreadable": say("unreadable"),
    "dominant": say("one dominant value"),
    "identifier": say("identifier?"),
    "many_values": say("many values"),
    "skewed": say("skewed"),
}
"""What each kind of finding is called, by its code."""


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


def _finding(level: str, code: str, column: str | None, said: Text) -> Finding:
    return Finding.model_validate({"level": level, "code": code, "column": column, "text": str(said), "said": said})


def _leaks(suspects: Sequence[LeakageSuspect]) -> Iterator[Finding]:
    for column in dict.fromkeys(suspect.column for suspect in suspects):
        evidence = [suspect.said for suspect in suspects if suspect.column == column]
        said = say(
            "{column} may know the outcome: {evidence}. Leave it out unless it is known when you predict.",
            column=column,
            evidence=evidence,
        )
        yield _finding("error", "leakage", column, said)


def _dataset(rows: int, target: TargetProfile | None) -> Iterator[Finding]:
    if rows < FEW_ROWS:
        said = say("The training part has {rows:,} rows: every figure here is rough.", rows=rows)
        yield _finding("warning", "few_rows", None, said)
    if target is None:
        return
    for item in target.classes:
        share = item.count / rows
        if share < RARE_CLASS or item.count < RARE_CLASS_ROWS:
            said = say(
                "The class {value!r} of {target} is rare: {rows:,} rows ({share:.1%}).",
                value=item.value,
                target=target.name,
                rows=item.count,
                share=share,
            )
            yield _finding("warning", "rare_class", target.name, said)


def _pairs(links: Sequence[Association]) -> Iterator[Finding]:
    for item in links:
        if item.measure in MEASURES and abs(item.value) >= TWINS:
            said = say(
                "{left} and {right} say the same ({measure} {value:.3f}).",
                left=item.left,
                right=item.right,
                measure=MEASURES[item.measure],
                value=item.value,
            )
            yield _finding("info", "twins", item.left, said)


def _column(column: ColumnProfile) -> Iterator[Finding]:
    name, present, missing = column.name, column.rows - column.missing - column.nan, column.missing_share
    if present <= 0:
        said = say("{name} has no value at all: it cannot help a model.", name=name)
        yield _finding("warning", "empty", name, said)
        return
    if column.distinct <= 1 and column.kind != "other":
        value = repr(column.top[0].value) if column.top else number(column.numbers.min if column.numbers else None)
        said = say("{name} has the single value {value}: it cannot help a model.", name=name, value=value)
        yield _finding("warning", "constant", name, said)
        return
    if missing >= SOME_MISSING:
        level, code = ("warning", "much_missing") if missing >= MUCH_MISSING else ("info", "missing")
        said = say("{name} is missing in {share:.1%} of the rows.", name=name, share=missing)
        yield _finding(level, code, name, said)
    if column.infinite:
        said = say("{name} is infinite in {rows:,} rows.", name=name, rows=column.infinite)
        yield _finding("warning", "infinite", name, said)
    if column.role == "raw":
        yield from _values(column, present)


def _values(column: ColumnProfile, present: int) -> Iterator[Finding]:
    name = column.name
    if column.kind == "other":
        said = say("{name} has the type {type}: only its gaps were counted.", name=name, type=column.type)
        yield _finding("info", "unreadable", name, said)
    elif column.top and column.top[0].count / present >= DOMINANT:
        top = column.top[0]
        said = say(
            "{name} is {value!r} in {share:.1%} of its values.", name=name, value=top.value, share=top.count / present
        )
        yield _finding("info", "dominant", name, said)
    if column.kind == "category" and column.distinct >= NEARLY_UNIQUE * present and present > MANY_VALUES:
        said = say(
            "{name} is different in nearly every row: an identifier? Name it under `id`, or leave it out.", name=name
        )
        yield _finding("info", "identifier", name, said)
    elif column.kind == "category" and column.distinct > MANY_VALUES:
        said = say("{name} has {count:,} different values.", name=name, count=column.distinct)
        yield _finding("info", "many_values", name, said)
    skew = column.numbers.skew if column.numbers and column.kind == "numeric" else None
    if skew is not None and abs(skew) >= SKEWED:
        yield _finding("info", "skewed", name, say("{name} has a long tail (skew {skew:.1f}).", name=name, skew=skew))


def _folded(found: Sequence[Finding]) -> Iterator[Finding]:
    for code in dict.fromkeys(finding.code for finding in found):
        same = [finding for finding in found if finding.code == code]
        yield from same[:MOST_PER_CODE]
        rest = len(same) - MOST_PER_CODE
        if rest > 0:
            said = say("{rest:,} more columns: {title}.", rest=rest, title=TITLES[code])
            yield _finding(same[0].level, code, None, said)
