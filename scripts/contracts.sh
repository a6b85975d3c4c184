#!/usr/bin/env bash
# Rebuilds contracts/artifacts from contracts/src; with --check, compares instead and names what differs.
#
# Compiler and library are npm packages pinned by contracts/package-lock.json; they are installed into
# contracts/node_modules when they are not there or the lock file has changed since.
#
# Exit code 1: the artifacts differ, or do not build. 69: the compiler can't be had here, so nothing is known about them.

set -euo pipefail

case ${1-} in
    "" | --check) ;;
    *)
        printf 'usage: %s [--check]\n' "$0" >&2
        exit 2
        ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/../contracts"

# npm keeps no record that could be compared with the lock file byte by byte; so keep a copy of what was installed.
installed=node_modules/.installed-lock.json
if ! cmp -s package-lock.json "$installed"; then
    if ! npm --version >/dev/null 2>&1; then
        echo "contracts: no npm to install the Solidity compiler with; install Node.js with npm (Debian: npm)" >&2
        exit 69
    fi
    echo "contracts: installing the pinned compiler and library"
    if ! npm ci --prefer-offline --no-progress --loglevel=error </dev/null; then
        echo "contracts: npm could not install them; check network, proxy and npm's registry setting" >&2
        exit 69
    fi
    cp package-lock.json "$installed"
fi

exec node build.mjs "$@"
