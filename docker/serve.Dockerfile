# The inference server alone: neither Airflow nor what trains. `docker run aimass-serve:0.1.0 --tracking-uri http://mlflow:5000`
# Build from the repository's root: docker build -f docker/serve.Dockerfile -t aimass-serve:0.1.0 .
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
# tini: hands SIGTERM on, so that the server drains. The folders are volumes, and belong to the user.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 50000 --gid 0 aimass \
    && install --directory --owner aimass --group 0 --mode 775 /var/lib/aimass /var/lib/aimass/cache /var/lib/aimass/store
COPY requirements/serve.txt /opt/requirements/
RUN pip install --no-cache-dir --require-hashes -r /opt/requirements/serve.txt
COPY --from=wheel /wheel /opt/wheel
RUN pip install --no-cache-dir --no-deps /opt/wheel/*.whl
USER 50000
WORKDIR /var/lib/aimass
EXPOSE 8200 8201
ENTRYPOINT ["tini", "--", "python", "-m", "aimass.serving", "--host", "0.0.0.0"]
