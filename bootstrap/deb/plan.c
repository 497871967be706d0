/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/deb/deb.h"

#include <fcntl.h>
#include <strings.h>

#include "base/log.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"
#include "bootstrap/deb/aptconf.h"
#include "bootstrap/value.h"
#include "bootstrap/vault.h"

const struct deb_host deb_host_here = {
    .scripts = "/usr/share/debootstrap/scripts",
    .keyrings = "/usr/share/keyrings",
    .apt = "/etc/apt",
};

static const char *const schemes[] = { "https", "http", "ftp", "file", NULL };

/* Debian's architectures by the kernel's names for them. */
static const struct {
    const char *uname, *debian;
} arches[] = {
    { "x86_64", "amd64" },    { "aarch64", "arm64" },   { "i686", "i386" },
    { "armv7l", "armhf" },    { "ppc64le", "ppc64el" }, { "s390x", "s390x" },
    { "riscv64", "riscv64" }, { "mips64", "mips64el" }, { "loongarch64", "loong64" },
};

static const char *arch_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(arches); i++)
        if (str_eq(arches[i].uname, name) || str_eq(arches[i].debian, name))
            return arches[i].debian;
    return NULL;
}

static const char *value_of(const struct agent_input *in, const char *key)
{
    const char *v = deffile_header_value(in->stage, key);
    return v && v[0] ? v : NULL;
}

static const struct deffile_header *header_of(const struct agent_input *in, const char *key)
{
    const struct deffile_header *h = deffile_header_find(in->stage, key);
    return h && h->value[0] ? h : NULL;
}

static bool has_script(const struct deb_host *host, const char *suite)
{
    auto_free char *path = path_join(host->scripts, suite);
    return !strchr(suite, '.') && !str_ends(suite, "-common") && access(path, R_OK) == 0;
}

/* A suite of debootstrap's own list that WORD may be a misspelling of; caller frees. */
static char *nearest_script(const struct deb_host *host, const char *word)
{
    auto_strv struct strv names = { 0 };
    auto_strv struct strv all = { 0 };
    if (fs_names_at(AT_FDCWD, host->scripts, &all) < 0)
        return NULL;
    for (size_t i = 0; i < all.n; i++)
        if (!strchr(all.v[i], '.') && !str_ends(all.v[i], "-common"))
            strv_add(&names, all.v[i]);
    return names.n ? mem_strdup(str_nearest(word, (const char *const *)names.v)) : NULL;
}

static void check_suite(const struct agent_input *in, const struct deb_host *host,
                        struct deffile *def)
{
    const struct deffile_header *h = header_of(in, "osversion");
    if (!h || !value_check_word(def, h, "suite name", "-.") || vault_suite_find(h->value))
        return;
    if (has_script(host, h->value))
        return;
    auto_free char *near = mem_strdup(vault_suite_nearest(h->value));
    if (!near)
        near = nearest_script(host, h->value);
    if (near) {
        auto_free char *hint = mem_printf("did you mean '%s'?", near);
        deffile_diag_add(def, DEFFILE_ERROR, "unknown-suite", h->line, 1, hint,
                         "unknown suite '%s'", h->value);
        return;
    }
    deffile_diag_add(def, DEFFILE_WARNING, "unknown-suite", h->line, 1,
                     "suites go by their names, e.g. bookworm, trixie, jammy, noble",
                     "suite '%s' is unknown here and is treated as a newer one", h->value);
}

static void check_arch(const struct agent_input *in, struct deffile *def)
{
    const struct deffile_header *h = header_of(in, "arch");
    if (h && value_check_word(def, h, "architecture", "_") && !arch_of(h->value))
        deffile_diag_add(def, DEFFILE_ERROR, "bad-value", h->line, 1,
                         "e.g. amd64, arm64, i386, armhf, ppc64el, riscv64, s390x",
                         "unknown architecture '%s'", h->value);
}

static void check_variant(const struct agent_input *in, struct deffile *def)
{
    const struct deffile_header *h = header_of(in, "variant");
    if (h && !str_eq(h->value, "minbase") && !str_eq(h->value, "buildd") &&
        !str_eq(h->value, "standard")) {
        auto_free char *shown = value_shown(h->value);
        deffile_diag_add(def, DEFFILE_ERROR, "bad-value", h->line, 1,
                         "minbase (default), buildd or standard", "unknown variant '%s'", shown);
    }
}

