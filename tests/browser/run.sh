#!/bin/sh
# The browser test: installs what it needs (Chromium, playwright-core, OHIF), then runs it.
# Screenshots and logs are left in build/browser. PYTHON names the project's interpreter.
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}

missing=
command -v chromium >/dev/null || missing="chromium"
[ -f /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || missing="$missing fonts-dejavu-core"
if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "The browser test needs these Debian packages: $missing" >&2
        echo "Install them as root: apt-get update && apt-get install --no-install-recommends $missing" >&2
        exit 1
    fi
    echo "Installing $missing"
    timeout 300 apt-get update -qq
    # shellcheck disable=SC2086  # a list of names
    DEBIAN_FRONTEND=noninteractive timeout 600 apt-get install -qq -y --no-install-recommends $missing >/dev/null
fi

for program in node npm; do
    command -v "$program" >/dev/null || { echo "The browser test needs $program (Node 20 or later)." >&2; exit 1; }
done
if ! [ tests/browser/node_modules/.package-lock.json -nt tests/browser/package-lock.json ]; then
    timeout 300 npm ci --prefix tests/browser --ignore-scripts --no-audit --no-fund --silent
fi

node --test --test-reporter=dot tests/browser/*.test.mjs
"$PYTHON" -m tests.browser.run
exec "$PYTHON" -m tests.browser.web_page
