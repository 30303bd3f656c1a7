#!/usr/bin/env bash
# Give the machine the servers that tests start (`make env-services`): MariaDB from Debian; Apache Kafka and Hadoop from
# their published jars; SeaweedFS (S3) and SecantusDB (MongoDB's wire protocol) from Python packages.
# Installs through apt where it may; elsewhere it says what is missing. Without a server its tests skip on a laptop.
set -euo pipefail
cd "$(dirname "$0")/.."
services=.tools/services

missing=()
[[ -x /usr/sbin/mariadbd || -n $(command -v mariadbd || true) ]] || missing+=(mariadb-server-core mariadb-client-core)
command -v java >/dev/null || missing+=(openjdk-17-jre-headless)
command -v mvn >/dev/null || missing+=(maven)
if ((${#missing[@]})) && ((EUID == 0)) && command -v apt-get >/dev/null; then
    echo "install_services: installing ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null || true
fi

jars() { # jars NAME: copy the jars that tests/services/jars/NAME/pom.xml names, once for each version of it
    local pom=tests/services/jars/$1/pom.xml folder=$services/$1
    local stamp=$folder/stamp
    if [[ -f $stamp && $(<"$stamp") == "$(sha256sum <"$pom")" ]]; then return 0; fi
    if ! command -v mvn >/dev/null || ! command -v java >/dev/null; then
        echo "install_services: no Java or Maven for $1: \`apt-get install openjdk-17-jre-headless maven\`" >&2
        return 1
    fi
    echo "install_services: fetching $1" >&2
    rm -rf "$folder"
    mkdir -p "$folder"
    mvn --quiet --batch-mode --file "$pom" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$PWD/$folder/jars" >&2 || return 1
    sha256sum <"$pom" >"$stamp"
}

packages() { # the servers that are Python packages, in an environment of their own
    local lock=requirements/services.txt stamp=$services/python/stamp
    if [[ -f $stamp && $(<"$stamp") == "$(sha256sum <"$lock")" ]]; then return 0; fi
    echo "install_services: installing SeaweedFS and SecantusDB" >&2
    local uv
    uv=$(python3 scripts/bootstrap.py uv) || return 1
    "$uv" venv --quiet --clear --python .venv/bin/python "$services/python" &&
        "$uv" pip sync --quiet --python "$services/python/bin/python" --require-hashes "$lock" || return 1
    sha256sum <"$lock" >"$stamp"
}

failed=()
mkdir -p "$services"
[[ -x /usr/sbin/mariadbd || -n $(command -v mariadbd || true) ]] || failed+=("MariaDB (apt-get install mariadb-server-core)")
jars kafka || failed+=(Kafka)
jars hadoop || failed+=(Hadoop)
packages || failed+=("SeaweedFS and SecantusDB")
if ((${#failed[@]} == 0)); then exit 0; fi
printf 'install_services: not installed: %s\n' "${failed[@]}" >&2
# On a laptop the tests skip, each with its reason; in CI that would be a hole.
[[ -z ${CI:-} ]]
