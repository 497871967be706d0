/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/early.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>

#include "base/mem.h"
#include "runtime/prefetch.h"

enum { STACK_BYTES = 256 * 1024 };

struct early {
    const struct runtime_plan *plan;
    struct disk disk;
    pthread_t thread;
    sem_t mounted;
    int tree_fd; /* for the caller */
    struct err why;
};

bool early_possible(const struct runtime_plan *p)
{
    return p->root == PLAN_ROOT_LOOP && !p->userns && !p->n_layers && !plan_has_upper(p) &&
           !(p->flags & RUNTIME_PID_NS);
}

static void *mount_early(void *arg)
{
    struct early *x = arg;
    x->tree_fd = disk_loop_tree(&x->disk, &x->why);
    /* the caller may close his as he likes */
    auto_close int own_fd = x->tree_fd < 0 ? -1 : fcntl(x->tree_fd, F_DUPFD_CLOEXEC, 3);
    sem_post(&x->mounted);
    if (own_fd >= 0) {
        prefetch_libc(own_fd);
        prefetch_program(own_fd, x->plan);
    }
    return NULL;
}

struct early *early_start(const struct runtime_plan *p, const struct disk *d)
{
    if (!mounter_has_new_calls())
        return NULL;
    struct early *x = mem_zero(1, sizeof *x);
    *x = (struct early){ .plan = p, .disk = *d, .tree_fd = -1 };
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sem_init(&x->mounted, 0, 0);
    int rc = pthread_create(&x->thread, &attr, mount_early, x);
    pthread_attr_destroy(&attr);
    if (rc == 0)
        return x;
    sem_destroy(&x->mounted);
    free(x);
    return NULL;
}

int early_take(struct early *x, struct err *e)
{
    while (sem_wait(&x->mounted) < 0)
        ;
    return x->tree_fd < 0 ? err_move(e, &x->why) : steal_fd(&x->tree_fd);
}

void early_free(struct early *x)
{
    if (!x)
        return;
    pthread_join(x->thread, NULL);
    cleanup_fd(&x->tree_fd);
    err_clear(&x->why);
    sem_destroy(&x->mounted);
    free(x);
}
