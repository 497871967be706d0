/* SPDX-License-Identifier: BSD-3-Clause */
/* What is left to a server that was taken over, and what requests of any bytes do to it. */
#include "tests/image/serve_case.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "image/server/serve.h"

/* Each attack returns 0 when it succeeds. All of them do before image_serve_confine: that is the
 * control, and the same code runs both times. */
static int open_a_file(void)
{
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0;
}
static int fork_a_child(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return pid < 0 || waitpid(pid, NULL, 0) != pid;
}
static int run_a_program(void)
{
    const char *const argv[] = { "true", NULL };
    const char *const envp[] = { NULL };
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        syscall(SYS_execve, "/bin/true", argv, envp);
        _exit(1);
    }
    return pid < 0 || case_wait(pid) != 0;
}
static int make_a_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0;
}
static int map_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
           MAP_FAILED;
}
static int protect_as_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED || mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0;
}
static int trace_a_process(void)
{
    return ptrace(PTRACE_TRACEME, 0, 0, 0) < 0;
}
static int kill_a_process(void)
{
    return kill(getppid(), 0) < 0;
}
static int read_another_ones_memory(void)
{
    char a, b = 1;
    struct iovec local = { &a, 1 }, remote = { &b, 1 };
    return syscall(SYS_process_vm_readv, getpid(), &local, 1, &remote, 1, 0) < 0;
}
static int make_a_namespace(void)
{
    return unshare(CLONE_NEWUTS) < 0 && unshare(CLONE_NEWUSER) < 0;
}
static int keep_a_descriptor(void)
{
    return fcntl(100, F_GETFD) < 0;
}
static int change_a_file(void)
{
    return truncate("/tmp/hpcc-test-none", 0) < 0 && errno != ENOENT;
}
static int dump_core(void)
{
    return prctl(PR_GET_DUMPABLE) != 1;
}

static const struct attack {
    const char *name;
    int (*run)(void);
} attacks[] = {
    { "open a file", open_a_file },
    { "fork", fork_a_child },
    { "exec", run_a_program },
    { "make a socket", make_a_socket },
    { "map code", map_code },
    { "turn memory into code", protect_as_code },
    { "kill", kill_a_process },
    { "read memory", read_another_ones_memory },
    { "make a namespace", make_a_namespace },
    { "keep a descriptor", keep_a_descriptor },
    { "change a file", change_a_file },
    { "be dumpable", dump_core },
    { "be traced", trace_a_process },
};

/* Exit status 100 + n: attack n succeeds; 99: none. */
static int attack_from_child(const struct attack *attack, const char *image, bool confine)
{
    pid_t pid = fork();
    if (pid == 0) {
        const int keep[] = { open(image, O_RDONLY | O_CLOEXEC),
                             open("/dev/null", O_RDWR | O_CLOEXEC) };
        const struct image_confine_spec spec = { keep, ARRAY_LEN(keep), 16 };
        dup2(2, 100);
        if (confine && image_serve_confine(&spec, NULL) < 0)
            _exit(50);
        _exit(attack->run() == 0 ? 100 : 99);
    }
    return case_wait(pid);
}

static void a_confined_server_can_do_none_of_what_an_unconfined_one_can(void **state)
{
    (void)state;
    auto_case_dir char *dir = case_dir_new();
    auto_free char *image = path_join(dir, "image");
    case_file(dir, "image", "x", 1);
    for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
        int open_rc = attack_from_child(&attacks[i], image, false);
        int shut_rc = attack_from_child(&attacks[i], image, true);
        if (open_rc != 100)
            fail_msg("control: '%s' fails unconfined (%d)", attacks[i].name, open_rc);
        if (shut_rc == 100 || shut_rc == 50)
            fail_msg("'%s' succeeds confined (%d)", attacks[i].name, shut_rc);
    }
}

static int confined_state(const char *image)
{
    pid_t pid = fork();
    if (pid != 0)
        return case_wait(pid);
    const int keep[] = { open(image, O_RDONLY | O_CLOEXEC), open("/dev/null", O_RDWR | O_CLOEXEC) };
    const struct image_confine_spec spec = { keep, ARRAY_LEN(keep), 16 };
    pid_t session = getsid(0);
    if (image_serve_confine(&spec, NULL) < 0)
        _exit(1);
    char byte;
    if (session == getpid() || pread(keep[0], &byte, 1, 0) != 1 || byte != 'x')
        _exit(2);
    if (write(1, "never seen", 10) != 10) /* goes to /dev/null */
        _exit(3);
    _exit(0);
}

static void a_confined_server_still_reads_its_image(void **state)
{
    (void)state;
    auto_case_dir char *dir = case_dir_new();
    auto_free char *image = path_join(dir, "image");
    case_file(dir, "image", "x", 1);
    assert_int_equal(confined_state(image), 0);
}

/* ── requests of any bytes ───────────────────────────────────────────────────────────────────── */

