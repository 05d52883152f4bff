/* Built-in rule packs as the API and the command line show them. */
#ifndef TOC_MODEL_PACK_H
#define TOC_MODEL_PACK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/sv.h"
#include "base/time.h"

/* X(enum, "word") */
#define TOC_PACK_MODE_TABLE(X) \
    X(TOC_PACK_AUTO, "auto")   \
    X(TOC_PACK_ON, "on")       \
    X(TOC_PACK_OFF, "off")

#define X(name, word) name,
enum toc_pack_mode { TOC_PACK_MODE_TABLE(X) TOC_PACK_MODE_COUNT };
#undef X

static inline const char *toc_pack_mode_text(enum toc_pack_mode mode) {
#define X(name, word) word,
    static const char *const words[] = {TOC_PACK_MODE_TABLE(X)};
#undef X
    return words[mode];
}
/* TOC_PACK_MODE_COUNT for another word. */
static inline enum toc_pack_mode toc_pack_mode_parse(struct toc_sv word) {
    enum toc_pack_mode mode = TOC_PACK_AUTO;
    while (mode < TOC_PACK_MODE_COUNT && !toc_sv_eq_cstr(word, toc_pack_mode_text(mode)))
        mode++;
    return mode;
}

struct toc_pack_view {
    const char *name, *title, *seen; /* rules/builtin_packs.h */
    enum toc_pack_mode mode;
    bool is_by_person; /* the mode was set by a person, not by the configuration */
    bool is_awake;
    struct toc_sv seen_metric; /* that woke it; empty when none did */
    struct toc_ts seen_at;     /* 0: not yet */
    size_t rules, alerts;      /* of the pack; alerts: rules that alert */
};
typedef void toc_on_pack(void *ctx, const struct toc_pack_view *v);

#endif
