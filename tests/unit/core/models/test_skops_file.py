from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.naive_bayes import GaussianNB

from aimass.core.errors import CorruptDataError
from aimass.core.models.skops_file import load_estimator


def test_a_type_outside_the_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    skops.io.dump(GaussianNB().fit(np.array([[0.0], [1.0]]), [0, 1]), path)
    with pytest.raises(CorruptDataError, match="GaussianNB"):
        load_estimator(path)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"\x80\x04N."])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(content)
    with pytest.raises(CorruptDataError, match="not a skops file"):
        load_estimator(path)
