"""The document ``exploration.json``: what later stages, forms and pages read about a dataset."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from aimass.core.texts import Text

FORMAT_VERSION = 1

Kind = Literal["numeric", "boolean", "category", "temporal", "other"]
Measure = Literal["pearson", "spearman", "cramers_v", "correlation_ratio"]


class Document(BaseModel):
    """Base of the document's models."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ValueCount(Document):
    """One value and how often it occurs."""

    value: str = Field(description="The value as text, cut after 200 characters.")
    count: int = Field(description="Rows of the training part that hold it.")


class Histogram(Document):
    """Counts of a numeric or temporal column between edges; the outer bins also hold what lies beyond them."""

    edges: list[float] = Field(description="n + 1 edges, ascending; temporal columns in their physical unit.")
    counts: list[int] = Field(description="n counts of rows, over the whole training part.")


class Numbers(Document):
    """Statistics of the finite values of a numeric or temporal column (temporal: in its physical unit)."""

    mean: float | None = Field(description="Arithmetic mean.")
    std: float | None = Field(description="Standard deviation with n - 1.")
    min: float | None = Field(description="Least value.")
    max: float | None = Field(description="Greatest value.")
    skew: float | None = Field(description="Third standardised moment (population).")
    zeros: int = Field(description="Rows equal to zero.")
    negative: int = Field(description="Rows below zero.")
    quantiles: dict[str, float] = Field(description="Quantiles by probability; of the sample when there is one.")


class Texts(Document):
    """Lengths of a text column, in characters."""

    min_length: int | None = Field(description="Shortest.")
    mean_length: float | None = Field(description="Mean.")
    max_length: int | None = Field(description="Longest.")


class LabelLink(Document):
    """How much one column alone says about the target, measured on the sample."""

    auc: float = Field(description="AUC of the best ranking this column alone gives (rates are cross-fitted).")
    auc_error: float = Field(description="Standard error of `auc` (Hanley and McNeil).")
    information: float = Field(description="Share of the target's entropy explained (mutual information), 0 to 1.")
    missing_auc: float = Field(description="AUC of 'the value is missing' as a score, at least 0.5.")


class ColumnProfile(Document):
    """One column of the training part."""

    name: str = Field(description="Name of the column.")
    type: str = Field(description="Arrow type.")
    kind: Kind = Field(description="How it was looked at.")
    role: str = Field(default="raw", description="raw, target, id or time.")
    rows: int = Field(description="Rows of the training part.")
    missing: int = Field(description="Rows without a value (null).")
    nan: int = Field(default=0, description="Rows that hold NaN.")
    infinite: int = Field(default=0, description="Rows that hold plus or minus infinity.")
    distinct: int = Field(description="Number of distinct values, null not counted.")
    distinct_is_exact: bool = Field(description="False: an estimate (HyperLogLog), as for large parts.")
    numbers: Numbers | None = Field(default=None, description="For numeric and temporal columns.")
    texts: Texts | None = Field(default=None, description="For text columns.")
    histogram: Histogram | None = Field(default=None, description="For numeric and temporal columns with values.")
    top: list[ValueCount] = Field(default_factory=list, description="Most frequent values, at most 50.")
    top_is_exact: bool = Field(default=True, description="False: counted on the sample and scaled up.")
    label: LabelLink | None = Field(default=None, description="Link to the target; none without a target.")

    @property
    def missing_share(self) -> float:
        """Share of rows without a usable value (null or NaN)."""
        return (self.missing + self.nan) / self.rows if self.rows else 0.0


class TargetProfile(Document):
    """The target and how it was turned into a yes-or-no question for the single-column measures."""

    name: str = Field(description="Name of the column.")
    task: Literal["binary", "multiclass", "regression"] = Field(description="What its values are.")
    positive: str = Field(description="What counts as positive in AUC and information.")
    said: Text | None = Field(default=None, description="`positive`, for other languages; none where it is a value.")
    positive_share: float = Field(description="Share of positive rows in the sample.")
    classes: list[ValueCount] = Field(description="Class balance; empty for regression.")


class Correlations(Document):
    """Matrices over numeric and temporal columns, pairwise complete, on at most about 25,000 rows of the sample."""

    columns: list[str] = Field(description="Names of rows and columns.")
    pearson: list[list[float | None]] = Field(description="Linear correlation.")
    spearman: list[list[float | None]] = Field(description="Rank correlation.")


class Association(Document):
    """A strong link between two columns."""

    left: str = Field(description="One column.")
    right: str = Field(description="The other; for the correlation ratio the category that explains `left`.")
    measure: Measure = Field(description="Which measure.")
    value: float = Field(description="Its value: -1 to 1 for correlations, else 0 to 1.")


class LeakageSuspect(Document):
    """A column that probably did not exist yet when the prediction is to be made."""

    column: str = Field(description="The suspect.")
    reason: Literal["predicts_alone", "predicts_in_pair", "missing_pattern", "known_with_outcome"] = Field(
        description="Which test it failed."
    )
    figure: float = Field(description="The figure that convicts it: an AUC, or a share of rows.")
    partner: str | None = Field(default=None, description="The second column of a pair.")
    evidence: str = Field(description="The reason in words, with its figures.")
    said: Text | None = Field(default=None, description="`evidence`, for other languages.")


class Finding(Document):
    """Something that a person should look at."""

    level: Literal["error", "warning", "info"] = Field(description="How urgent.")
    code: str = Field(description="What kind of finding, for programs.")
    column: str | None = Field(default=None, description="Where; none for the dataset as a whole.")
    text: str = Field(description="The finding in words, with its figures.")
    said: Text | None = Field(default=None, description="`text`, for other languages.")


class Exploration(Document):
    """The whole document."""

    format_version: int = Field(default=FORMAT_VERSION, description="Version of this document's format.")
    dataset: str = Field(description="Digest of the dataset that was explored.")
    part: str = Field(default="train", description="The share of the split that was read.")
    rows: int = Field(description="Rows of that part.")
    sample_rows: int = Field(description="Rows of the evenly spaced sample; equal to `rows` for small parts.")
    columns: list[ColumnProfile] = Field(description="Every column, in order.")
    target: TargetProfile | None = Field(description="The target, if the dataset has one.")
    correlations: Correlations = Field(description="Matrices of the numeric columns (at most 60).")
    associations: list[Association] = Field(description="Strongest links between two columns, at most 100.")
    leakage: list[LeakageSuspect] = Field(description="What speaks against which column; a column may appear twice.")
    findings: list[Finding] = Field(description="What to look at, most urgent first.")

    @property
    def suspects(self) -> list[str]:
        """The columns suspected of leakage, each once."""
        return list(dict.fromkeys(suspect.column for suspect in self.leakage))

    def column(self, name: str) -> ColumnProfile | None:
        """Return the profile of the column called `name`, or None."""
        return next((column for column in self.columns if column.name == name), None)
