"""What a stage is: a frozen configuration, a function, and a key under which its output is published once."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from aimass.core.datasets import DatasetWriter
from aimass.core.deps import Deps
from aimass.core.errors import AimassError, from_os_error
from aimass.core.manifest import (
    Column,
    File,
    InputRef,
    Link,
    Manifest,
    Part,
    find_manifest,
    load_manifest,
    publish_manifest,
)
from aimass.core.results import StageResult as StageResult
from aimass.core.settings import InputMarker, OutsideKeyMarker, Settings, has_marker, parse_settings
from aimass.core.storage import file_digest, text_digest

KEY_DIGITS = 16


class StageConfig(Settings):
    """Base of the stages' configurations."""

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Yield ``(field, uri)`` for every published output named here; ``field.key`` where the field is a mapping."""
        for name, info in type(self).model_fields.items():
            if has_marker(info, InputMarker):
                value = getattr(self, name)
                if isinstance(value, str):
                    yield name, value
                else:
                    yield from ((f"{name}.{key}", uri) for key, uri in (value or {}).items())

    def key_document(self) -> dict[str, Any]:
        """Return the fields that the key depends on, without the inputs' addresses."""
        fields = type(self).model_fields.items()
        left_out = {
            name for name, info in fields if has_marker(info, InputMarker) or has_marker(info, OutsideKeyMarker)
        }
        return self.model_dump(mode="json", exclude=left_out)


C = TypeVar("C", bound=StageConfig)
R = TypeVar("R", bound=StageResult)


@dataclass(frozen=True)
class Target:
    """Where an output goes, and what decides what it will be.

    Attributes
    ----------
    key : str
        Same key, same output.
    uri : str
        The folder.
    position : JSON-able
        Which rows of a source.
    inputs : list of InputRef
        What goes in.
    link : Link, optional
        Its place among outputs that follow one another.
    previous : tuple of (str, Manifest), optional
        The one before it, and in which folder.
    """

    key: str
    uri: str
    position: Any = None
    inputs: list[InputRef] = field(default_factory=list)
    link: Link | None = None
    previous: tuple[str, Manifest] | None = None


class Output:
    """The folder that a stage fills; invisible until the stage ends and the manifest is published."""

    def __init__(self, deps: Deps, target: Target) -> None:
        self.uri = target.uri
        self.key = target.key
        self.position = target.position
        self.target = target
        self.inputs = list(target.inputs)
        self.parts: list[Part] = []
        self.columns: list[Column] = []
        self._deps = deps
        self._files: dict[str, File] = {}
        self._writers: list[DatasetWriter] = []

    def dataset(self, *, tags: dict[str, dict[str, str]] | None = None, read_from: Any = None) -> DatasetWriter:
        """Return the writer of this output's rows; the stage closes it by returning.

        What an earlier attempt wrote is gone on with only if the position and `read_from` (JSON-able) are the same.
        """
        deps = self._deps
        of = text_digest([self.position, read_from])[:KEY_DIGITS]
        writer = DatasetWriter(deps.store, self.uri, failpoints=deps.failpoints, tags=tags, resumes=of)
        self._writers.append(writer)
        return writer

    def write_file(self, name: str, data: bytes | str) -> str:
        """Write a small file of the artifact; return its URI."""
        path = self._deps.store.staging_file(f"{self.uri}/{name}")
        try:
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
            return self.put_file(name, path)
        except OSError as error:
            raise from_os_error(error, doing=f"writing {name}") from error
        finally:
            path.unlink(missing_ok=True)

    def put_file(self, name: str, path: Path) -> str:
        """Move the local file at `path` into the artifact; return its URI."""
        self._files[name] = File(name=name, bytes=path.stat().st_size, sha256=file_digest(path))
        uri = f"{self.uri}/{name}"
        self._deps.store.upload(path, uri)
        return uri

    def adopt_file(self, file: File) -> None:
        """Take over a file that an interrupted attempt finished."""
        self._files[file.name] = file

    def adopt_parts(self, parts: Sequence[Part]) -> None:
        """Take over parts of other outputs, where they are, before the rows that are written here."""
        self.parts.extend(parts)

    def finish(self) -> None:
        """Close the writers and collect what they wrote."""
        for writer in self._writers:
            writer.close()
            self.parts.extend(writer.parts)
            self.columns = writer.columns

    def tidy(self) -> None:
        """Delete what only a later attempt would have needed; called once the manifest stands."""
        for writer in self._writers:
            writer.forget_checkpoints()

    def abandon(self) -> None:
        """Drop staged bytes after a failure."""
        for writer in self._writers:
            writer.abandon()

    @property
    def files(self) -> list[File]:
        """The files written so far, by name."""
        return [self._files[name] for name in sorted(self._files)]


