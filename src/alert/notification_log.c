/* What a group was last told, and whether it is to be told again (upstream's DedupStage). */
#include <stdlib.h>

#include "alert/manager_priv.h"

static bool contains(const uint64_t *items, size_t count, uint64_t v) {
    for (size_t i = 0; i < count; i++)
        if (items[i] == v)
            return true;
    return false;
}

static int compare_hashes(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* `of` is sorted. */
static bool is_subset(struct hash_set s, const uint64_t *of, size_t of_count) {
    if (of_count < 16) {
        for (size_t i = 0; i < s.count; i++)
            if (!contains(of, of_count, s.items[i]))
                return false;
        return true;
    }
    for (size_t i = 0; i < s.count; i++)
        if (!bsearch(&s.items[i], of, of_count, sizeof *of, compare_hashes))
            return false;
    return true;
}

enum toc_flush_reason toc_notified_decide(const struct notified *log, struct hash_set firing,
                                          struct hash_set resolved, bool sends_resolved,
                                          int64_t repeat_ms, struct toc_ts now) {
    if (!log->is_set || log->expires_at.ms <= now.ms)
        return firing.count ? TOC_FLUSH_FIRST : TOC_FLUSH_NONE;
    if (!is_subset(firing, log->firing.items, log->firing.count))
        return log->firing.count ? TOC_FLUSH_CHANGED : TOC_FLUSH_FIRST;
    if (!firing.count)
        return log->firing.count ? TOC_FLUSH_ALL_RESOLVED : TOC_FLUSH_NONE;
    if (sends_resolved && !is_subset(resolved, log->resolved.items, log->resolved.count))
        return TOC_FLUSH_SOME_RESOLVED;
    return log->at.ms <= now.ms - repeat_ms ? TOC_FLUSH_REPEAT : TOC_FLUSH_NONE;
}

void toc_notified_record(struct notified *log, struct hash_set firing, struct hash_set resolved,
                         int64_t repeat_ms, int64_t retention_ms, struct toc_ts now) {
    log->is_set = true;
    log->at = now;
    log->expires_at.ms = now.ms + TOC_MIN(2 * repeat_ms, retention_ms);
    log->firing.count = 0;
    for (size_t i = 0; i < firing.count; i++)
        TOC_VEC_PUSH(&log->firing, firing.items[i]);
    log->resolved.count = 0;
    for (size_t i = 0; i < resolved.count; i++)
        TOC_VEC_PUSH(&log->resolved, resolved.items[i]);
    if (log->firing.count)
        qsort(log->firing.items, log->firing.count, sizeof(uint64_t), compare_hashes);
    if (log->resolved.count)
        qsort(log->resolved.items, log->resolved.count, sizeof(uint64_t), compare_hashes);
}

void toc_notified_encode(const struct notified *log, struct toc_buf *out) {
    toc_buf_append_u8(out, log->is_set);
    toc_buf_append_zigzag(out, log->at.ms);
    toc_buf_append_zigzag(out, log->expires_at.ms);
    toc_buf_append_varint(out, log->firing.count);
    for (size_t i = 0; i < log->firing.count; i++)
        toc_buf_append_u64(out, log->firing.items[i]);
    toc_buf_append_varint(out, log->resolved.count);
    for (size_t i = 0; i < log->resolved.count; i++)
        toc_buf_append_u64(out, log->resolved.items[i]);
}

int toc_notified_decode(struct toc_reader *r, struct notified *out) {
    out->is_set = toc_read_u8(r) != 0;
    out->at.ms = toc_read_zigzag(r);
    out->expires_at.ms = toc_read_zigzag(r);
    uint64_t firing = toc_read_varint(r);
    if (firing > toc_reader_left(r) / 8)
        return TOC_ECORRUPT;
    for (uint64_t i = 0; i < firing; i++)
        TOC_VEC_PUSH(&out->firing, toc_read_u64(r));
    uint64_t resolved = toc_read_varint(r);
    if (resolved > toc_reader_left(r) / 8)
        return TOC_ECORRUPT;
    for (uint64_t i = 0; i < resolved; i++)
        TOC_VEC_PUSH(&out->resolved, toc_read_u64(r));
    return r->error;
}

void toc_notified_fini(struct notified *log) {
    TOC_VEC_FINI(&log->firing);
    TOC_VEC_FINI(&log->resolved);
}
