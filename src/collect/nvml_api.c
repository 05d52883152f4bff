#include <stddef.h>
#include <string.h>

#include "base/attrs.h"
#include "collect/nvml_api_priv.h"

static void *either(struct toc_dynlib *library, const char *symbol, const char *older) {
    void *p = toc_dynlib_symbol(library, symbol);
    return p || !older ? p : toc_dynlib_symbol(library, older);
}

/* POSIX wants data and function pointers to have one representation; ISO C has no cast for it. */
static void load(struct toc_dynlib *library, const char *symbol, const char *older, void *out_fn) {
    void *p = either(library, symbol, older);
    memcpy(out_fn, &p, sizeof p);
}

int toc_nvml_api_open(const char *library, struct toc_nvml_api *out) {
    *out = (struct toc_nvml_api){0};
    int rc = toc_dynlib_open(library, &out->library);
    if (rc)
        return rc;
#define X(member, parameters, symbol, older) load(out->library, symbol, older, &out->member);
    TOC_NVML_FUNCTIONS(X)
#undef X
    if (out->init && out->shutdown && out->count && out->by_index)
        return 0;
    toc_nvml_api_close(out);
    return TOC_EUNSUPPORTED;
}

void toc_nvml_api_close(struct toc_nvml_api *api) {
    toc_dynlib_close(&api->library);
    *api = (struct toc_nvml_api){0};
}
