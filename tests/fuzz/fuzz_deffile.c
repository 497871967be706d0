/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes: parsed, dumped, worded. What is dumped must be JSON that can be read back, and ok must
 * agree with the findings, which are in order. */
#include "base/mem.h"
#include "deffile/deffile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_findings(const struct deffile *d)
{
    bool ok = true;
    for (size_t i = 0; i < d->n_diags; i++) {
        const struct deffile_diag *g = &d->diags[i], *before = i ? g - 1 : NULL;
        if (before &&
            (before->line > g->line || (before->line == g->line && before->column > g->column)))
            abort();
        if (g->severity == DEFFILE_ERROR)
            ok = false;
        auto_free char *text = deffile_diag_text(d, g);
        if (!text[0])
            abort();
    }
    if (ok != d->ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_deffile struct deffile *d =
        deffile_parse((const char *)data, size, "fuzz.def", &deffile_schema_all);
    check_findings(d);
    auto_json struct json_object *dump = deffile_dump(d);
    auto_free char *text = json_text(dump, 0);
    auto_err struct err e = { 0 };
    auto_json struct json_object *again = json_read(text, strlen(text), "the dump", &e);
    if (!again)
        abort();
    if (!d->ok && deffile_err(d, &e) != -1)
        abort();
    return 0;
}
