#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Includes follow the arrows of the house, and across rooms only public headers are seen.
# shellcheck source=tests/lint/_lib.sh
. "$(dirname "$0")/_lib.sh"

check() {
    lint_sources "${rooms[@]}" -- \( -name '*.[ch]' -o -name '*.list' \) | while read -r file; do
        awk -v file="$file" '
            BEGIN {
                may["base"] = " "
                may["deffile"] = " base "
                may["image"] = " base "
                may["bootstrap"] = " base deffile image "
                may["runtime"] = " base image "
                may["build"] = " base deffile image bootstrap runtime "
                may["cli"] = " base deffile image bootstrap runtime build "
                split(file, part, "/")
                room = part[1]
            }
            /^[ \t]*#[ \t]*include[ \t]*"/ {
                split($0, quoted, "\"")
                n = split(quoted[2], to, "/")
                if (n != 2 || !(to[1] in may))
                    print file ":" FNR ": include from the root, as \"room/file.h\": " quoted[2]
                else if (to[1] == room)
                    next
                else if (index(may[room], " " to[1] " ") == 0)
                    print file ":" FNR ": no arrow from " room " to " to[1]
                else if (to[1] != "base" && quoted[2] != to[1] "/" to[1] ".h" &&
                         quoted[2] != "image/layout.h")
                    print file ":" FNR ": private header of another room: " quoted[2]
            }' "$file"
    done
}

bad_upward() { mkdir base && echo '#include "image/image.h"' > base/x.c; }
bad_recipe_at_run_time() { mkdir runtime && echo '#  include "deffile/deffile.h"' > runtime/x.h; }
bad_sideways() { mkdir bootstrap && echo '#include "runtime/runtime.h"' > bootstrap/x.c; }
bad_from_front_door() { mkdir build && echo '#include "cli/cli.h"' > build/x.c; }
bad_private() { mkdir build && echo '#include "image/ext_write.h"' > build/x.c; }
bad_relative() { mkdir build && echo '#include "build.h"' > build/x.c; }
good() {
    mkdir build runtime
    printf '#include "image/layout.h"\n#include <rpm/rpmlib.h>\n#include "build/stage.h"\n' > build/x.c
    echo '#include "base/fs.h"' > runtime/x.c
}

lint_main
