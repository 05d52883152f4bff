#include "alert/silence.h"

#include <stdlib.h>

#include "alert/manager_priv.h"

const char *toc_silence_state_text(enum toc_silence_state s) {
    static const char *const texts[] = {"pending", "active", "expired"};
    return texts[s];
}

enum toc_silence_state toc_silence_state_at(const struct silence *s, struct toc_ts now) {
    if (now.ms < s->starts_at.ms)
        return TOC_SILENCE_PENDING;
    return now.ms < s->ends_at.ms ? TOC_SILENCE_ACTIVE : TOC_SILENCE_EXPIRED;
}

void toc_silence_free(struct silence *s) {
    if (!s)
        return;
    toc_matcher_list_fini(&s->matchers);
    toc_free(s->matcher_text);
    toc_free(s->created_by);
    toc_free(s->comment);
    toc_free(s);
}

static struct toc_silence_record record_of(const struct silence *s) {
    return (struct toc_silence_record){toc_sv_cstr(s->id),
                                       toc_sv_cstr(s->matcher_text),
                                       s->starts_at,
                                       s->ends_at,
                                       s->updated_at,
                                       toc_sv_cstr(s->created_by),
                                       toc_sv_cstr(s->comment),
                                       s->is_until_resolved};
}

static int save(struct toc_alert_manager *m, const struct silence *s) {
    struct toc_silence_record r = record_of(s);
    struct toc_silence_store *store = m->options.silence_store;
    int rc = store ? store->put(store, &r) : 0;
    m->stats.store_failures += rc != 0;
    return rc;
}

static struct silence *find(struct toc_alert_manager *m, struct toc_sv id) {
    for (size_t i = 0; i < m->silences.count; i++)
        if (toc_sv_eq_cstr(id, m->silences.items[i]->id))
            return m->silences.items[i];
    return NULL;
}

static void make_id(struct toc_alert_manager *m, char out[37]) {
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[16];
    for (size_t half = 0; half < 2; half++) {
        uint64_t v = toc_rng_u64(&m->rng);
        memcpy(bytes + 8 * half, &v, 8);
    }
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40); /* UUID version 4 */
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    size_t n = 0;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[n++] = '-';
        out[n++] = digits[bytes[i] >> 4];
        out[n++] = digits[bytes[i] & 15];
    }
    out[n] = '\0';
}

static bool matches_something(const struct toc_matcher_list *list) {
    for (size_t i = 0; i < list->count; i++)
        if (!toc_matcher_matches(&list->items[i], TOC_SV("")))
            return true;
    return false;
}

static int check(const struct toc_silence_record *r, const struct toc_matcher_list *matchers,
                 struct toc_ts now, struct toc_err *err) {
    if (!matchers->count)
        return toc_errf(err, TOC_EINVAL, "invalid silence: at least one matcher required");
    if (!matches_something(matchers))
        return toc_errf(err, TOC_EINVAL,
                        "invalid silence: at least one matcher must not match the empty string");
    if (r->comment.n > 65536 || r->created_by.n > 1024 || !toc_sv_is_utf8(r->comment) ||
        !toc_sv_is_utf8(r->created_by))
        return toc_errf(err, TOC_ELIMIT,
                        "invalid silence: comment over 64 KiB, author over 1 KiB, or not UTF-8");
    if (r->ends_at.ms <= r->starts_at.ms)
        return toc_errf(err, TOC_EINVAL,
                        "Failed to create silence: start time must be before end time");
    if (r->ends_at.ms < now.ms)
        return toc_errf(err, TOC_EINVAL, "Failed to create silence: end time can't be in the past");
    return 0;
}

static struct silence *build(const struct toc_silence_record *r, struct toc_matcher_list *take) {
    struct silence *s = TOC_NEW(struct silence);
    struct toc_buf text = TOC_BUF_INIT;
    toc_matcher_list_format(take, &text);
    s->matcher_text = toc_buf_take(&text, NULL);
    s->matchers = *take;
    *take = (struct toc_matcher_list){0};
    s->created_by = toc_sv_dup_cstr(r->created_by);
    s->comment = toc_sv_dup_cstr(r->comment);
    s->starts_at = r->starts_at;
    s->ends_at = r->ends_at;
    s->updated_at = r->updated_at;
    s->is_until_resolved = r->is_until_resolved;
    (void)toc_sv_copy(r->id, s->id, sizeof s->id);
    return s;
}

/* May the old silence simply take the new times and texts? */
static bool can_update(const struct silence *old, const struct silence *fresh, struct toc_ts now) {
    if (strcmp(old->matcher_text, fresh->matcher_text) != 0)
        return false;
    switch (toc_silence_state_at(old, now)) {
    case TOC_SILENCE_ACTIVE:
        return old->starts_at.ms / 1000 == fresh->starts_at.ms / 1000 &&
               fresh->ends_at.ms >= now.ms;
    case TOC_SILENCE_PENDING:
        return fresh->starts_at.ms >= now.ms;
    case TOC_SILENCE_EXPIRED:
        break;
    }
    return false;
}

