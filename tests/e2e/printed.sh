#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What a stranger chose - names, labels, scripts, variables, a definition - reaches no terminal as it is: every
# command that prints is asked, in text and JSON, and its words are searched for control characters (C0, DEL, C1),
# bytes that are no UTF-8, and characters that turn the order of text.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
controls=$HPCC_BINARY_DIR/tests/hpcc-full-controls
[ -x "$controls" ] || skip "hpcc-full-controls is not built"
cd "$work"
esc=$'\033]0;owned\a\033[31m' del=$'\177' c1=$'\302\233' bad=$'\377\376' bidi=$'\342\200\256'
evil=a$esc$del$c1$bad$bidi

meta=tree/.singularity.d
mkdir -p $meta/env tree/bin tree/dir "tree/dir/$evil"
: > "tree/dir/$evil/f$evil"
ln -s "to$evil" "tree/dir/l$evil"
: > "tree/dir/line"$'\n'"hpcc: error: forged"
printf '{"a\\u001b[31m": "b\\u001b\\u009b\\u202e\\u007f"}' > $meta/labels.json
for file in runscript startscript test Singularity runscript.help; do printf '#!/bin/sh\necho %s\n' "$evil" > $meta/$file; done
printf 'export X%s=1\nexport Y="%s"\n' "$esc" "$evil" > "$meta/env/91-x$evil.sh"
cp $meta/env/91-* $meta/env/90-environment.sh
chmod 755 $meta/runscript $meta/test
"$hpcc" -q import "i$evil.img" tree
"$hpcc" -q import plain.img tree
printf 'Bootstrap: scratch%s\nX%s: y%s\n%%labels\n  a%s b\n%%files\n  x%s y\n%%nosuch%s\n' "$evil" "$esc" "$evil" \
    "$evil" "$evil" "$esc" > "d$evil.def"

# Lines of stdin that hold what must not be there. A tab and the end of a line may.
hostile() { # NAME
    /usr/bin/python3 -c '
import sys
data = sys.stdin.buffer.read()
try:
    text = data.decode("utf-8")
except UnicodeDecodeError as e:
    sys.exit("no UTF-8 at byte %d: %r" % (e.start, data[max(0, e.start - 40):e.start + 10]))
for c in text:
    o = ord(c)
    if (o < 32 and c not in "\n\t") or 127 <= o < 160 or 0x202a <= o <= 0x202e or 0x2066 <= o <= 0x2069:
        at = text.index(c)
        sys.exit("U+%04X in %r" % (o, text[max(0, at - 40):at + 20]))
if "\nhpcc: error: forged" in text:
    sys.exit("a name forged a line")
'
}

n=0
quiet() { # CMD…: neither stream holds anything hostile
    out=$("$@" < /dev/null 2>&1 | hostile 2>&1) || fail "$(printf '%q ' "$@")"
    n=$((n + 1))
}

images=("i$evil.img" plain.img)
for image in "${images[@]}"; do
    for json in '' --json; do
        quiet "$hpcc" ls $json "$image":/dir
        quiet "$hpcc" ls -lR $json "$image"
        quiet "$hpcc" ls -ld $json "$image:/dir/$evil"
        quiet "$hpcc" ls $json "$image:/no$evil"
        quiet "$hpcc" inspect $json "$image"
        quiet "$hpcc" inspect --all $json "$image"
        quiet "$hpcc" inspect --environment $json "$image"
        quiet "$hpcc" df $json "$image"
        quiet "$hpcc" check $json "$image"
        quiet "$hpcc" compact $json "$image"
        quiet "$hpcc" expand --auto $json "$image"
        quiet "$hpcc" shrink --minimum $json "$image"
        quiet "$hpcc" exec --dry-run $json "$image" "$evil"
        quiet "$hpcc" run --dry-run $json --env "A=$evil" --bind "/tmp:/$evil" "$image"
    done
    quiet "$hpcc" cat "$image:/no$evil"
    quiet "$hpcc" cat "$image:/dir/$evil"
    quiet "$hpcc" env "$image" --env "A$esc=$evil"
    quiet env "V$esc=$evil" "W=$evil" "$hpcc" env --explain "$image"
    quiet "$hpcc" copy "$image:/no$evil" .
    quiet "$hpcc" copy "/no$evil" "$image:/"
    quiet "$hpcc" exec "$image" "/no$evil"
    quiet "$hpcc" import --force "$image" "no$evil"
    quiet "$hpcc" export "$image" -o "/no$evil/x"
done
for json in '' --json; do
    quiet "$hpcc" deffile check $json "d$evil.def"
    quiet "$hpcc" deffile dump $json "d$evil.def"
    quiet "$hpcc" bootstrap --dry-run $json x.img "d$evil.def"
    quiet "$hpcc" create --force $json "c$evil.img"
    HPCC_CACHEDIR="$work/k$evil" quiet "$hpcc" cache list $json
    quiet "$hpcc" doctor $json
done
quiet "$hpcc" "$evil"
quiet "$hpcc" ls "--$evil"
quiet "$hpcc" help "$evil"
quiet "$hpcc" completion "$evil"
quiet "$hpcc" completion bash
ok "$n times nothing hostile is printed"

# On a terminal, where the content of one file is cleaned as well.
if command -v script > /dev/null; then
    for facet in deffile runscript startscript environment helpfile test labels all; do
        out=$(NO_COLOR=1 TERM=dumb script -qefc "$hpcc inspect --$facet plain.img" /dev/null < /dev/null | tr -d '\r' |
            hostile 2>&1) || fail "inspect --$facet on a terminal"
    done
    out=$(NO_COLOR=1 TERM=dumb script -qefc "$hpcc help plain.img" /dev/null < /dev/null | tr -d '\r' | hostile 2>&1) ||
        fail "help IMAGE on a terminal"
    ok "a terminal gets no escapes of an image"
fi

# What was asked for comes as it is.
cmp <("$hpcc" cat plain.img:/.singularity.d/runscript) $meta/runscript || fail "cat changes bytes"
cmp <("$hpcc" inspect --runscript plain.img) $meta/runscript || fail "inspect changes the bytes of one file"
ok "contents are not changed"

# The control: without the defence each of these is found.
for words in "ls plain.img:/dir" "env --explain plain.img" "inspect plain.img" "inspect --json plain.img"; do
    # shellcheck disable=SC2086
    if HPCC_TEST_OFF=printable "$controls" $words 2>&1 | hostile > /dev/null 2>&1; then fail "nothing is found in: $words"; fi
done
ok "without the defence it is printed"
