"""The lineage of an output as a picture: a box for each output, which leads to its own page."""

from __future__ import annotations

from collections.abc import Mapping
from gettext import NullTranslations

from aimass.core.manifest import Manifest
from aimass.core.reports import number
from aimass.core.reports.page import size
from aimass.ui.drawing import Arrow, Box, Drawing, draw
from aimass.ui.lineage import Lineage, Node
from aimass.ui.pages import Links
from aimass.ui.queries.published import Maker


def lineage_picture(
    lineage: Lineage, makers: Mapping[str, Maker], *, dag_id: str, run_id: str, links: Links, words: NullTranslations
) -> Drawing:
    """Return the picture of `lineage`.

    Parameters
    ----------
    lineage : Lineage
        What is drawn.
    makers : mapping of str to Maker
        The tasks that published the outputs, by address; such boxes lead to pages.
    dag_id, run_id : str
        The run from which the reader looks: boxes of other runs say so.
    links : Links
        Addresses of pages.
    words : gettext.NullTranslations
        The reader's language.
    """
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(lineage.nodes)
    graph.add_edges_from(lineage.edges)
    columns = {uri: column for column, uris in enumerate(nx.topological_generations(graph)) for uri in uris}
    pen = _Pen(makers, dag_id, run_id, links, words)
    boxes = [pen.box(node, columns[uri]) for uri, node in lineage.nodes.items()]
    return draw(boxes, [Arrow(start, end, field) for (start, end), field in lineage.edges.items()])


class _Pen:
    """Puts outputs into words."""

    def __init__(
        self, makers: Mapping[str, Maker], dag_id: str, run_id: str, links: Links, words: NullTranslations
    ) -> None:
        self._makers = makers
        self._dag_id = dag_id
        self._run_id = run_id
        self._links = links
        self._words = words

    def box(self, node: Node, column: int) -> Box:
        _ = self._words.gettext
        if node.manifest is None:
            title = _("gone") if node.state == "gone" else _("another pipeline's")
            why = (
                _("Garbage collection took this output, or it was never published.")
                if node.state == "gone"
                else _("This output belongs to another pipeline; its own pages tell about it.")
            )
            return Box(node.uri, column, title, _stage_of(node.uri), why, node.state)
        maker = self._makers.get(node.uri)
        is_other = maker is not None and maker.run_id != self._run_id
        tone = "here" if node.state == "here" else f"{node.manifest.kind}{' other' if is_other else ''}"
        title = _title(node.manifest, maker)
        return Box(
            node.uri, column, title, self._detail(node.manifest), self._hover(node.manifest, maker), tone,
            "" if node.state == "here" else self._address(maker),
        )  # fmt: skip

    def _detail(self, manifest: Manifest) -> str:
        released = manifest.result.get("version")
        if manifest.stage == "release" and released:
            return f"{manifest.result.get('name')} {released}"
        if manifest.kind == "dataset":
            rows = self._words.ngettext("%(num)s row", "%(num)s rows", manifest.rows)
            return f"{rows % {'num': number(manifest.rows)}}, {size(manifest.bytes)}"
        return size(manifest.bytes)

    def _hover(self, manifest: Manifest, maker: Maker | None) -> str:
        _ = self._words.gettext
        lines = [
            f"{_('stage')}: {manifest.stage}",
            f"{_('created')}: {manifest.created_at}",
            f"sha256: {manifest.digest[:16]}…",
        ]
        if maker is not None:
            lines.append(f"{_('run')}: {maker.run_id}")
        return "\n".join(lines)

    def _address(self, maker: Maker | None) -> str:
        if maker is None:
            return ""
        parts = ("pipelines", self._dag_id, "runs", maker.run_id, "tasks", maker.task.task_id, "dataset")
        return self._links.page(*parts, map_index=maker.task.map_index if maker.task.map_index >= 0 else None)


def _title(manifest: Manifest, maker: Maker | None) -> str:
    """Return the task's name, or the stage's; of several tables that were fetched alike, each with its own."""
    task = maker.task.task_id if maker is not None else manifest.stage
    table = manifest.config.get("name") if manifest.stage == "ingest" else None
    return f"{task}: {table}" if table else task


def _stage_of(uri: str) -> str:
    """Return the stage's name in the address of an output, ``<store>/<project>/<stage>/<key>``."""
    return uri.split("/")[-2] if uri.count("/") > 1 else ""
