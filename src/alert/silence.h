/*
 * Silences: who muted what until when. The set lives in the alert manager; this header holds the
 * types that callers and the wiring see.
 */
#ifndef TOC_ALERT_SILENCE_H
#define TOC_ALERT_SILENCE_H

#include "alert/matcher_parse.h"
#include "base/error.h"
#include "base/time.h"

enum toc_silence_state { TOC_SILENCE_PENDING, TOC_SILENCE_ACTIVE, TOC_SILENCE_EXPIRED };
const char *toc_silence_state_text(enum toc_silence_state s);

/* As stored and as handed to stores and viewers; all views borrowed. */
struct toc_silence_record {
    struct toc_sv id;       /* UUID; empty to make a new one */
    struct toc_sv matchers; /* `{a="1",b=~"x"}` */
    struct toc_ts starts_at, ends_at, updated_at;
    struct toc_sv created_by, comment;
    bool is_until_resolved; /* ends by itself once nothing it matches is firing */
};

typedef int toc_on_silence_record(void *ctx, const struct toc_silence_record *r);

/* Where silences survive a restart. */
struct toc_silence_store {
    /* Inserts or replaces by id; durable when it returns 0. */
    int (*put)(struct toc_silence_store *s, const struct toc_silence_record *r);
    int (*remove)(struct toc_silence_store *s, struct toc_sv id);
    int (*each)(struct toc_silence_store *s, toc_on_silence_record *fn, void *ctx);
};

struct toc_silence_view {
    const struct toc_silence_record *record;
    const struct toc_matcher_list *matchers;
    enum toc_silence_state state;
};

#endif
