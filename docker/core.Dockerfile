# The engine without Airflow: what a pod runs. `docker run aimass-core:0.1.0 ingest --config /config/ingest.yaml`
# Build from the repository's root: docker build -f docker/core.Dockerfile -t aimass-core:0.1.0 .
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
ENV PYTHONUNBUFFERED=1
# libgomp1: LightGBM. fonts-noto-cjk: plots with Chinese names.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends fonts-noto-cjk libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 50000 --gid 0 aimass
COPY requirements/core.txt /opt/requirements/
RUN pip install --no-cache-dir --require-hashes -r /opt/requirements/core.txt
COPY --from=wheel /wheel /opt/wheel
RUN pip install --no-cache-dir --no-deps /opt/wheel/*.whl
USER 50000
WORKDIR /home/aimass
ENTRYPOINT ["python", "-m", "aimass.core"]
CMD ["--help"]
