#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# debootstrap's mirrors gone wrong, all on this machine: each is one clear error, no image, and
# nothing left behind.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
[ -x /usr/sbin/debootstrap ] || skip "debootstrap is not installed"
for tool in gpg gpgv python3 openssl; do
    command -v "$tool" > /dev/null || skip "$tool is not installed"
done
export HPCC_DISABLE_CACHE=1
cd "$work"

export GNUPGHOME=$work/gnupg
mkdir -m 700 gnupg
sign() { gpg --batch --yes --quiet --no-tty --passphrase '' "$@" 2> /dev/null; }
for who in archive stranger; do
    sign --quick-gen-key "$who@test.example" ed25519 sign never
    sign --output "$who.gpg" --export "$who@test.example"
done
stop_gpg() { gpgconf --kill all; }
cleanup_hooks+=(stop_gpg)

# A mirror whose server answers as its first directory says.
mkdir -p mirror
cat > serve.py << 'PY'
import http.server, ssl, threading

class Answer(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        first = self.path.split("/")[1]
        if first == "broken":
            self.send_error(500)
        elif first == "page":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>please log in</html>\n")
        elif first == "moved":
            self.send_response(302)
            self.send_header("Location", "file:///etc/shadow")
            self.end_headers()
        elif first == "down": # from https to http
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:%d/%s" % (plain.server_port, self.path[6:]))
            self.end_headers()
        elif first == "circle":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *args):
        pass

plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
secret = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain("../cert.pem")
secret.socket = tls.wrap_socket(secret.socket, server_side=True)
threading.Thread(target=secret.serve_forever, daemon=True).start()
print(plain.server_port, secret.server_port, flush=True)
plain.serve_forever()
PY
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=127.0.0.1 \
    -addext subjectAltName=IP:127.0.0.1 -keyout cert.pem -out cert.crt 2> /dev/null
cat cert.crt >> cert.pem
(cd mirror && exec python3 "$work/serve.py" > ../port) &
server=$!
stop_server() { kill "$server"; }
cleanup_hooks+=(stop_server)
for _ in $(seq 100); do
    [ ! -s port ] || break
    sleep 0.1
done
read -r plain secret < port
at=http://127.0.0.1:$plain

# release NAME KEY TEXT…: a mirror NAME with that Release, signed by KEY ("-": not at all)
release() {
    local dir=mirror/$1/dists/bookworm key=$2
    shift 2
    mkdir -p "$dir"
    printf '%s\n' 'Suite: stable' "$@" > "$dir/text"
    if [ "$key" = - ]; then
        cp "$dir/text" "$dir/InRelease"
    else
        sign --local-user "$key@test.example" --output "$dir/InRelease" --clearsign "$dir/text"
    fi
    rm "$dir/text"
}
now='Date: Mon, 13 Nov 2023 10:00:00 UTC'
release good archive 'Codename: bookworm' "$now" 'Components: main'
release foreign stranger 'Codename: bookworm' "$now" 'Components: main'
release naked - 'Codename: bookworm' "$now" 'Components: main'
release stale archive 'Codename: bookworm' "$now" 'Valid-Until: Mon, 20 Nov 2023 10:00:00 UTC'
release future archive 'Codename: bookworm' 'Date: Fri, 13 Nov 2099 10:00:00 UTC'
release other archive 'Codename: trixie' "$now"
cp -r mirror/good mirror/changed
sed -i 's/^Components: main/Components: evil/' mirror/changed/dists/bookworm/InRelease

# wrong STATUS PATTERN TEXT LINES: the definition with these further lines is refused
wrong() {
    printf 'Bootstrap: debootstrap\nOSVersion: bookworm\nKeyring: archive.gpg\n%b' "$4" > x.def
    refuse "$1" "$2" "$hpcc" bootstrap x.img x.def
    [ ! -e x.img ] || fail "an image is there"
    ok "$3"
}
wrong 5 "x\.def:4: gave up after 3 tries: cannot fetch 'http://127.0.0.1:1/d/" "a mirror that does not answer" 'MirrorURL: http://127.0.0.1:1/d\n'
wrong 3 "x\.def:2: the mirror .* has no suite 'bookworm'" "a mirror without the suite" "MirrorURL: $at/none\n"
wrong 5 'x\.def:4: gave up after 3 tries: the server answered 500' "a mirror that fails" "MirrorURL: $at/broken\n"
wrong 5 'carries no signature' "a web page in the mirror's place" "MirrorURL: $at/page\n"
wrong 5 'cannot fetch' "a redirect to a local file" "MirrorURL: $at/moved\n"
wrong 5 'cannot fetch' "a redirect without end" "MirrorURL: $at/circle\n"

