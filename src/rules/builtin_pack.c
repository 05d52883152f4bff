#include "rules/builtin_packs.h"

const struct toc_builtin_pack *toc_builtin_pack(struct toc_sv name) {
    size_t count;
    const struct toc_builtin_pack *packs = toc_builtin_packs(&count);
    for (size_t i = 0; i < count; i++)
        if (toc_sv_eq_cstr(name, packs[i].name))
            return &packs[i];
    return NULL;
}