static void end_now(struct silence *s, struct toc_ts now) {
    if (toc_silence_state_at(s, now) == TOC_SILENCE_EXPIRED)
        return;
    if (s->starts_at.ms > now.ms)
        s->starts_at = now;
    s->ends_at = now;
    s->updated_at = now;
}

/* Puts `fresh` in the place of `old` (NULL: a new one); takes it. */
static int replace(struct toc_alert_manager *m, struct silence *old, struct silence *fresh,
                   struct toc_ts now, struct toc_err *err) {
    bool is_update = old && can_update(old, fresh, now);
    if (!is_update && m->silences.count >= m->options.max_silences) {
        toc_silence_free(fresh);
        return toc_errf(err, TOC_ELIMIT, "more than %zu silences: expire some first",
                        m->options.max_silences);
    }
    if (is_update) {
        memcpy(fresh->id, old->id, sizeof fresh->id);
        fresh->starts_at.ms = TOC_MIN(fresh->starts_at.ms, TOC_MAX(old->starts_at.ms, now.ms));
    } else {
        make_id(m, fresh->id);
        fresh->starts_at.ms = TOC_MAX(fresh->starts_at.ms, now.ms);
    }
    fresh->updated_at = now;
    if (save(m, fresh)) {
        toc_silence_free(fresh);
        return toc_errf(err, TOC_EIO, "the silence could not be stored");
    }
    if (is_update) {
        struct silence old_content = *old;
        *old = *fresh;
        *fresh = old_content;
        toc_silence_free(fresh);
        return 0;
    }
    if (old) {
        end_now(old, now);
        (void)save(m, old); /* counted */
    }
    TOC_VEC_PUSH(&m->silences, fresh);
    return 0;
}

int toc_alert_manager_set_silence(struct toc_alert_manager *m, const struct toc_silence_record *r,
                                  struct toc_ts now, char out_id[37], struct toc_err *err) {
    struct toc_matcher_list matchers = {0};
    int rc = toc_matcher_list_parse(&matchers, r->matchers, err);
    if (!rc)
        rc = check(r, &matchers, now, err);
    if (rc) {
        toc_matcher_list_fini(&matchers);
        return rc;
    }
    toc_mutex_lock(&m->mutex);
    struct silence *old = r->id.n ? find(m, r->id) : NULL;
    struct silence *fresh = build(r, &matchers);
    if (r->id.n && !old) {
        rc = toc_errf(err, TOC_ENOENT, "silence not found");
        toc_silence_free(fresh);
    } else {
        bool is_update = old && can_update(old, fresh, now);
        rc = replace(m, old, fresh, now, err);
        if (!rc)
            memcpy(out_id, is_update ? old->id : m->silences.items[m->silences.count - 1]->id, 37);
    }
    if (!rc) {
        toc_silence_sweep(m, now);
        m->is_stale = true;
        toc_alert_settle(m, now);
    }
    toc_mutex_unlock(&m->mutex);
    return rc;
}

int toc_alert_manager_expire_silence(struct toc_alert_manager *m, struct toc_sv id,
                                     struct toc_ts now, struct toc_err *err) {
    int rc = 0;
    toc_mutex_lock(&m->mutex);
    struct silence *s = find(m, id);
    if (!s) {
        rc = toc_errf(err, TOC_ENOENT, "silence not found");
    } else if (toc_silence_state_at(s, now) != TOC_SILENCE_EXPIRED) {
        struct toc_ts starts = s->starts_at, ends = s->ends_at;
        end_now(s, now);
        if (save(m, s)) {
            s->starts_at = starts;
            s->ends_at = ends;
            rc = toc_errf(err, TOC_EIO, "the silence could not be stored");
        }
        toc_silence_sweep(m, now);
        m->is_stale = true;
        toc_alert_settle(m, now);
    }
    toc_mutex_unlock(&m->mutex);
    return rc;
}

static bool matches_firing(const struct toc_alert_manager *m, const struct silence *s,
                           struct toc_ts now) {
    const struct toc_map_entry *slot;
    for (size_t at = 0; (slot = toc_map_next(&m->alerts, &at));) {
        const struct alert_entry *e = slot->value;
        if (!toc_alert_is_resolved(&e->alert, now) &&
            toc_matcher_list_matches(&s->matchers, e->alert.labels))
            return true;
    }
    return false;
}

