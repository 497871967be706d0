#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# -DHPCC_BUILD=OFF, for compute nodes: builds, links neither librpm nor libsolv, and says what it
# lacks. And what packagers rely on: options, DESTDIR, uninstall, the same bytes from another path.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
cd "$work"
command -v ninja > /dev/null || skip "ninja is not installed"

launcher=()
if command -v ccache > /dev/null; then launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache); fi
expect 0 '' cmake -G Ninja -S "$HPCC_SOURCE_DIR" -B "$work/out" -DHPCC_BUILD=OFF -DBUILD_TESTING=OFF \
    "${launcher[@]}"
expect 0 '' cmake --build "$work/out"
hpcc=$work/out/bin/hpcc
ok "it builds"

for program in hpcc hpcc-full; do
    needed=$(readelf -d "out/bin/$program" | grep NEEDED)
    ! grep -E 'rpm|solv|curl|expat' <<< "$needed" || fail "$program links build libraries"
done
! readelf -d out/bin/hpcc | grep -E 'NEEDED.*(squash|zstd|lzma|lz4|lzo|libz)' || fail "hpcc links decompressors"
ok "it links neither librpm nor libsolv"

expect 0 '^  create ' "$hpcc" help
! grep -qE '^  (bootstrap|deffile) ' <<< "$out" || fail "help lists commands that are not there"
refuse 4 'to run images only' "$hpcc" deffile check x.def
expect 0 '' "$hpcc" create --size 8M x.img
expect 0 'has no labels' "$hpcc" inspect x.img
ok "it says what it lacks and does the rest"

cmake --install out --prefix "$work/inst" > /dev/null
expect 0 '^  create ' inst/bin/hpcc help
[ ! -e inst/share/man/man1/hpcc-deffile.1 ] || fail "a page of a missing command is installed"
ok "it installs no pages of what it lacks"

if command -v mksquashfs busybox > /dev/null && [ -x out/bin/hpcc-squashfs ]; then
    mkdir -p root/{bin,dev,proc,sys,tmp,etc,root,home}
    cp "$(command -v busybox)" root/bin/sh
    mksquashfs root x.sqsh -quiet -no-progress > /dev/null
    expect 0 '^it runs$' inst/bin/hpcc exec --userns x.sqsh /bin/sh -c 'echo it runs'
    ok "the server of squashfs is found where it is installed"
fi

# All that pkg-config knows but libsquashfuse.
mkdir modules
IFS=: read -ra dirs <<< "$(pkg-config --variable pc_path pkg-config)"
for dir in "${dirs[@]}"; do
    for module in "$dir"/*.pc; do
        if [ -e "$module" ]; then ln -sf "$module" modules/; fi
    done
done
rm -f modules/squashfuse*.pc
expect 0 "only root will run squashfs.*" env PKG_CONFIG_LIBDIR="$work/modules" cmake -G Ninja -S "$HPCC_SOURCE_DIR" \
    -B "$work/without" -DHPCC_BUILD=OFF -DBUILD_TESTING=OFF "${launcher[@]}"
grep -q 'apt-get install libsquashfuse-dev' <<< "$out" || fail "the package is not named"
expect 1 'HPCC_SQUASHFS is ON.*' env PKG_CONFIG_LIBDIR="$work/modules" cmake -G Ninja -S "$HPCC_SOURCE_DIR" \
    -B "$work/wanted" -DHPCC_BUILD=OFF -DBUILD_TESTING=OFF -DHPCC_SQUASHFS=ON
expect 1 'write ON, OFF or AUTO' cmake -G Ninja -S "$HPCC_SOURCE_DIR" -B "$work/wanted" -DHPCC_SQUASHFS=no
expect 0 '' cmake --build "$work/without" --target hpcc
[ ! -e without/bin/hpcc-squashfs ] || fail "hpcc-squashfs is built without its library"
ok "it builds without libsquashfuse"

# Options leave out what is installed, and nothing is said about it.
expect 0 '' cmake -G Ninja -S "$HPCC_SOURCE_DIR" -B "$work/less" -DHPCC_BUILD=OFF -DBUILD_TESTING=OFF \
    -DHPCC_SQUASHFS=OFF -DHPCC_MAN=OFF -DHPCC_STATIC=OFF
! grep -q 'not found' <<< "$out" || fail "what is not wanted is missed: $out"
! grep -qE 'hpcc-squashfs|\.scd|libyaml\.a' less/build.ninja || fail "what is not wanted is built"
ok "options leave out what is installed"

# The first installation is below DESTDIR, and goes away again with all its folders.
paths() { (cd "$1" && find . ! -type d | sort); }
DESTDIR=$work/stage cmake --install out --prefix /opt/hpcc > /dev/null
expect 0 '^\./opt/hpcc/libexec/hpcc/hpcc-full$' paths stage
! grep -qv '^\./opt/hpcc/' <<< "$out" || fail "files beside DESTDIR's prefix: $out"
echo ours > stage/opt/hpcc/libexec/hpcc/note
expect 0 '' env DESTDIR="$work/stage" cmake --build out --target uninstall
[ "$(paths stage)" = ./opt/hpcc/libexec/hpcc/note ] || fail "uninstall leaves or takes too much: $(paths stage)"
ok "what was installed below DESTDIR is uninstalled, and nothing else"

# Compiled without a cache, which would compare the first result with itself. One room is enough
# here; the whole is compared by tests/long/same-bytes.sh.
for place in one/deep/tree another; do
    mkdir -p "$place"
    (cd "$HPCC_SOURCE_DIR" && tar -c --exclude=./out --exclude=./.git .) | tar -x -C "$place"
    expect 0 '' cmake -G Ninja -S "$place" -B "$place/out/x" -DHPCC_BUILD=OFF -DBUILD_TESTING=OFF \
        -DCMAKE_BUILD_TYPE=RelWithDebInfo
    expect 0 '' cmake --build "$place/out/x" --target base
done
expect 0 '' cmp one/deep/tree/out/x/libhpcc-base.a another/out/x/libhpcc-base.a
# The control: without the option each says where it was compiled.
sed -i '/ffile-prefix-map/d' another/CMakeLists.txt
expect 0 '' cmake --build another/out/x --target base
expect 1 'differ' cmp one/deep/tree/out/x/libhpcc-base.a another/out/x/libhpcc-base.a
ok "another path gives the same bytes"

mkdir -p src/build
cp "$HPCC_SOURCE_DIR/CMakeLists.txt" src
expect 1 'configure into out/' cmake -G Ninja -S src -B src/build
expect 1 'configure into out/' cmake -G Ninja -S src -B src
ok "the source room build/ is refused as a place for output"
