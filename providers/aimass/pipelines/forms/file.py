"""The form for a file: CSV, JSON lines, Parquet or ORC, on any file system that may be named."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from aimass.core.settings import Location
from aimass.pipelines.forms.base import TrainForm
from aimass.pipelines.model import Section

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}


class FileForm(TrainForm):
    """Train on one table in a file, or in files of the same columns."""

    example: ClassVar[dict[str, Any]] = {**TrainForm.example, "file": "rows.csv"}

    file: Location = Field(
        min_length=1,
        title="File",
        description="Path or URI of a CSV, TSV, JSON lines, Parquet or ORC file, also packed (.gz, .zst, .bz2, .zip); "
        "a pattern with * names several. The page New model uploads one for you.",
        json_schema_extra={"section": "Data"},
    )
    encoding: Literal["utf-8", "gb18030", "utf-16", "latin-1"] = Field(
        default="utf-8",
        title="Encoding",
        description="How a text file spells its characters; gb18030 is what Excel saves on a Chinese system.",
        json_schema_extra={"section": "Data"},
    )
    delimiter: Literal["auto", "comma", "semicolon", "tab", "bar"] = Field(
        default="auto",
        title="Delimiter",
        description="What stands between the fields of a text file; auto is a comma, in .tsv files a tab.",
        json_schema_extra={"section": "Data"},
    )

    def source(self) -> Section:
        """Return the files."""
        delimiter = {} if self.delimiter == "auto" else {"delimiter": DELIMITERS[self.delimiter]}
        return {"type": "files", "uri": self.file, "encoding": self.encoding, **delimiter}
