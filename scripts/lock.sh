#!/usr/bin/env bash
# Resolve every lock anew (`make lock`): hashes, and no index address, so that each machine asks its own index.
# The widest environment is resolved first; the narrower ones are bound to it, so all locks agree.
set -euo pipefail
cd "$(dirname "$0")/.."

uv="$(python3 scripts/bootstrap.py uv)"

compile() { # compile OUTPUT SOURCE [ARGUMENT...]
    local output=$1
    shift
    "$uv" pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-annotate --no-sources \
        --custom-compile-command "make lock" --output-file "requirements/$output" "$@"
    echo "requirements/$output: $(grep -c '==' "requirements/$output") packages"
}

compile uv.txt requirements/uv.in
compile build.txt requirements/build.in
bind=(--constraints requirements/constraints.in --constraints requirements/build.txt)
compile test.txt setup.cfg --extra airflow --extra serve --extra demo --extra test --extra dev "${bind[@]}"
bind+=(--constraints requirements/test.txt)
compile demo.txt setup.cfg --extra airflow --extra serve --extra demo "${bind[@]}"
compile docker.txt setup.cfg --extra airflow --extra demo --extra postgres "${bind[@]}"
compile core.txt setup.cfg "${bind[@]}"
compile serve.txt requirements/serve.in "${bind[@]}"
# The tests' own servers live in an environment of their own: nothing there binds ours.
compile services.txt requirements/services.in
