#!/usr/bin/env bash
# Give the machine what tests/browser needs: Chromium, and a font with Chinese characters (`make env-browser`).
# Installs through apt where it may; elsewhere it says what is missing. Without a browser those tests skip on a laptop.
set -euo pipefail

has_browser() {
    local name
    for name in "${AIMASS_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
        # Ubuntu's package is a stub that only asks for snap: what counts is whether it runs.
        if [[ -n $name ]] && "$name" --version >/dev/null 2>&1; then return 0; fi
    done
    return 1
}

has_font() { command -v fc-list >/dev/null && [[ -n $(fc-list :lang=zh-cn family) ]]; }

missing=()
has_browser || missing+=(chromium)
has_font || missing+=(fontconfig fonts-noto-cjk)
if ((${#missing[@]} == 0)); then exit 0; fi

if ((EUID == 0)) && command -v apt-get >/dev/null; then
    echo "install_browser: installing ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null || true
fi

if has_browser && has_font; then exit 0; fi
has_browser || echo "install_browser: no Chromium: \`apt-get install chromium\`, or set AIMASS_CHROMIUM=/path/to/chrome" >&2
has_font || echo "install_browser: no font with Chinese characters: \`apt-get install fonts-noto-cjk\`" >&2
# On a laptop the tests skip, each with its reason; in CI that would be a hole.
[[ -z ${CI:-} ]]
