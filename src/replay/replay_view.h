/*
 * What a daemon would have had in its store at a moment of the past: history up to then, but in
 * place of what rules wrote from `from` on, what the replayed rules write. One thread; several may
 * read `history` beside it.
 */
#ifndef TOC_REPLAY_REPLAY_VIEW_H
#define TOC_REPLAY_REPLAY_VIEW_H

#include "base/map.h"
#include "model/querier.h"
#include "model/sink.h"

struct toc_replay_view {
    struct toc_querier querier;
    struct toc_sink sink;
    struct toc_querier *history; /* borrowed */
    int64_t from_ms;
    int64_t now_ms;         /* nothing later is seen */
    int64_t keep_ms;        /* how far back what was written may be asked for */
    struct toc_map written; /* metric name → struct toc_memory_querier; every name rules write */
    struct toc_map read;    /* names that somebody may ask for by name; unless: */
    bool is_all_read;       /* somebody may ask for any */
};

void toc_replay_view_init(struct toc_replay_view *v, struct toc_querier *history, int64_t from_ms);
void toc_replay_view_fini(struct toc_replay_view *v);
/* Series of this name come from the rules. */
void toc_replay_view_add_name(struct toc_replay_view *v, struct toc_sv name);
bool toc_replay_view_writes(const struct toc_replay_view *v, struct toc_sv name);
/* Somebody asks for series with these matchers; what nobody asks for is not kept. */
void toc_replay_view_note_reader(struct toc_replay_view *v, const struct toc_matcher *m,
                                 size_t count);
/* May a selector with these matchers see what rules write? */
bool toc_replay_view_may_match(const struct toc_replay_view *v, const struct toc_matcher *m,
                               size_t count);
/* Forgets what lies further back than keep_ms. */
void toc_replay_view_trim(struct toc_replay_view *v);

#endif