# What was asked for by https comes by https or not at all, wherever the server points.
real=$hpcc
printf '#!/bin/sh\nexec unshare -m sh -c "mount --bind %s/cert.crt /etc/ssl/certs/ca-certificates.crt && exec \\"\\$@\\"" hpcc %s "$@"\n' \
    "$work" "$real" > trusting
chmod 755 trusting
hpcc=$work/trusting
wrong 5 'has nothing for architecture' "a mirror by https" "MirrorURL: https://127.0.0.1:$secret/good\n"
wrong 5 'cannot fetch .*Protocol "http" .*(disabled|not supported)' "a redirect from https to http" \
    "MirrorURL: https://127.0.0.1:$secret/down/good\n"
hpcc=$real
wrong 5 "signed by key [0-9A-F]+, which is not in '.*archive.gpg'" "another's key" "MirrorURL: $at/foreign\n"
wrong 5 'carries no signature' "a Release that nobody signed" "MirrorURL: $at/naked\n"
wrong 5 'bad signature' "a Release changed after signing" "MirrorURL: $at/changed\n"
wrong 5 'expired on 2023-11-20 10:00 UTC' "an old state played back" "MirrorURL: $at/stale\n"
wrong 5 "dated 2099-11-13 .* this host's clock says" "a clock that is wrong" "MirrorURL: $at/future\n"
wrong 3 "x\.def:2: .* gave suite 'trixie' where 'bookworm' was asked for" "another suite" "MirrorURL: $at/other\n"
wrong 5 'has nothing for architecture' "a suite without this architecture" "MirrorURL: $at/good\n"
wrong 5 "cannot fetch 'http://127.0.0.1:1/d/" "the password of an address is not shown" 'MirrorURL: http://u:password@127.0.0.1:1/d\n'
if grep -q "password" <<< "$out"; then fail "a password is shown"; fi

# A Release that is not signed is taken only when the user types it, and says so.
printf 'Bootstrap: debootstrap\nOSVersion: bookworm\nMirrorURL: %s/naked\n' "$at" > x.def
refuse 5 'NOT CHECKED' "$hpcc" bootstrap --no-verify x.img x.def
ok "--no-verify is loud"

# inject TEXT: header lines that a shell would run or debootstrap take for an option
inject() {
    printf 'Bootstrap: debootstrap\n%s\n' "$1" > x.def
    refuse 3 'x\.def:[0-9]+: ' "$hpcc" bootstrap x.img x.def
    if [ -e x.img ] || [ -e pwned ]; then fail "something was made of: $1"; fi
}
# shellcheck disable=SC2016
for value in "x'; touch pwned; '" '`touch pwned`' '$(touch pwned)' 'a;touch pwned' 'a|touch pwned' \
    '"x' 'a&touch pwned' 'a>pwned'; do
    inject "OSVersion: $value"
    inject "OSVersion: bookworm
Include: good $value"
    inject "OSVersion: bookworm
MirrorURL: http://127.0.0.1/$value"
done
for value in --foo -o ../../x; do
    inject "OSVersion: $value"
    inject "OSVersion: bookworm
Include: $value"
    inject "OSVersion: bookworm
MirrorURL: $value"
done
inject 'OSVersion: bokworm'
expect 3 "did you mean 'bookworm'" "$hpcc" bootstrap x.img x.def
ok "hostile and misspelt headers are refused by their line, and nothing runs"

cat > without.sh << 'SH'
mount --make-rprivate /
touch "$1/none"
mount --bind "$1/none" /usr/sbin/debootstrap
shift
exec "$@"
SH
printf 'Bootstrap: debootstrap\nOSVersion: bookworm\nMirrorURL: %s/good\nKeyring: archive.gpg\n' "$at" > x.def
refuse 4 "'debootstrap' is not installed" \
    unshare -m sh -e without.sh "$work" "$hpcc" bootstrap x.img x.def
expect 4 'apt-get install debootstrap' unshare -m sh -e without.sh "$work" "$hpcc" bootstrap x.img x.def
ok "a host without debootstrap is told what to install"

sed -i '/^Keyring/d; s/bookworm/jammy/' x.def
cat > nokeys.sh << 'SH'
mount --make-rprivate /
mkdir -p "$1/nokeys"
mount --bind "$1/nokeys" /usr/share/keyrings
shift
exec "$@"
SH
refuse 4 'ubuntu-keyring' unshare -m sh -e nokeys.sh "$work" "$hpcc" bootstrap x.img x.def
ok "a keyring that is missing is refused, with the package that has it"
