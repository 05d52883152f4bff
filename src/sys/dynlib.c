#include "sys/dynlib.h"

#include <dlfcn.h>

#include "base/alloc.h"

struct toc_dynlib {
    void *handle;
};

int toc_dynlib_open(const char *name, struct toc_dynlib **out) {
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return TOC_ENOENT;
    *out = TOC_NEW(struct toc_dynlib);
    (*out)->handle = handle;
    return 0;
}

void *toc_dynlib_symbol(struct toc_dynlib *lib, const char *symbol) {
    return dlsym(lib->handle, symbol);
}

void toc_dynlib_close(struct toc_dynlib **lib) {
    if (!lib || !*lib)
        return;
    dlclose((*lib)->handle);
    toc_free(*lib);
    *lib = NULL;
}
