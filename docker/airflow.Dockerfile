# Airflow with AI Mass, for every Airflow service and the MLflow server of compose.yaml.
# Build from the repository's root: docker build -f docker/airflow.Dockerfile -t aimass-airflow:0.1.0 .
# Another index: --build-arg PIP_INDEX_URL=…  (no address is written into the image's files)
FROM python:3.12.12-slim-bookworm AS wheel
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /source
COPY requirements/build.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY providers providers
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel .

FROM python:3.12.12-slim-bookworm
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/opt/airflow
# libgomp1: LightGBM. tini: reaps the processes that tasks leave behind. fonts-noto-cjk: plots with Chinese names.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends fonts-noto-cjk libgomp1 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 50000 --gid 0 airflow \
    && install --directory --owner airflow --group 0 --mode 775 \
        /opt/airflow /opt/airflow/auth /opt/airflow/logs /opt/airflow/store /opt/airflow/mlflow
WORKDIR /opt/airflow
COPY requirements/build.txt requirements/docker.txt /opt/requirements/
RUN pip install --no-cache-dir --require-hashes -r /opt/requirements/build.txt \
    && pip install --no-cache-dir --no-build-isolation --require-hashes -r /opt/requirements/docker.txt
COPY --from=wheel /wheel /opt/wheel
RUN pip install --no-cache-dir --no-deps /opt/wheel/*.whl
COPY airflow_settings.yaml ./
COPY dags dags
COPY include include
USER 50000
ENTRYPOINT ["tini", "--", "airflow"]
CMD ["version"]
