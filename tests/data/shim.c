/* Loaded before the C library: system calls on files below $FAULT_ROOT are counted, and one of them fails.
 * cc -shared -fPIC -o shim.so shim.c -ldl */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int counted, fail_at, failing, full;

/* Operation `number` fails with `error`; 0 for none. An error of 0 kills the process. */
void fault_at(int number, int error) {
    counted = full = 0;
    fail_at = number;
    failing = error;
}

int fault_count(void) { return counted; }

/* Reading needs no room. */
static int reads(int flags) { return failing == ENOSPC && !(flags & (O_CREAT | O_WRONLY | O_RDWR)); }

static int below(const char *path) {
    const char *root = getenv("FAULT_ROOT");
    char whole[PATH_MAX + 2];
    if (!fail_at || !root || !path) return 0;
    if (path[0] != '/') {
        if (!getcwd(whole, PATH_MAX / 2)) return 0;
        strcat(whole, "/");
        strncat(whole, path[0] == '.' && path[1] == '/' ? path + 2 : path, PATH_MAX / 2 - 1);
        path = whole;
    }
    return !strncmp(path, root, strlen(root));
}

static int is_below(int descriptor) {
    char link[64], path[PATH_MAX + 1];
    if (!fail_at) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

/* Whether this operation fails; a full disk stays full for all that grows. */
static int fails(int inside, int grows) {
    if (!inside) return 0;
    counted++;
    if (counted != fail_at && !(full && grows)) return 0;
    if (!failing) kill(getpid(), SIGKILL);
    full = failing == ENOSPC;
    errno = failing;
    return 1;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define OPEN(name)                                                                 \
    int name(const char *path, int flags, ...) {                                   \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        REAL(name);                                                                \
        return fails(!reads(flags) && below(path), flags & O_CREAT) ? -1 : real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                              \
    int name(int folder, const char *path, int flags, ...) {                                      \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest);    \
        REAL(name);                                                                               \
        return fails(!reads(flags) && below(path), flags & O_CREAT) ? -1 : real(folder, path, flags, mode);        \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name)                                                                \
    FILE *name(const char *path, const char *mode) {                               \
        REAL(name);                                                                \
        return fails(below(path), mode[0] != 'r') ? NULL : real(path, mode);       \
    }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int fd, const void *data, size_t size) { REAL(write); return fails(is_below(fd), 1) ? -1 : real(fd, data, size); }
ssize_t writev(int fd, const struct iovec *parts, int count) { REAL(writev); return fails(is_below(fd), 1) ? -1 : real(fd, parts, count); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { REAL(pwrite); return fails(is_below(fd), 1) ? -1 : real(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { REAL(pwrite64); return fails(is_below(fd), 1) ? -1 : real(fd, data, size, at); }
int ftruncate(int fd, off_t size) { REAL(ftruncate); return fails(is_below(fd), 0) ? -1 : real(fd, size); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); return fails(is_below(fd), 0) ? -1 : real(fd, size); }
int fsync(int fd) { REAL(fsync); return fails(is_below(fd), 1) ? -1 : real(fd); }
int rename(const char *from, const char *to) { REAL(rename); return fails(below(to), 0) ? -1 : real(from, to); }
int renameat(int a, const char *from, int b, const char *to) { REAL(renameat); return fails(below(to), 0) ? -1 : real(a, from, b, to); }
int unlink(const char *path) { REAL(unlink); return fails(below(path), 0) ? -1 : real(path); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); return fails(below(path), 1) ? -1 : real(path, mode); }
