"""Sections of a trigger's `conf`: laid over the written configuration, and checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aimass.core.errors import ConfigError, UnknownNameError
from aimass.core.settings import given
from aimass.hooks.allow import AllowList
from aimass.hooks.connections import connections_of_stage
from aimass.operators.forms import FOREIGN_PREFIX

FORM_FIELDS: dict[str, tuple[str, ...]] = {
    "families": ("train.models", "optimize.families"),
    "metric": ("train.metric", "optimize.metric"),
    "seed": ("train.seed", "optimize.seed"),
    "strategy": ("optimize.strategy",),
    "trials": ("optimize.trials",),
    "max_minutes": ("optimize.max_minutes",),
    "validation_share": ("split.validation",),
    "test_share": ("split.test",),
    "alias": ("release.alias",),
}
"""The flat fields of a pipeline's trigger form, each with the places in the sections that it stands for."""


def merge(written: Any, override: Any) -> Any:
    """Lay `override` over `written`: mappings key by key, anything else as a whole.

    A mapping that names another ``type`` replaces the written one, whose settings belong to another backend.
    """
    if not isinstance(written, Mapping) or not isinstance(override, Mapping):
        return override
    if "type" in override and override["type"] != written.get("type"):
        return dict(override)
    return {**written, **{key: merge(written.get(key), value) for key, value in override.items()}}


def spread(conf: Mapping[str, Any], models: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return `conf` with its flat fields as sections; where a section of `conf` says otherwise, that holds.

    Parameters
    ----------
    conf : mapping
        The trigger's conf; a field that is null or empty leaves what is written.
    models : sequence of mapping
        The written models of ``train``: a family that is chosen keeps its settings.
    """
    sections: dict[str, Any] = {}
    for name, value in given({name: conf.get(name) for name in FORM_FIELDS}).items():
        for place in FORM_FIELDS[name]:
            section, _, key = place.partition(".")
            sections.setdefault(section, {})[key] = _as_written(place, value, models)
    return dict(merge(sections, {k: v for k, v in conf.items() if k not in FORM_FIELDS and v is not None}))


def _as_written(place: str, value: Any, models: Sequence[Mapping[str, Any]]) -> Any:
    """Return what a field's `value` is called at `place`."""
    if place == "optimize.strategy":
        return {"type": value}
    if place == "train.models" and isinstance(value, list):
        chosen = [[model for model in models if model.get("type") == family] for family in value]
        return [model for family, own in zip(value, chosen, strict=True) for model in own or [{"type": family}]]
    return value


def overlay(config: Mapping[str, Any], conf: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    """Return `config` under what `conf` changes.

    Parameters
    ----------
    config : mapping
        The written configuration of a stage.
    conf : mapping
        The trigger's conf, its flat fields included.
    keys : mapping of str to str
        ``{path in the conf: key of the configuration}``; the empty key is the whole configuration.
    """
    result = dict(config)
    conf = spread(conf, config.get("models", ()))
    for path, key in keys.items():
        override = _at(conf, path)
        if override is None:
            continue
        if key:
            result[key] = merge(result.get(key), override)
        elif isinstance(override, Mapping):
            result = merge(result, override)
        else:
            raise ConfigError(
                f"The conf's section {path!r} is {override!r}"[:200], expected="a mapping of keys to values"
            )
    return result


def check_conf(conf: Mapping[str, Any], sections: Sequence[Mapping[str, Any]]) -> None:
    """Check a whole `conf` before the first stage runs.

    Parameters
    ----------
    conf : mapping
        The trigger's conf.
    sections : sequence of mapping
        What it may change: ``{"stage": verb, "config": written configuration, "keys": see `overlay`, "fixed": names of
        fields that it may not}``.

    Raises
    ------
    NotAllowedError
        It names a connection, path or import that ``[aimass]`` does not allow.
    ConfigError
        It has an unknown section or key, or an impossible value.
    """
    own = {name: value for name, value in conf.items() if not name.startswith(FOREIGN_PREFIX)}
    _check_names(own, [path for section in sections for path in section["keys"]])
    AllowList.from_options().check(own, where="conf")
    for section in sections:
        changed = overlay(section["config"], own, section["keys"])
        if changed != section["config"]:
            fixed = [name for name in section["fixed"] if changed.get(name) != section["config"].get(name)]
            check_stage_config(section["stage"], changed, fixed=fixed, where=f"the conf for {section['stage']!r}")
            check_connections(section["stage"], section["config"], changed)


def check_connections(stage: str, written: Mapping[str, Any], changed: Mapping[str, Any]) -> None:
    """Refuse what a conf made of the `written` configuration where it reads through a connection not allowed to confs.

    That a file names a connection lets nobody else read another table through it; nor does a field left out, whose
    default is a connection, too.

    Raises
    ------
    NotAllowedError
        A part that the conf changed names such a connection.
    """
    kept = [named.owner for named in connections_of_stage(stage, written)]
    for named in connections_of_stage(stage, changed):
        if named.owner not in kept:
            AllowList.from_options().check_connection(named.conn_id, where=f"the conf for {stage!r}")


def check_stage_config(stage: str, document: Mapping[str, Any], *, where: str, fixed: Iterable[str] = ()) -> None:
    """Validate the configuration of `stage`; neither inputs, which only a run knows, nor `fixed` fields may be in it.

    Raises
    ------
    ConfigError
        Each mistake by key, with the nearest valid name.
    """
    # The stages bring polars with them: only who checks pays for it.
    from aimass.core.settings import InputMarker, has_marker, parse_settings
    from aimass.core.stages import STAGES

    model = STAGES.load(stage).config
    inputs = {name: info for name, info in model.model_fields.items() if has_marker(info, InputMarker)}
    for name in sorted({*inputs, *fixed} & document.keys()):
        raise ConfigError(
            f"In {where}: {name!r} is set by the pipeline itself", mistakes=[(name, "is set by the pipeline itself")]
        )
    stand_ins = {name: _stand_in(info.annotation) for name, info in inputs.items()}
    parse_settings(model, {**stand_ins, **document}, where=where)


def _stand_in(annotation: Any) -> Any:
    """Return some value of an input's type: an address, or a mapping of addresses."""
    return {"any": "file:///any"} if "dict" in str(annotation).lower() else "file:///any"


def _at(conf: Any, path: str) -> Any:
    """Return what stands in `conf` at the dotted `path`, or None."""
    for name in path.split("."):
        conf = conf.get(name) if isinstance(conf, Mapping) else None
    return conf


def _check_names(conf: Mapping[str, Any], paths: Iterable[str]) -> None:
    """Refuse a name that leads to no configuration."""
    tree: dict[str, set[str]] = {}
    for path in paths:
        head, _, rest = path.partition(".")
        tree.setdefault(head, set()).update([rest] if rest else [])
    fields = {name for name, places in FORM_FIELDS.items() if any(place.partition(".")[0] in tree for place in places)}
    for name, value in conf.items():
        if name in fields:
            continue
        if name not in tree:
            raise UnknownNameError("section of the conf", name, [*tree, *fields])
        for inner in value if tree[name] and isinstance(value, Mapping) else ():
            if inner not in tree[name]:
                raise UnknownNameError(f"name in the conf's section {name!r}", inner, tree[name])