@dataclass(frozen=True)
class Stage(Generic[C, R]):
    """A verb of the pipeline.

    Parameters
    ----------
    name : str
        The verb.
    config, result : type
        Its configuration and its result.
    code_version : int
        Raised whenever the same configuration and inputs would give another output.
    body : callable
        ``body(config, deps, output) -> result``: fills `output`; publishing is not its business.
    position : callable, optional
        ``position(config, deps)``: where a source stands now; JSON-able, part of the key, pinned per run.
    verify : callable, optional
        ``verify(result, deps) -> bool``: whether a reused result still stands in the outside world.
    refusal : callable, optional
        ``refusal(result) -> AimassError or None``: the verdict that fails the stage although its output (the report
        that says why) is published.
    modules : tuple of str
        Heavy modules that the body needs, for callers that want to import ahead.
    """

    name: str
    config: type[C]
    result: type[R]
    code_version: int
    body: Callable[[C, Deps, Output], R]
    position: Callable[[C, Deps], Any] | None = None
    verify: Callable[[R, Deps], bool] | None = None
    refusal: Callable[[R], AimassError | None] | None = None
    modules: tuple[str, ...] = ()

    def run(self, config: C, deps: Deps) -> R:
        """Return the stage's result: the published one where the same key stands already, a new one otherwise.

        Raises
        ------
        TerminalError
            Configuration or data must change first.
        TransientError
            The same call may succeed later.
        """
        deps = deps.with_purpose(self.name)
        try:
            result = self._run(config, deps)
            deps.note_use(result.uri)
            refused = self.refusal(result) if self.refusal else None
            if refused is not None:
                # The report that says why is published: whoever catches the error can lead people to it.
                refused.details.setdefault("result", result.model_dump(mode="json"))
                raise refused
            return result
        except AimassError:
            raise
        except OSError as error:
            raise from_os_error(error, doing=f"running {self.name}") from error

    def key(self, config: C, deps: Deps) -> str:
        """Return the key of the output that `config` leads to, for work on it that is spread over tasks."""
        return self.target(config, deps).key

    def target(self, config: C, deps: Deps) -> Target:
        """Return where the output that `config` leads to is, or will be."""
        inputs = _inputs(config, deps)
        position = self.position(config, deps) if self.position else None
        key = self._key(config, inputs, position)
        return Target(key, self.folder(key, deps), position, inputs)

    def folder(self, key: str, deps: Deps) -> str:
        """Return the URI of the output with that key."""
        return deps.store.folder(deps.project, self.name, key[:KEY_DIGITS])

    def standing(self, config: C, deps: Deps) -> R | None:
        """Return the result that `run` would reuse, or None where it would work."""
        folder = self.target(config, deps).uri
        manifest = find_manifest(deps.store, folder)
        return self._reusable(manifest, folder, deps) if manifest is not None else None

    def _reusable(self, manifest: Manifest, folder: str, deps: Deps) -> R | None:
        result = self._from_manifest(manifest, folder, reused=True)
        return result if self.verify is None or self.verify(result, deps) else None

    def _run(self, config: C, deps: Deps) -> R:
        return self._make(config, deps, self.target(config, deps))

    def _make(self, config: C, deps: Deps, target: Target) -> R:
        """Return the result of what stands at `target`; where nothing does, work and publish."""
        standing = find_manifest(deps.store, target.uri)
        if standing is not None and (reused := self._reusable(standing, target.uri, deps)) is not None:
            return reused
        output = Output(deps, target)
        try:
            result = self.body(config, deps, output)
            output.finish()
        except BaseException:
            output.abandon()
            raise
        deps.failpoints.hit("before_manifest")
        made = self._manifest(config, deps, output, result)
        # What did not stand any more was made anew, and its files may differ from those that the old manifest names.
        manifest = publish_manifest(deps.store, target.uri, made, replace=standing is not None)
        deps.failpoints.hit("after_manifest")
        output.tidy()
        return self._from_manifest(manifest, target.uri, reused=False)

    def preload(self) -> None:
        """Import the heavy modules that the body needs."""
        for module in self.modules:
            importlib.import_module(module)

    def parse(self, document: Any) -> C:
        """Build the configuration from a mapping; every mistake is named with its key and the nearest valid one."""
        return parse_settings(self.config, document, where=f"the configuration of {self.name!r}")

    def _key(self, config: C, inputs: Sequence[InputRef], position: Any) -> str:
        return text_digest(
            {
                "stage": self.name,
                "code_version": self.code_version,
                "config": config.key_document(),
                "inputs": [[ref.field, ref.digest] for ref in inputs],
                "position": position,
            }
        )

    def _manifest(self, config: C, deps: Deps, output: Output, result: R) -> Manifest:
        return Manifest(
            kind="dataset" if output.columns else "artifact",
            project=deps.project,
            stage=self.name,
            key=output.key,
            code_version=self.code_version,
            config=config.model_dump(mode="json"),
            inputs=output.inputs,
            columns=output.columns,
            parts=output.parts,
            files=output.files,
            position=output.position,
            link=output.target.link,
            result=result.model_dump(mode="json", exclude={"uri", "digest", "reused"}),
            created_at=deps.clock().isoformat(timespec="seconds"),
        )

    def _from_manifest(self, manifest: Manifest, folder: str, *, reused: bool) -> R:
        return self.result.model_validate(
            {**manifest.result, "uri": folder, "digest": manifest.digest, "reused": reused}
        )


def _inputs(config: StageConfig, deps: Deps) -> list[InputRef]:
    return [
        InputRef(field=field, uri=uri, digest=load_manifest(deps.store, uri).digest) for field, uri in config.inputs()
    ]
