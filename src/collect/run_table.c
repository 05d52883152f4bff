#include "collect/run_table_priv.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

static struct toc_sv own(struct toc_sv s) {
    return toc_sv_make(toc_sv_dup_cstr(s), s.n);
}
static void disown(struct toc_sv s) {
    toc_free((void *)(uintptr_t)s.p);
}

struct toc_run *toc_run_new(struct toc_sv name) {
    struct toc_run *run = TOC_NEW(struct toc_run);
    run->name = own(name);
    run->latest = (struct toc_run_latest){.loss = NAN,
                                          .grad_norm = NAN,
                                          .step_seconds = NAN,
                                          .tokens_per_second = NAN,
                                          .memory_bytes = NAN,
                                          .learning_rate = NAN};
    return run;
}

void toc_run_free(struct toc_run *run) {
    const struct toc_map_entry *e;
    for (size_t cursor = 0; (e = toc_map_next(&run->series, &cursor));) {
        struct toc_run_series *s = e->value;
        toc_labels_free(&s->labels);
        toc_free(s);
    }
    toc_map_fini(&run->series);
    toc_map_fini(&run->layer_set);
    toc_map_fini(&run->rank_index);
    for (size_t i = 0; i < run->layers.count; i++)
        disown(run->layers.items[i]);
    for (size_t i = 0; i < run->unknown.count; i++)
        disown(run->unknown.items[i]);
    TOC_VEC_FINI(&run->layers);
    TOC_VEC_FINI(&run->unknown);
    TOC_VEC_FINI(&run->ranks);
    toc_labels_free(&run->labels);
    disown(run->name);
    toc_free(run);
}

struct toc_run_rank *toc_run_rank_find(const struct toc_run *run, int64_t rank) {
    uint64_t key = (uint64_t)rank;
    if (run->ranks.count && run->ranks.items[0].rank == rank) /* most runs have one */
        return &run->ranks.items[0];
    uintptr_t place = (uintptr_t)toc_map_get(&run->rank_index, toc_map_u64(&key));
    return place ? &run->ranks.items[place - 1] : NULL;
}

static struct toc_run_rank *add_rank(struct toc_run *run, const struct toc_run_rank *value) {
    uint64_t key = (uint64_t)value->rank;
    TOC_VEC_PUSH(&run->ranks, *value);
    toc_map_put(&run->rank_index, toc_map_u64(&key), (void *)(uintptr_t)run->ranks.count);
    return &run->ranks.items[run->ranks.count - 1];
}

void toc_run_ranks_cut(struct toc_run *run, size_t count) {
    while (run->ranks.count > count) {
        uint64_t key = (uint64_t)run->ranks.items[--run->ranks.count].rank;
        toc_map_remove(&run->rank_index, toc_map_u64(&key));
    }
}

struct toc_run_rank *toc_run_rank_get(struct toc_run *run, int64_t rank) {
    struct toc_run_rank *k = toc_run_rank_find(run, rank);
    if (k || run->ranks.count >= TOC_RUN_RANKS_MAX)
        return k;
    return add_rank(run, &(struct toc_run_rank){.rank = rank, .state = TOC_RUN_RUNNING});
}

/* The session's slot, or the one unused for longest. */
static struct toc_run_session *session_slot(struct toc_run_rank *rank, struct toc_sv name) {
    struct toc_run_session *oldest = &rank->sessions[0];
    for (size_t i = 0; i < TOC_RUN_SESSIONS_MAX; i++) {
        struct toc_run_session *s = &rank->sessions[i];
        if (s->used && toc_sv_eq_cstr(name, s->name))
            return s;
        if (s->used < oldest->used)
            oldest = s;
    }
    rank->dropped_before += (uint64_t)oldest->dropped;
    *oldest = (struct toc_run_session){0};
    toc_sv_copy(name, oldest->name, sizeof oldest->name);
    return oldest;
}

bool toc_run_rank_is_repeated(struct toc_run_rank *rank, const struct toc_run_line *line) {
    if (!line->session.n || !line->has_seq)
        return false;
    struct toc_run_session *s = session_slot(rank, line->session);
    s->used = ++rank->session_clock;
    if (line->seq <= s->seq)
        return true;
    s->seq = line->seq;
    if (line->has_dropped && line->dropped > s->dropped)
        s->dropped = line->dropped;
    return false;
}

uint64_t toc_run_rank_dropped(const struct toc_run_rank *rank) {
    uint64_t sum = rank->dropped_before;
    for (size_t i = 0; i < TOC_RUN_SESSIONS_MAX; i++)
        sum += (uint64_t)rank->sessions[i].dropped;
    return sum;
}

static void encode_string(struct toc_sv s, struct toc_buf *out) {
    toc_buf_append_varint(out, s.n);
    toc_buf_append_sv(out, s);
}

