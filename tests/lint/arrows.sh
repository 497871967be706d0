#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Includes follow the arrows of arrows.list; rooms and wings are seen through their headers only, their
# files stand in no circle across a border, and what must never be reached is not.
# shellcheck source=tests/lint/_lib.sh
. "$(dirname "$0")/_lib.sh"
arrows=$(cd "$(dirname "$0")" && pwd)/arrows.list

check() {
    lint_sources "${rooms[@]}" -- \( -name '*.[ch]' -o -name '*.list' \) | while read -r file; do
        awk -v file="$file" '/^[ \t]*#[ \t]*include[ \t]*"/ { split($0, q, "\""); print file "\t" FNR "\t" q[2] }' "$file"
    done | awk -F '\t' -v arrows="$arrows" '
        function words(text, out,   n, i, list) {
            delete out
            n = split(text, list, " ")
            for (i = 1; i <= n; i++) out[list[i]] = 1
        }
        function place(path,   part, n) {
            n = split(path, part, "/")
            return n > 2 ? part[1] "/" part[2] : part[1]
        }
        function stem(path) { sub(/\.[a-z]+$/, "", path); return path }
        function lies_in(path, list) { return place(path) in list || stem(path) in list }
        function room(of,   part) { split(of, part, "/"); return part[1] }
        function is_door(path, of,   part, n) { # the header that others may see
            n = split(of, part, "/")
            return of == "base" || path == "image/layout.h" || path == of "/" part[n] ".h"
        }
        # The sources behind a header: what a file needs at run time is in the .c beside it.
        function reach(from, seen, why,   queue, head, tail, at, i, n, next_list, to) {
            delete seen
            queue[tail = 1] = from; head = 0
            seen[from] = 1
            while (head < tail) {
                at = queue[++head]
                n = split(includes[at], next_list, " ")
                for (i = 1; i <= n; i++) {
                    to = next_list[i]
                    if (to in seen) continue
                    seen[to] = 1; why[to] = at
                    queue[++tail] = to
                }
            }
        }
        BEGIN {
            while ((getline line < arrows) > 0) {
                sub(/#.*/, "", line)
                if (line !~ /:/) continue
                split(line, half, ":")
                if (half[1] ~ / never$/) {
                    sub(/ never$/, "", half[1])
                    never_from[++n_never] = half[1]; never_to[n_never] = half[2]
                } else
                    may[half[1]] = half[2] " "
            }
        }
        {
            file = $1; to = $3; from_place = place(file); to_place = place(to)
            includes[file] = includes[file] " " to
            files[file] = 1
            at = file ":" $2 ": "
            if (to !~ /\// || !(to_place in may))
                print at "include from the root, as \"room/file.h\": " to
            else if (!(from_place in may))
                print at "no such place in arrows.list: " from_place
            else if (from_place == to_place)
                next
            else if (index(may[from_place], " " to_place " ") == 0 && to != room(from_place) "/" room(from_place) ".h")
                print at "no arrow from " from_place " to " to_place
            else if (!is_door(to, to_place) && !(room(from_place) == to_place))
                print at "private header of another place: " to
        }
        END {
            for (f in files) {
                reach(f, seen, why)
                for (i = 1; i <= n_never; i++) {
                    words(never_from[i], from); words(never_to[i], target)
                    if (!lies_in(f, from)) continue
                    for (s in seen)
                        if (lies_in(s, target))
                            print f ": reaches " s ", which it never may (by " why[s] ")"
                }
                for (s in seen)
                    if (s != f && place(s) != place(f) && room(s) == room(f)) {
                        n = split(includes[s], list, " ")
                        for (i = 1; i <= n; i++)
                            if (list[i] == f) print f ": stands in a circle with " s
                    }
            }
        }' | sort
}

include() { mkdir -p "$(dirname "$1")" && printf '#include "%s"\n' "${@:2}" > "$1"; }
bad_upward() { include base/x.c image/image.h; }
bad_recipe_at_run_time() { mkdir runtime && echo '#  include "deffile/deffile.h"' > runtime/x.h; }
bad_sideways() { include bootstrap/x.c runtime/runtime.h; }
bad_from_front_door() { include build/x.c cli/cli.h; }
bad_private() { include build/x.c image/rewrite.h; }
bad_private_of_a_wing() { include image/x.c image/writer/pack_plan.h; }
bad_wing_of_another_room() { include build/x.c image/reader/reader.h; }
bad_wing_upward() { include image/reader/x.c image/writer/writer.h; }
bad_wing_into_its_room() { include runtime/plan/x.c runtime/rootfs.h; }
bad_wing_without_arrow() { include image/shelf/x.c base/fs.h; }
bad_relative() { include build/x.c build.h; }
bad_reach() {
    include image/server/serve.c image/image.h
    include image/image.h image/writer/writer.h
}
bad_reach_of_one_file() {
    include image/probe.c image/image.h image/edit.h
    include image/edit.h image/writer/writer.h
}
bad_circle() {
    include image/tree/tree.h image/edit.h
    include image/edit.h image/tree/tree.h
}
good() {
    include build/x.c image/layout.h build/stage.h
    include runtime/x.c base/fs.h runtime/plan/plan.h
    include runtime/plan/x.c runtime/runtime.h runtime/plan/inner.h
    include bootstrap/deb/x.c bootstrap/cache.h bootstrap/deb/inner.h
    include image/x.c image/writer/writer.h image/edit.h
    include image/probed.c image/tar/tar.h
    include image/writer/x.c image/tree/tree.h image/image.h
}

lint_main