bool deb_plan_check(const struct agent_input *in, const struct deb_host *host, struct deffile *def)
{
    static const struct {
        const char *key, *what, *extra;
    } lists[] = {
        { "include", "package name", "+-." },
        { "exclude", "package name", "+-." },
        { "components", "component name", "-" },
    };
    check_suite(in, host, def);
    check_arch(in, def);
    check_variant(in, def);
    const struct deffile_header *url = header_of(in, "mirrorurl");
    if (url)
        (void)value_check_url(def, url, schemes, "");
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct deffile_header *h = header_of(in, lists[i].key);
        if (h)
            (void)value_check_words(def, h, lists[i].what, lists[i].extra, NULL);
    }
    return def->ok;
}

static const char *guess_family(const struct deb_host *host, const char *suite, const char *url)
{
    const struct vault_suite *known = vault_suite_find(suite);
    if (known)
        return known->family;
    if (has_script(host, suite))
        return "";
    return url && strstr(url, "ubuntu") ? "ubuntu" : "debian";
}

static int settle_mirror(const struct agent_input *in, const struct deb_host *host,
                         struct deb_plan *p, struct err *e)
{
    const struct vault_suite *known = vault_suite_find(p->suite);
    const char *asked = value_of(in, "mirrorurl");
    auto_free char *moved = NULL;
    if (asked) {
        p->mirror = mem_strdup(asked);
    } else if (p->gone) {
        p->mirror = mem_strdup(vault_archive(p->family));
    } else if (p->family[0]) {
        p->mirror = aptconf_mirror(host->apt, p->family, p->suite);
        if (!p->mirror)
            p->mirror = mem_strdup(vault_default_mirror(p->family, p->arch));
    } else {
        err_set(e, ERR_INPUT, "no mirror is known for suite '%s'", p->suite);
        return err_hint(e, "add 'MirrorURL: https://...' to the definition");
    }
    if (in->vault && known && vault_suite_moved(known, p->mirror, &moved)) {
        p->asked = p->mirror;
        p->mirror = steal_ptr(moved);
    }
    for (size_t len = strlen(p->mirror); len && p->mirror[len - 1] == '/';)
        p->mirror[--len] = 0;
    return 0;
}

/* Keyring named in the definition: relative to the definition's directory. */
static char *named_keyring(const struct agent_input *in)
{
    const char *name = value_of(in, "keyring");
    if (!name)
        return NULL;
    auto_free char *dir = path_dir(in->def->name);
    auto_free char *beside = name[0] == '/' ? mem_strdup(name) : path_join(dir, name);
    return path_absolute(beside, NULL);
}

static int need_keyring(const struct deb_plan *p, const char *path, struct err *e)
{
    if (access(path, R_OK) == 0)
        return 0;
    err_set(e, ERR_HOST, "keyring '%s' is missing: the signature of '%s' cannot be checked", path,
            p->suite);
    const char *package = str_eq(p->family, "ubuntu")   ? "ubuntu-keyring"
                          : str_eq(p->family, "debian") ? "debian-archive-keyring"
                                                        : NULL;
    return package ? err_hint(e, "apt-get install %s", package)
                   : err_hint(e, "name one with 'Keyring: FILE' in the definition");
}

static int settle_keyring(const struct agent_input *in, const struct deb_host *host,
                          struct deb_plan *p, struct err *e)
{
    p->verify = in->verify;
    if (!in->verify)
        return 0;
    p->keyring = named_keyring(in);
    if (p->keyring)
        return need_keyring(p, p->keyring, e);
    if (!p->family[0]) {
        err_set(e, ERR_INPUT, "no keyring is known for suite '%s'", p->suite);
        return err_hint(e, "name one with 'Keyring: FILE' in the definition");
    }
    p->keyring = mem_printf("%s/%s-archive-keyring.gpg", host->keyrings, p->family);
    if (p->gone)
        p->old_keyring = mem_printf("%s/%s-archive-removed-keys.gpg", host->keyrings, p->family);
    if (p->old_keyring && access(p->old_keyring, R_OK) < 0) {
        free(p->old_keyring);
        p->old_keyring = NULL;
    }
    return need_keyring(p, p->keyring, e);
}

