/* SPDX-License-Identifier: BSD-3-Clause */
/* What a hostile program tries in a build: it runs as a base's program, as a scriptlet, in %post.
 * Each success is a line "found/NAME" on stdout. HOST_DIR and KEY come from the compiler, since such
 * a program is started without arguments of ours. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static void found(const char *name)
{
    printf("found/%s\n", name);
    fflush(stdout);
}

/* The oldest way out of a bare chroot, then whatever "/" is there. */
static void leave_root(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        mkdir("/.x", 0700);
        if (chroot("/.x") == 0)
            for (int i = 0; i < 64; i++)
                (void)!chdir("..");
        (void)!chroot(".");
        _exit(open(HOST_DIR "/by-chroot", O_CREAT | O_WRONLY, 0644) < 0);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    if (status == 0)
        found("chroot");
}

static void each_process(void (*look)(const char *dir))
{
    DIR *d = opendir("/proc");
    for (struct dirent *en; d && (en = readdir(d));) {
        char path[300];
        snprintf(path, sizeof path, "/proc/%s", en->d_name);
        if (en->d_name[0] >= '0' && en->d_name[0] <= '9')
            look(path);
    }
    if (d)
        closedir(d);
}

static void look_root(const char *dir)
{
    static const char *const ways[] = { "root", "cwd" };
    for (int i = 0; i < 2; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s" HOST_DIR "/by-proc", dir, ways[i]);
        if (open(path, O_CREAT | O_WRONLY, 0644) >= 0)
            found("proc-root");
    }
}

static void look_words(const char *dir)
{
    static const char *const files[] = { "environ", "cmdline" };
    char password[] = "?2epassword"; /* the test looks for the word in the image, where we are */
    password[0] = 'e';
    char path[600], text[65536];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        int fd = open(path, O_RDONLY);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
        if (n > 0 && memmem(text, (size_t)n, "HPCC_E2E_SECRET", 15))
            found("environ");
        if (n > 0 && memmem(text, (size_t)n, password, 11))
            found("password");
        if (fd >= 0)
            close(fd);
    }
}

/* A file of the host's behind a descriptor: writable again by its name in /proc. */
static void look_files(const char *dir)
{
    char path[600], name[1000], to[600];
    snprintf(path, sizeof path, "%s/fd", dir);
    DIR *d = opendir(path);
    for (struct dirent *en; d && (en = readdir(d));) {
        snprintf(name, sizeof name, "%s/%s", path, en->d_name);
        ssize_t n = readlink(name, to, sizeof to - 1);
        to[n > 0 ? n : 0] = 0;
        if (!strstr(to, "files/") && !strstr(to, ".rpm"))
            continue;
        if (open(name, O_WRONLY) >= 0)
            found("cache");
    }
    if (d)
        closedir(d);
}

static void make_device(void)
{
    static const char *const places[] = { "/dev/x", "/dev/shm/x", "/tmp/x", "/x" };
    for (int i = 0; i < 4; i++) {
        if (mknod(places[i], S_IFCHR | 0666, makedev(1, 5)) < 0)
            continue;
        found("mknod");
        char c;
        int fd = open(places[i], O_RDONLY);
        if (fd >= 0 && read(fd, &c, 1) == 1)
            found("device");
        unlink(places[i]);
    }
}

static void try_kernel(void)
{
    int fd = open("/proc/sys/kernel/core_pattern", O_WRONLY);
    if (fd >= 0)
        found("core-pattern");
    if (syscall(SYS_request_key, "user", KEY, NULL, 0) > 0)
        found("key");
    if (mount("x", "/tmp", "tmpfs", 0, NULL) == 0)
        found("mount");
}

int main(void)
{
    puts("probed/all");
    make_device();
    try_kernel();
    each_process(look_root);
    each_process(look_words);
    each_process(look_files);
    leave_root();
    puts("/bin/sh");
    return 0;
}
