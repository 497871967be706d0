/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/server/serve.h"

#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "image/server/patience.h"

enum { MIN_THREADS = 4, MAX_THREADS = 32, STACK_BYTES = 512 * 1024 };

/* Threads come as they are needed: one that takes the last free seat while more requests wait makes
 * another, so a start-up with one reader pays for one thread only. */
struct pool {
    struct serve_state state;
    int fd;
    atomic_uint max;
    bool one_cpu;
    atomic_uint n_threads;
    atomic_uint n_idle;
    atomic_uint n_alone; /* requests taken by the only thread that was free */
    atomic_int failed;   /* errno of a device that broke for another reason than its end */
    pthread_attr_t attr;
    pthread_mutex_t lock;
    pthread_t thread[MAX_THREADS];
    unsigned n_started;
};

struct buffers {
    uint8_t *in;
    uint8_t *out; /* header, then the reply */
};

static void buffers_fini(struct buffers *b)
{
    free(b->in);
    free(b->out);
}

/* Next request: its length, 0 when the mount is gone, or -errno. */
static ssize_t receive(int fd, uint8_t *buf)
{
    for (;;) {
        ssize_t n = read(fd, buf, SERVE_IN_BYTES);
        if (n > 0)
            return n;
        if (n == 0 || errno == ENODEV)
            return 0;
        /* ENOENT: the request was taken back while we woke up */
        if (errno != EINTR && errno != EAGAIN && errno != ENOENT)
            return -errno;
    }
}

static void send_reply(int fd, const struct serve_request *q, uint8_t *buf, int rc, size_t len)
{
    struct fuse_out_header head = {
        .len = (uint32_t)(sizeof head + (rc < 0 ? 0 : len)),
        .error = rc < 0 ? rc : 0,
        .unique = q->head.unique,
    };
    memcpy(buf, &head, sizeof head);
    ssize_t n;
    do
        n = write(fd, buf, head.len);
    while (n < 0 && errno == EINTR);
    /* Any other failure (the asker was killed, the mount is gone) has nobody to be told. */
}

static void *work(void *arg);

static void add_thread(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    if (p->n_started + 1 < p->max) {
        atomic_fetch_add(&p->n_threads, 1);
        if (pthread_create(&p->thread[p->n_started], &p->attr, work, p) == 0)
            p->n_started++;
        else
            atomic_fetch_sub(&p->n_threads, 1); /* those that are there do the work */
    }
    pthread_mutex_unlock(&p->lock);
}

/* A look at every sixteenth request is soon enough, and costs a start next to nothing. */
static bool others_wait(struct pool *p)
{
    struct pollfd one = { .fd = p->fd, .events = POLLIN };
    const struct timespec now = { 0 };
    return atomic_fetch_add(&p->n_alone, 1) % 16 == 15 && ppoll(&one, 1, &now, NULL) == 1;
}

static void answer_all(struct pool *p, const struct buffers *b)
{
    struct patience patience = { .never = p->one_cpu };
    for (;;) {
        bool alone = atomic_load(&p->n_threads) == 1; /* else another one sleeps, and is woken */
        if (alone)
            patience_wait(&patience, p->fd);
        atomic_fetch_add(&p->n_idle, 1);
        ssize_t n = receive(p->fd, b->in);
        unsigned idle = atomic_fetch_sub(&p->n_idle, 1);
        if (alone)
            patience_learn(&patience);
        if (n < 0)
            atomic_store(&p->failed, (int)-n);
        if (n <= 0)
            return;
        if (idle == 1 && atomic_load(&p->n_threads) < p->max && others_wait(p))
            add_thread(p);
        struct serve_request q;
        if (serve_request_parse(b->in, (size_t)n, &q) < 0)
            continue;
        struct serve_reply out = { .data = b->out + sizeof(struct fuse_out_header),
                                   .cap = SERVE_OUT_BYTES - sizeof(struct fuse_out_header) };
        int rc = serve_answer(&p->state, &q, &out);
        if (rc != SERVE_NO_REPLY)
            send_reply(p->fd, &q, b->out, rc, out.len);
    }
}