/* ERR_HOST when this kernel cannot run programs of the target. */
static int check_runnable(const struct agent_input *in, const struct deb_plan *p, struct err *e)
{
    const char *host = arch_of(in->arch);
    if (str_eq(host, p->arch) || (str_eq(host, "amd64") && str_eq(p->arch, "i386")))
        return 0;
    const char *cpu = p->arch;
    for (size_t i = 0; i < ARRAY_LEN(arches); i++)
        if (str_eq(arches[i].debian, p->arch))
            cpu = arches[i].uname;
    auto_free char *handler = mem_printf("/proc/sys/fs/binfmt_misc/qemu-%s", cpu);
    if (access(handler, F_OK) == 0)
        return 0;
    err_set(e, ERR_HOST, "this host (%s) cannot run programs for '%s'", host ? host : in->arch,
            p->arch);
    return err_hint(e, "apt-get install qemu-user-static, or build on such a host");
}

static int check_programs(const struct deb_plan *p, struct err *e)
{
    static const char *const needed[] = { "debootstrap", "wget", "gpgv" };
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        auto_free char *path = proc_find(needed[i]);
        if (path || (!p->verify && str_eq(needed[i], "gpgv")))
            continue;
        err_set(e, ERR_HOST, "'%s' is not installed on this host", needed[i]);
        return err_hint(e, "apt-get install %s", needed[i]);
    }
    return 0;
}

/* The words of a list header, which deb_plan_check found good. */
static void words_of(const struct agent_input *in, const char *key, struct strv *out)
{
    const char *value = value_of(in, key);
    if (value)
        strv_split(out, value, " \t,\n");
}

int deb_plan_make(const struct agent_input *in, const struct deb_host *host, struct deb_plan *out,
                  struct err *e)
{
    auto_deb_plan struct deb_plan p = { 0 };
    const char *arch = value_of(in, "arch");
    const char *variant = value_of(in, "variant");
    p.suite = mem_strdup(value_of(in, "osversion"));
    p.arch = mem_strdup(arch_of(arch ? arch : in->arch));
    if (!p.suite || !p.arch)
        return err_set(e, ERR_HOST, "no Debian runs on '%s'", arch ? arch : in->arch);
    p.variant = mem_strdup(!variant ? "minbase" : str_eq(variant, "standard") ? "" : variant);
    p.family = guess_family(host, p.suite, value_of(in, "mirrorurl"));
    const struct vault_suite *known = vault_suite_find(p.suite);
    p.gone = known && known->gone;
    words_of(in, "include", &p.include);
    words_of(in, "exclude", &p.exclude);
    words_of(in, "components", &p.components);
    if (settle_mirror(in, host, &p, e) < 0 || settle_keyring(in, host, &p, e) < 0 ||
        check_programs(&p, e) < 0 || check_runnable(in, &p, e) < 0)
        return -1;
    /* A suite that this debootstrap has never heard of: the family's present script serves it. */
    if (!has_script(host, p.suite))
        p.script = path_join(host->scripts, str_eq(p.family, "ubuntu") ? "gutsy" : "sid");
    *out = p;
    p = (struct deb_plan){ 0 };
    return 0;
}

void deb_plan_fini(struct deb_plan *p)
{
    free(p->suite);
    free(p->arch);
    free(p->variant);
    free(p->mirror);
    free(p->asked);
    free(p->script);
    free(p->keyring);
    free(p->old_keyring);
    strv_free(&p->include);
    strv_free(&p->exclude);
    strv_free(&p->components);
    *p = (struct deb_plan){ 0 };
}

static void add_list(struct strv *argv, const char *option, const struct strv *words)
{
    if (!words->n)
        return;
    auto_free char *list = strv_join(words, ",");
    strv_addf(argv, "%s=%s", option, list);
}

void deb_plan_argv(const struct deb_plan *p, const char *target, const char *keyring,
                   struct strv *argv)
{
    auto_free char *mirror = value_url_public(p->mirror);
    strv_add(argv, "debootstrap");
    strv_add(argv, "--debian-installer"); /* its machine-readable report on descriptor 3 */
    strv_addf(argv, "--arch=%s", p->arch);
    if (p->variant[0])
        strv_addf(argv, "--variant=%s", p->variant);
    if (p->verify) {
        strv_add(argv, "--force-check-gpg");
        strv_addf(argv, "--keyring=%s", keyring ? keyring : p->keyring);
    } else {
        strv_add(argv, "--no-check-gpg");
    }
    add_list(argv, "--include", &p->include);
    add_list(argv, "--exclude", &p->exclude);
    add_list(argv, "--components", &p->components);
    strv_add(argv, p->suite);
    strv_add(argv, target);
    strv_add(argv, mirror);
    if (p->script)
        strv_add(argv, p->script);
}
