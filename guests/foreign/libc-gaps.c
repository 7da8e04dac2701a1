/* What Rust's standard library links against and an old wasi-libc does not have. No thread can be made, as on any system of WASI 0.1. */
#include <errno.h>
#include <stddef.h>

int pthread_attr_init(void *attr) { return 0; }
int pthread_attr_setstacksize(void *attr, size_t size) { return 0; }
int pthread_attr_destroy(void *attr) { return 0; }
int pthread_create(void *thread, const void *attr, void *(*start)(void *), void *arg) { return ENOTSUP; }
int pthread_join(void *thread, void **value) { return EINVAL; }
int pthread_detach(void *thread) { return EINVAL; }
char *realpath(const char *path, char *resolved) { errno = ENOTSUP; return NULL; }