static void *work(void *arg)
{
    cleanup_with(buffers_fini) struct buffers b = {
        .in = mem_alloc(SERVE_IN_BYTES),
        .out = mem_alloc(SERVE_OUT_BYTES),
    };
    answer_all(arg, &b);
    return NULL;
}

/* Returns 1 when the mount is gone before it began. */
static int greet(int fd, const struct buffers *b, struct err *e)
{
    for (;;) {
        struct serve_request q;
        ssize_t n = receive(fd, b->in);
        if (n == 0)
            return 1;
        if (n < 0) {
            errno = (int)-n;
            return err_sys(e, "cannot read from the FUSE device");
        }
        if (serve_request_parse(b->in, (size_t)n, &q) < 0 || q.head.opcode != FUSE_INIT)
            return err_set(e, ERR_HOST, "the FUSE device does not begin with INIT");
        struct serve_reply out = { .data = b->out + sizeof(struct fuse_out_header),
                                   .cap = sizeof(struct fuse_init_out) };
        int rc = serve_answer_init(&q, &out);
        send_reply(fd, &q, b->out, rc == -EPROTO ? rc : 0, out.len);
        if (rc == -EPROTO)
            return err_set(e, ERR_HOST, "the kernel's FUSE is too old (before 7.%d, Linux 4.16)",
                           SERVE_MIN_MINOR);
        if (rc == 0)
            return 0;
    }
}

/* Those that we may use; 0: not known. */
static unsigned count_cpus(void)
{
    cpu_set_t cpus;
    return sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus) : 0;
}

static unsigned count_threads(unsigned wanted, unsigned cpus)
{
    unsigned n = wanted ? wanted : cpus < MIN_THREADS ? MIN_THREADS : cpus;
    return n < MAX_THREADS ? n : MAX_THREADS;
}

/* A request takes microseconds and somebody waits for it: ask for short turns, which come sooner
 * (Linux 6.12; before, and where it is refused, nothing changes). Threads inherit it. */
static void ask_for_short_turns(void)
{
    struct { /* struct sched_attr of <linux/sched/types.h>, which clashes with <sched.h> */
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attr = { 0 };
    if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) < 0 || attr.policy != SCHED_OTHER)
        return;
    attr.runtime = 100000; /* ns, the least that the kernel takes */
    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}

int image_serve(const struct image_serve_spec *spec, struct err *e)
{
    ask_for_short_turns();
    mallopt(M_ARENA_MAX, 1); /* one arena of address space, not one for each thread */
    static uint8_t in[SERVE_IN_BYTES], out[SERVE_OUT_BYTES]; /* of the first thread, for a start */
    const struct buffers b = { in, out };
    int rc = greet(spec->fuse_fd, &b, e);
    if (rc != 0)
        return rc < 0 ? -1 : 0;

    unsigned cpus = count_cpus();
    struct pool p = { .fd = spec->fuse_fd,
                      .max = count_threads(spec->n_threads, cpus),
                      .one_cpu = cpus == 1,
                      .n_threads = 1 };
    p.state.tree = spec->tree;
    spec->tree->ops->fs_stat(spec->tree, &p.state.fs);
    p.state.all_root = spec->all_root;
    pthread_mutex_init(&p.lock, NULL);
    pthread_attr_init(&p.attr);
    pthread_attr_setstacksize(&p.attr, STACK_BYTES);
    answer_all(&p, &b);

    pthread_mutex_lock(&p.lock); /* a thread that is being made counts */
    unsigned n = p.n_started;
    p.max = 0;
    pthread_mutex_unlock(&p.lock);
    for (unsigned i = 0; i < n; i++)
        pthread_join(p.thread[i], NULL);
    pthread_attr_destroy(&p.attr);
    pthread_mutex_destroy(&p.lock);
    if (p.failed) {
        errno = p.failed;
        return err_sys(e, "cannot read from the FUSE device");
    }
    return 0;
}
