# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034,SC2154 # words for, and of, the scripts around it
# Sourced after _lib.sh by the tests of rpm distributions. Makes the fixture once ($fx, kept between
# runs; HPCC_RPMREPO names another place) and gives:
#   serve          http on loopback: $http is its address, $requests its log
#   definition     a definition on stdout: KEY VALUE pairs as "KEY: VALUE" lines after the agent
fx=${HPCC_RPMREPO:-$HPCC_BINARY_DIR/fixtures/rpmrepo}
for tool in rpmbuild rpmsign createrepo_c gpg zstd; do
    command -v "$tool" > /dev/null || skip "'$tool' is not installed"
done
made=$("$HPCC_SOURCE_DIR/tests/fixtures/rpmrepo/make.sh" "$fx" base 2>&1) || {
    echo "$made"
    skip "the rpm test distribution cannot be made here"
}
repo=$fx/repo
good_key=$fx/keys/RPM-GPG-KEY-good
export HPCC_CACHEDIR=$work/cache
requests=$work/requests
http=

stop_server() {
    [ -z "${server_in:-}" ] || exec {server_in}>&-
    [ -z "${server_pid:-}" ] || wait "$server_pid" 2> /dev/null || :
}

serve() {
    local port
    mkfifo "$work/server.in"
    /usr/bin/python3 "$HPCC_SOURCE_DIR/tests/fixtures/rpmrepo/serve.py" "$repo" "$requests" \
        < "$work/server.in" > "$work/port" 2> /dev/null &
    server_pid=$!
    exec {server_in}> "$work/server.in"
    cleanup_hooks+=(stop_server)
    for _ in $(seq 100); do
        port=$(cat "$work/port")
        [ -z "$port" ] || break
        sleep 0.1
    done
    http=http://127.0.0.1:$port
}

definition() {
    echo 'Bootstrap: yum'
    while [ $# -gt 1 ]; do
        echo "$1: $2"
        shift 2
    done
}