static uint32_t noise(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static void requests_of_any_bytes_get_an_answer_that_fits(void **state)
{
    (void)state;
    auto_case_dir char *dir = case_dir_new();
    auto_free char *tree = case_tree_new(dir);
    auto_free char *image =
        case_image_new(dir, tree, (const char *[]){ "-t", "ext3", NULL }, "48M");
    auto_close int fd = open(image, O_RDONLY | O_CLOEXEC);
    auto_image_tree struct image_tree *served = NULL;
    assert_int_equal(image_tree_open_ext(fd, 0, &served, NULL), 0);
    struct serve_state s = { .tree = served };
    served->ops->fs_stat(served, &s.fs);
    auto_free uint8_t *data = mem_alloc(SERVE_OUT_BYTES);
    unsigned answered = 0, refused = 0;
    uint64_t seed = 11;
    for (unsigned i = 0; i < 40000; i++) {
        uint8_t in[300];
        struct serve_request q;
        for (size_t k = 0; k < sizeof in; k += 4)
            memcpy(in + k, &(uint32_t){ noise(&seed) }, 4);
        size_t len = sizeof(struct fuse_in_header) + noise(&seed) % 200;
        struct fuse_in_header head = { .len = (uint32_t)len,
                                       .opcode = noise(&seed) % 60,
                                       .nodeid = noise(&seed) % 500 };
        struct fuse_read_in io = { .offset = noise(&seed) % 8 ? noise(&seed) % 100000 : UINT64_MAX,
                                   .size = noise(&seed) % 4 ? noise(&seed) % 70000 : UINT32_MAX };
        memcpy(in, &head, sizeof head);
        if (i % 2)
            memcpy(in + sizeof head, &io, sizeof io);
        auto_free uint8_t *exact = mem_dup(in, len); /* reading past it is seen */
        assert_int_equal(serve_request_parse(exact, len, &q), 0);
        struct serve_reply out = { .data = data, .cap = SERVE_OUT_BYTES - 16 };
        int rc = serve_answer(&s, &q, &out);
        assert_true(rc <= SERVE_NO_REPLY && rc > -4096);
        assert_true(out.len <= SERVE_MAX_READ);
        answered += rc == 0;
        refused += rc < 0;
    }
    assert_true(answered > 1000 && refused > 1000);
    struct serve_request q;
    uint8_t raw[40] = { 39 };
    assert_int_equal(serve_request_parse(raw, 40, &q), -EIO);
    assert_int_equal(serve_request_parse(raw, 10, &q), -EIO);
}

/* ── many at once, and the end ───────────────────────────────────────────────────────────────── */

static void *read_everything(void *arg)
{
    const char *mnt = arg;
    auto_free char *large = path_join(mnt, "large"), *many = path_join(mnt, "many");
    auto_free uint8_t *have = mem_alloc(1 << 20), *want = mem_alloc(1 << 20);
    for (off_t at = 0; at < 9 << 20; at += 1 << 20) {
        auto_close int fd = open(large, O_RDONLY | O_CLOEXEC);
        case_pattern(want, 1 << 20, (uint64_t)at, 2);
        if (fd < 0 || pread(fd, have, 1 << 20, at) != 1 << 20 || memcmp(have, want, 1 << 20) != 0)
            return (void *)1;
        auto_dir DIR *d = opendir(many);
        unsigned n = 0;
        while (d && readdir(d))
            n++;
        if (n != 402)
            return (void *)2;
    }
    return NULL;
}

static void many_programs_at_once_read_what_one_reads(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    auto_case_dir char *dir = case_dir_new();
    auto_free char *tree = case_tree_new(dir), *mnt = path_join(dir, "mnt");
    auto_free char *image =
        case_image_new(dir, tree, (const char *[]){ "-t", "ext3", NULL }, "48M");
    int sock;
    assert_int_equal(mkdir(mnt, 0755), 0);
    pid_t server = case_server_start(image, &sock, true);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t t[16];
        void *bad = NULL, *all = NULL;
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            _exit(1);
        int fd = case_fuse_mount(mnt);
        if (fd < 0)
            _exit(2);
        case_send_fd(sock, fd);
        for (size_t i = 0; i < ARRAY_LEN(t); i++)
            pthread_create(&t[i], NULL, read_everything, mnt);
        for (size_t i = 0; i < ARRAY_LEN(t); i++) {
            pthread_join(t[i], &bad);
            all = bad ? bad : all;
        }
        _exit(all ? 3 : 0);
    }
    close(sock);
    assert_int_equal(case_wait(pid), 0);
    assert_int_equal(case_wait(server), 0);
}

static void a_killed_server_leaves_errors_not_waiting(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    auto_case_dir char *dir = case_dir_new();
    auto_free char *tree = case_tree_new(dir), *mnt = path_join(dir, "mnt");
    auto_free char *image =
        case_image_new(dir, tree, (const char *[]){ "-t", "ext3", NULL }, "48M");
    int sock;
    assert_int_equal(mkdir(mnt, 0755), 0);
    pid_t server = case_server_start(image, &sock, true);
    pid_t pid = fork();
    if (pid == 0) {
        struct stat st;
        auto_free char *hello = path_join(mnt, "hello"), *sub = path_join(mnt, "sub/hard");
        alarm(20);
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            _exit(1);
        int fd = case_fuse_mount(mnt);
        if (fd < 0)
            _exit(2);
        case_send_fd(sock, fd);
        close(fd);
        if (stat(hello, &st) < 0)
            _exit(3);
        kill(server, SIGKILL);
        while (stat(sub, &st) == 0)
            sched_yield();
        _exit(errno == ENOTCONN || errno == ECONNABORTED ? 0 : 4);
    }
    close(sock);
    assert_int_equal(case_wait(pid), 0);
    assert_int_equal(case_wait(server), 128 + SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_confined_server_can_do_none_of_what_an_unconfined_one_can),
        cmocka_unit_test(a_confined_server_still_reads_its_image),
        cmocka_unit_test(requests_of_any_bytes_get_an_answer_that_fits),
        cmocka_unit_test(many_programs_at_once_read_what_one_reads),
        cmocka_unit_test(a_killed_server_leaves_errors_not_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
