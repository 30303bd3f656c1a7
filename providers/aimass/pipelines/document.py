"""YAML as people write it: version 1.2's few plain values, keys that are always text, and the line of every key.

PyYAML follows YAML 1.1, where ``on:`` is the key True, ``null:`` the key None, ``NO`` the value False, ``12:30`` the
number 750 and ``1e-3`` a text. A pipeline says ``on: [tailnum]`` and ``null: drop``, and means what it says.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import yaml

MAX_DEPTH = 50


class Document(NamedTuple):
    """A YAML document.

    Attributes
    ----------
    content : JSON-able
        What it says.
    lines : dict of str to int
        The line of every key and list entry, by dotted path.
    """

    content: Any
    lines: dict[str, int]


class DocumentError(ValueError):
    """The text is not a document that we read; `key` is where, as far as there is a key."""

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - filled below, as PyYAML does


_PLAIN = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}
for _tag, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))


def parse_document(text: str) -> Document:
    """Read `text`.

    Raises
    ------
    DocumentError
        It is not YAML, a key stands twice, or it uses aliases or tags.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        lines: dict[str, int] = {}
        return Document(_read(loader, node, "", lines, set()) if node is not None else None, lines)
    except yaml.MarkedYAMLError as error:
        place = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        told = " ".join(f"{error.context or ''} {error.problem or 'syntax error'}".split())
        raise DocumentError(f"is not YAML: {told}{place}") from None
    except yaml.YAMLError as error:
        raise DocumentError(f"is not YAML: {' '.join(str(error).split())[:200]}") from None
    except RecursionError:
        raise DocumentError("is nested too deeply") from None


def _read(loader: _Loader, node: yaml.Node, path: str, lines: dict[str, int], above: set[int]) -> Any:
    if id(node) in above or len(above) > MAX_DEPTH:
        raise DocumentError("refers to itself, or is nested too deeply", key=path)
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, path, lines, above | {id(node)})
    if isinstance(node, yaml.SequenceNode):
        values = []
        for index, item in enumerate(node.value):
            inner = f"{path}.{index}" if path else str(index)
            lines[inner] = item.start_mark.line + 1
            values.append(_read(loader, item, inner, lines, above | {id(node)}))
        return values
    return loader.construct_object(node)


def _mapping(
    loader: _Loader, node: yaml.MappingNode, path: str, lines: dict[str, int], above: set[int]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise DocumentError(f"has a key that is not a word, at line {line}", key=path)
        inner = f"{path}.{key.value}" if path else key.value
        if key.value in found:
            raise DocumentError(f"stands twice, again at line {line}", key=inner)
        lines[inner] = line
        found[key.value] = _read(loader, value, inner, lines, above)
    return found
