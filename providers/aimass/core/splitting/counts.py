"""What each share of a split gets, and the refusal of a split that leaves a share unusable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aimass.core.backends import backend_of
from aimass.core.errors import EmptyDataError, TargetError
from aimass.core.splitting import SPLITTERS
from aimass.core.splitting.base import SHARES

if TYPE_CHECKING:
    import polars as pl

    from aimass.core.manifest import Split


class ShareCounts:
    """Rows, and values of the targets, in each share.

    Attributes
    ----------
    rows : dict of str to int
        Rows by share.
    """

    def __init__(self, targets: Iterable[str]) -> None:
        self.rows: dict[Split, int] = dict.fromkeys(SHARES, 0)
        self._targets = list(targets)
        self._values: dict[Split, set[Any]] = {share: set() for share in SHARES}

    def see(self, rows: pl.DataFrame, share: Split) -> None:
        """Take note of `rows`, which `share` gets."""
        self.rows[share] += rows.height
        for name in self._targets:
            self._values[share].update(rows[name].unique().to_list())

    def check(self) -> None:
        """Raise EmptyDataError where a share has no rows, TargetError where its rows have one target only."""
        for share, count in self.rows.items():
            if not count:
                raise EmptyDataError(
                    f"The {share} share of {sum(self.rows.values()):,} rows is empty",
                    expected="rows in train, validation and test",
                    hint="Give more rows or larger shares; a time or group column needs enough different values",
                    split=share,
                )
        for share, values in self._values.items():
            # One value only can neither train nor judge a model.
            if self._targets and len(values) < 2:
                raise TargetError(
                    f"In the {share} share every row has the target {next(iter(values))!r}",
                    expected="both classes in each share",
                    hint="Choose other shares, or split by `stratified`",
                    split=share,
                )


def require_rows(n_rows: int) -> None:
    """Raise EmptyDataError where there are fewer rows than shares."""
    if n_rows < len(SHARES):
        raise EmptyDataError(f"{n_rows} rows cannot be split", expected=f"at least {len(SHARES)} rows")


def rehearse(document: Mapping[str, Any], rows: pl.DataFrame, target: str, *, is_whole: bool) -> None:
    """Split `rows` and raise what the stage would raise.

    Where they are not all rows, only what no further row could cure is looked for: a column that cannot order them.
    """
    backend, settings = backend_of(SPLITTERS, dict(document))
    splitter = backend(settings)
    if is_whole:
        require_rows(rows.height)
    splitter.fit(rows.lazy().select(splitter.columns()), rows.height)
    if is_whole:
        counts = ShareCounts([target])
        codes = splitter.assign(rows, 0)
        for code, share in enumerate(SHARES):
            counts.see(rows.filter(codes == code), share)
        counts.check()
