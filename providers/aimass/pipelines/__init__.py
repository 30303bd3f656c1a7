"""From YAML files to DAGs: each becomes the DAG ``aimass_<name>``, a broken one a DAG that says what is wrong."""

from aimass.pipelines.generate import pipeline_dags

__all__ = ["pipeline_dags"]
