#include "base/assert.h"
#include "guard/guard.h"

static const struct role {
    const char *name;
    unsigned permissions;
} g_roles[] = {
#define X(e, name, permissions) {name, permissions},
    TOC_ROLE_TABLE(X)
#undef X
};

const char *toc_role_text(enum toc_role r) {
    TOC_ASSERT(r < TOC_ROLE_COUNT);
    return g_roles[r].name;
}

enum toc_role toc_role_parse(struct toc_sv name) {
    for (int r = 0; r < TOC_ROLE_COUNT; r++)
        if (toc_sv_eq_cstr(name, g_roles[r].name))
            return (enum toc_role)r;
    return TOC_ROLE_COUNT;
}

unsigned toc_role_permissions(enum toc_role r) {
    TOC_ASSERT(r < TOC_ROLE_COUNT);
    return g_roles[r].permissions;
}

enum toc_loopback_mode toc_loopback_parse(struct toc_sv name) {
#define X(e, text, permissions)        \
    if (toc_sv_eq(name, TOC_SV(text))) \
        return TOC_LOOPBACK_##e;
    TOC_LOOPBACK_TABLE(X)
#undef X
    return TOC_LOOPBACK_COUNT;
}