void toc_silence_sweep(struct toc_alert_manager *m, struct toc_ts now) {
    m->silence_edge_ms = INT64_MAX;
    for (size_t i = m->silences.count; i-- > 0;) {
        struct silence *s = m->silences.items[i];
        enum toc_silence_state state = toc_silence_state_at(s, now);
        if (state == TOC_SILENCE_ACTIVE && s->is_until_resolved && !matches_firing(m, s, now)) {
            end_now(s, now);
            (void)save(m, s); /* counted */
            m->is_stale = true;
        }
        if (s->starts_at.ms > now.ms)
            m->silence_edge_ms = TOC_MIN(m->silence_edge_ms, s->starts_at.ms);
        else if (s->ends_at.ms > now.ms)
            m->silence_edge_ms = TOC_MIN(m->silence_edge_ms, s->ends_at.ms);
        if (s->ends_at.ms + m->options.retention_ms > now.ms)
            continue;
        struct toc_silence_store *store = m->options.silence_store;
        if (store && store->remove(store, toc_sv_cstr(s->id)))
            m->stats.store_failures++;
        m->is_stale = true; /* entries borrow the id */
        TOC_VEC_REMOVE(&m->silences, i);
        toc_silence_free(s);
    }
}

void toc_silence_refresh(struct toc_alert_manager *m, struct toc_ts now) {
    const struct toc_map_entry *slot;
    for (size_t at = 0; (slot = toc_map_next(&m->alerts, &at));) {
        struct alert_entry *e = slot->value;
        e->silenced_count = 0;
        for (size_t i = 0; i < m->silences.count && e->silenced_count < TOC_BY_MAX; i++) {
            const struct silence *s = m->silences.items[i];
            if (toc_silence_state_at(s, now) == TOC_SILENCE_ACTIVE &&
                toc_matcher_list_matches(&s->matchers, e->alert.labels))
                e->silenced_by[e->silenced_count++] = toc_sv_cstr(s->id);
        }
    }
}

static int load_one(void *ctx, const struct toc_silence_record *r) {
    struct toc_alert_manager *m = ctx;
    struct toc_matcher_list matchers = {0};
    if (r->id.n != 36 || toc_matcher_list_parse(&matchers, r->matchers, NULL)) {
        m->stats.store_failures++;
        toc_matcher_list_fini(&matchers);
        return 0; /* one bad row must not cost the others */
    }
    TOC_VEC_PUSH(&m->silences, build(r, &matchers));
    return 0;
}

int toc_silence_load_all(struct toc_alert_manager *m, struct toc_ts now, struct toc_err *err) {
    struct toc_silence_store *store = m->options.silence_store;
    int rc = store ? store->each(store, load_one, m) : 0;
    if (rc)
        return toc_errf(err, rc, "silences cannot be read: %s", toc_strerror(rc));
    toc_silence_sweep(m, now);
    return 0;
}

struct sort_item {
    const struct silence *silence;
    enum toc_silence_state state;
};

/* Active by end, pending by start, expired by end with the latest first. */
static int compare_silences(const void *a, const void *b) {
    static const int rank[] = {
        [TOC_SILENCE_ACTIVE] = 0, [TOC_SILENCE_PENDING] = 1, [TOC_SILENCE_EXPIRED] = 2};
    const struct sort_item *x = a, *y = b;
    if (x->state != y->state)
        return rank[x->state] - rank[y->state];
    int64_t l = x->silence->ends_at.ms, r = y->silence->ends_at.ms;
    if (x->state == TOC_SILENCE_PENDING) {
        l = x->silence->starts_at.ms;
        r = y->silence->starts_at.ms;
    }
    int c = l == r ? strcmp(x->silence->id, y->silence->id) : l < r ? -1 : 1;
    return x->state == TOC_SILENCE_EXPIRED ? -c : c;
}

size_t toc_alert_manager_each_silence(struct toc_alert_manager *m, struct toc_sv id,
                                      struct toc_ts now, toc_on_silence *fn, void *ctx) {
    size_t visited = 0;
    toc_mutex_lock(&m->mutex);
    struct sort_item *items = TOC_NEW_ARRAY(struct sort_item, m->silences.count + 1);
    for (size_t i = 0; i < m->silences.count; i++)
        items[i] = (struct sort_item){m->silences.items[i],
                                      toc_silence_state_at(m->silences.items[i], now)};
    qsort(items, m->silences.count, sizeof *items, compare_silences);
    for (size_t i = 0; i < m->silences.count; i++) {
        const struct silence *s = items[i].silence;
        struct toc_silence_record r = record_of(s);
        struct toc_silence_view v = {&r, &s->matchers, items[i].state};
        if (id.n && !toc_sv_eq(id, r.id))
            continue;
        fn(ctx, &v);
        visited++;
    }
    toc_free(items);
    toc_mutex_unlock(&m->mutex);
    return visited;
}