static void encode_rank(const struct toc_run_rank *k, struct toc_buf *out) {
    toc_buf_append_varint(out, (uint64_t)k->rank);
    toc_buf_append_u8(
        out, (uint8_t)(k->has_step | k->has_loss << 1 | k->is_known << 2 | k->tells_state << 3));
    toc_buf_append_zigzag(out, k->step);
    toc_buf_append_u8(out, (uint8_t)k->state);
    for (int i = 0; i < TOC_NONFINITE_COUNT; i++)
        toc_buf_append_varint(out, k->nonfinite[i]);
    toc_buf_append_varint(out, k->restarts);
    toc_buf_append_varint(out, k->dropped_before);
    encode_string(toc_sv_cstr(k->last_session), out);
    for (int i = 0; i < TOC_RUN_SESSIONS_MAX; i++) {
        const struct toc_run_session *s = &k->sessions[i];
        encode_string(toc_sv_cstr(s->name), out);
        toc_buf_append_zigzag(out, s->seq);
        toc_buf_append_zigzag(out, s->dropped);
        toc_buf_append_varint(out, s->used);
    }
    encode_string(toc_sv_cstr(k->host), out);
    encode_string(toc_sv_cstr(k->pid), out);
}

static void decode_rank(struct toc_reader *r, int version, struct toc_run_rank *k) {
    *k = (struct toc_run_rank){.rank = (int64_t)toc_read_varint(r)};
    uint8_t flags = toc_read_u8(r);
    k->has_step = flags & 1;
    k->has_loss = flags >> 1 & 1;
    k->is_known = flags >> 2 & 1;
    k->tells_state = flags >> 3 & 1;
    k->is_announced = k->is_known;
    k->step = toc_read_zigzag(r);
    uint8_t state = toc_read_u8(r);
    k->state = state < TOC_RUN_STATE_COUNT ? (enum toc_run_state)state : TOC_RUN_RUNNING;
    for (int i = 0; i < TOC_NONFINITE_COUNT; i++)
        k->nonfinite[i] = toc_read_varint(r);
    k->restarts = toc_read_varint(r);
    k->dropped_before = toc_read_varint(r);
    toc_sv_copy(toc_read_string(r), k->last_session, sizeof k->last_session);
    for (int i = 0; i < TOC_RUN_SESSIONS_MAX; i++) {
        struct toc_run_session *s = &k->sessions[i];
        toc_sv_copy(toc_read_string(r), s->name, sizeof s->name);
        s->seq = toc_read_zigzag(r);
        s->dropped = toc_read_zigzag(r);
        s->used = toc_read_varint(r);
        k->session_clock = TOC_MAX(k->session_clock, s->used);
    }
    if (version < 2)
        return;
    toc_sv_copy(toc_read_string(r), k->host, sizeof k->host);
    toc_sv_copy(toc_read_string(r), k->pid, sizeof k->pid);
}

void toc_run_encode(const struct toc_run *run, struct toc_buf *out) {
    encode_string(run->name, out);
    toc_buf_append_zigzag(out, run->latest.started_ms);
    toc_buf_append_zigzag(out, run->latest.last_step_ms);
    toc_buf_append_zigzag(out, run->latest.last_line_ms);
    toc_labels_encode(run->labels, out);
    toc_buf_append_varint(out, run->layers.count);
    for (size_t i = 0; i < run->layers.count; i++)
        encode_string(run->layers.items[i], out);
    toc_buf_append_varint(out, run->unknown.count);
    for (size_t i = 0; i < run->unknown.count; i++)
        encode_string(run->unknown.items[i], out);
    toc_buf_append_varint(out, run->ranks.count);
    for (size_t i = 0; i < run->ranks.count; i++)
        encode_rank(&run->ranks.items[i], out);
}

/* Each entry takes at least a byte, so a count beyond the bytes left is a lie. */
static size_t read_count(struct toc_reader *r, size_t max) {
    uint64_t n = toc_read_varint(r);
    if (n > max || n > toc_reader_left(r))
        r->error = TOC_EPARSE;
    return r->error ? 0 : (size_t)n;
}

static void decode_lists(struct toc_reader *r, int version, struct toc_run *run) {
    size_t n = read_count(r, TOC_RUN_KNOWN_LAYERS_MAX);
    for (size_t i = 0; i < n && !r->error; i++) {
        struct toc_sv name = own(toc_read_string(r));
        TOC_VEC_PUSH(&run->layers, name);
        toc_map_put(&run->layer_set, name, run);
    }
    n = read_count(r, 4096);
    for (size_t i = 0; i < n && !r->error; i++)
        TOC_VEC_PUSH(&run->unknown, own(toc_read_string(r)));
    n = read_count(r, TOC_RUN_RANKS_MAX);
    for (size_t i = 0; i < n && !r->error; i++) {
        struct toc_run_rank k;
        decode_rank(r, version, &k);
        add_rank(run, &k);
    }
}

int toc_run_decode(struct toc_reader *r, int version, struct toc_run **out) {
    struct toc_run *run = toc_run_new(toc_read_string(r));
    run->latest.started_ms = toc_read_zigzag(r);
    run->latest.last_step_ms = toc_read_zigzag(r);
    run->latest.last_line_ms = toc_read_zigzag(r);
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_labels labels = TOC_LABELS_EMPTY;
    int rc = r->error ? TOC_ECORRUPT : toc_labels_decode(r, &arena, &labels);
    if (!rc) {
        run->labels = toc_labels_dup(labels);
        decode_lists(r, version, run);
    }
    toc_arena_fini(&arena);
    if (rc || r->error || !toc_run_name_is_valid(run->name)) {
        toc_run_free(run);
        return TOC_ECORRUPT;
    }
    *out = run;
    return 0;
}
