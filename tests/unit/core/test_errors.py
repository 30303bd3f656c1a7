from __future__ import annotations

import errno

import pytest

from aimass.core import errors


def test_message_says_seen_expected_known_and_next_step() -> None:
    error = errors.ConfigError("a is 3", expected="a below 2", known=["y", "x"], hint="Set a", key="a")
    assert str(error) == "a is 3. Expected: a below 2. Known: x, y. Set a."
    assert error.details == {"key": "a"}


def test_unknown_name_tells_the_nearest_one() -> None:
    error = errors.UnknownNameError("model", "lightgmb", ["lightgbm", "tree"])
    assert error.details["nearest"] == "lightgbm"
    assert str(error).endswith("Did you mean 'lightgbm'?")


def test_known_names_are_cut_after_forty() -> None:
    text = str(errors.ConfigError("x", known=[f"n{i:03d}" for i in range(100)]))
    assert "n039, …" in text
    assert "n040" not in text


def test_missing_dependency_prints_the_install_line() -> None:
    assert "pip install 'airflow-provider-aimass[serve]'" in str(errors.MissingDependencyError("x", extra="serve"))
    assert "pip install x" in str(errors.MissingDependencyError("x"))


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, errors.StorageFullError),
        (errno.EDQUOT, errors.StorageFullError),
        (errno.ENOENT, errors.NotFoundError),
        (errno.EACCES, errors.NotAllowedError),
        (errno.ECONNREFUSED, errors.UnreachableError),
        (errno.EIO, errors.TransientError),
    ],
)
def test_operating_system_errors_find_their_place_in_the_tree(number: int, kind: type[errors.AimassError]) -> None:
    assert type(errors.from_os_error(OSError(number, "seen", "/f"), doing="testing")) is kind


def test_every_error_is_terminal_or_transient_but_never_both() -> None:
    tree = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    for kind in set(tree) - {errors.AimassError}:
        assert issubclass(kind, errors.TerminalError) != issubclass(kind, errors.TransientError)
