#include "metricdb/follow.h"

#include <stdio.h>

#include "base/alloc.h"
#include "metricdb/metricdb_priv.h"
#include "sys/log.h"

struct toc_log_follower {
    struct toc_metricdb *db;
    struct toc_log_visitor visitor;
    struct toc_log_position at;    /* behind the last record taken */
    struct toc_wal_reader *reader; /* of the segment `at` lies in; NULL: not open */
    uint64_t known_to;             /* offset in the segment; records before it were taken earlier */
    uint64_t limit;                /* what may be read of it */
    bool is_final;                 /* nothing will be added to it */
    bool is_done;                  /* and all of it was read */
    bool is_skipping;
    int64_t segment_ms;
    uint64_t lost;
};

struct toc_log_position toc_metricdb_log_end(struct toc_metricdb *db) {
    struct toc_wal_extent e, last = {0};
    for (uint64_t n = 0; toc_wal_find(db->wal, n, &e); n = e.number + 1)
        last = e;
    return (struct toc_log_position){.segment = last.number, .offset = last.bytes};
}

/* --- visiting --- */

static void on_series(void *ctx, uint32_t id, struct toc_labels labels) {
    struct toc_log_follower *f = ctx;
    f->visitor.series(f->visitor.ctx, id, labels);
}

static void on_sample(void *ctx, uint32_t id, int64_t t_ms, double value) {
    struct toc_log_follower *f = ctx;
    if (!f->is_skipping)
        f->visitor.sample(f->visitor.ctx, id, t_ms, value);
}

static void on_histogram(void *ctx, uint32_t id, int64_t t_ms, struct toc_sv bytes) {
    struct toc_log_follower *f = ctx;
    if (!f->is_skipping)
        f->visitor.histogram(f->visitor.ctx, id, t_ms, bytes);
}

/* --- segments --- */

struct toc_log_follower *toc_log_follower_new(struct toc_metricdb *db,
                                              const struct toc_log_position *from,
                                              const struct toc_log_visitor *visitor) {
    struct toc_log_follower *f = TOC_NEW(struct toc_log_follower);
    f->db = db;
    f->visitor = *visitor;
    f->at = *from;
    if (f->at.segment >= toc_wal_next_number(db->wal)) {
        if (f->at.segment > 1 || f->at.offset)
            toc_log(TOC_LOG_WARN, "metricdb",
                    "a follower of the log stands in segment %llu, which is not there yet: the "
                    "log was replaced, all of it is read",
                    (unsigned long long)f->at.segment);
        f->at = (struct toc_log_position){0};
    }
    return f;
}

void toc_log_follower_free(struct toc_log_follower **follower) {
    struct toc_log_follower *f = *follower;
    if (!f)
        return;
    toc_wal_reader_close(&f->reader);
    toc_free(f);
    *follower = NULL;
}

static int held_from(struct toc_metricdb *db, uint64_t number, uint64_t *out) {
    uint64_t *numbers = NULL;
    size_t count = 0;
    int rc = toc_wal_list(db->vfs, db->held_dir, &numbers, &count);
    *out = UINT64_MAX;
    for (size_t i = count; i-- > 0 && numbers[i] >= number;)
        *out = numbers[i];
    toc_free(numbers);
    return rc;
}

/* The first segment from `number` on, in one folder or the other: 0, or TOC_EEND. The log is asked
 * first, as segments move from it to the other. */
static int locate(struct toc_log_follower *f, uint64_t number, uint64_t *out_number, char *path,
                  size_t path_size) {
    struct toc_wal_extent e;
    uint64_t held;
    bool is_in_log = toc_wal_find(f->db->wal, number, &e);
    int rc = held_from(f->db, number, &held);
    if (rc)
        return rc;
    if (held == UINT64_MAX && !is_in_log)
        return TOC_EEND;
    bool is_held = !is_in_log || held < e.number;
    *out_number = is_held ? held : e.number;
    f->limit = is_held || !e.is_last ? UINT64_MAX : e.bytes;
    f->is_final = f->limit == UINT64_MAX;
    toc_wal_path(is_held ? f->db->held_dir : f->db->wal_dir, *out_number, path, path_size);
    return 0;
}

static const struct toc_wal_visitor *wal_visitor(struct toc_log_follower *f,
                                                 struct toc_wal_visitor *out) {
    *out = (struct toc_wal_visitor){
        .ctx = f, .series = on_series, .sample = on_sample, .histogram = on_histogram};
    return out;
}

/* What was known of the place holds only when it is the same segment. */
static void enter(struct toc_log_follower *f, uint64_t number,
                  const struct toc_wal_summary *summary) {
    uint64_t salt = toc_wal_reader_salt(f->reader);
    bool is_same = number == f->at.segment && (!f->at.salt || f->at.salt == salt);
    f->known_to = is_same ? f->at.offset : 0;
    if (number == f->at.segment && !is_same)
        f->at.sequence = 0;
    f->at.segment = number;
    f->at.salt = salt;
    f->at.offset = f->known_to;
    f->segment_ms = summary->created_ms;
    f->is_done = false;
    f->visitor.segment(f->visitor.ctx);
}

/* TOC_EEND: there is no further segment. */
static int open_from(struct toc_log_follower *f, uint64_t number) {
    for (int tries = 0; tries < 3; tries++) {
        char path[4096];
        uint64_t found;
        struct toc_wal_summary summary;
        struct toc_wal_visitor v;
        int rc = locate(f, number, &found, path, sizeof path);
        if (rc)
            return rc;
        rc = toc_wal_reader_open(f->db->vfs, path, wal_visitor(f, &v), &f->reader, &summary);
        if (rc == TOC_ENOENT) /* it was moved meanwhile */
            continue;
        if (rc == TOC_ECORRUPT && f->is_final) { /* no header: nothing of it can be read */
            number = found + 1;
            tries = -1;
            continue;
        }
        if (!rc)
            enter(f, found, &summary);
        return rc == TOC_ECORRUPT ? TOC_EEND : rc;
    }
    return TOC_EBUSY;
}

/* More of this segment, or the end of it? */
static void look_again(struct toc_log_follower *f) {
    struct toc_wal_extent e;
    bool is_open =
        toc_wal_find(f->db->wal, f->at.segment, &e) && e.number == f->at.segment && e.is_last;
    f->is_final = !is_open;
    f->limit = is_open ? e.bytes : UINT64_MAX;
}

static void count_record(struct toc_log_follower *f) {
    struct toc_wal_summary s = toc_wal_reader_summary(f->reader);
    if (f->at.sequence && s.last_sequence > f->at.sequence + 1)
        f->lost += s.last_sequence - f->at.sequence - 1;
    f->at.sequence = TOC_MAX(f->at.sequence, s.last_sequence);
    f->at.offset = toc_wal_reader_offset(f->reader);
}

/* One record of the segment at hand that was not taken before. */
static int take(struct toc_log_follower *f, bool *out_took) {
    for (;;) {
        f->is_skipping = toc_wal_reader_offset(f->reader) < f->known_to;
        int rc = toc_wal_reader_next(f->reader, f->limit, f->is_final, out_took);
        if (rc || !*out_took)
            return rc;
        if (f->is_skipping)
            continue;
        count_record(f);
        return 0;
    }
}

/* Goes on in the segment at hand; true when there is nothing more in it for now. */
static int take_or_look(struct toc_log_follower *f, bool *out_took) {
    int rc = take(f, out_took);
    if (rc || *out_took)
        return rc;
    bool was_final = f->is_final;
    uint64_t before = f->limit;
    look_again(f);
    if (!was_final && (f->is_final || f->limit != before))
        rc = take(f, out_took);
    f->is_done = !rc && !*out_took && f->is_final;
    return rc;
}

static int next_record(struct toc_log_follower *f, bool *out_took) {
    for (;;) {
        int rc = 0;
        if (!f->reader)
            rc = open_from(f, f->is_done ? f->at.segment + 1 : f->at.segment);
        if (!rc)
            rc = take_or_look(f, out_took);
        if (rc || *out_took || !f->is_done)
            return rc;
        struct toc_wal_reader *done = f->reader;
        rc = open_from(f, f->at.segment + 1);
        if (rc) { /* stay: the position is the end of this one */
            f->reader = done;
            return rc;
        }
        toc_wal_reader_close(&done);
    }
}

int toc_log_follow(struct toc_log_follower *f, bool *out_took, struct toc_err *err) {
    *out_took = false;
    int rc = next_record(f, out_took);
    if (!rc || rc == TOC_EEND)
        return 0;
    toc_wal_reader_close(&f->reader); /* what it holds of the file may be half of a read */
    f->is_done = false;
    return toc_errf(err, rc, "cannot read segment %llu of the log in %s: %s",
                    (unsigned long long)f->at.segment, f->db->dir, toc_strerror(rc));
}

struct toc_log_position toc_log_follower_position(const struct toc_log_follower *f) {
    return f->at;
}

uint64_t toc_log_follower_lost(const struct toc_log_follower *f) {
    return f->lost;
}

int64_t toc_log_follower_segment_ms(const struct toc_log_follower *f) {
    return f->segment_ms;
}

/* --- what is held --- */

int toc_metricdb_hold(struct toc_metricdb *db, bool is_wanted) {
    struct toc_file_info info;
    int rc = db->vfs->info(db->vfs, db->held_dir, &info);
    if (rc && rc != TOC_ENOENT)
        return rc;
    if (is_wanted == (rc == 0))
        return 0;
    if (is_wanted)
        rc = db->vfs->mkdir(db->vfs, db->held_dir);
    else
        rc = toc_metricdb_release(db, UINT64_MAX);
    if (!rc && !is_wanted)
        rc = db->vfs->remove(db->vfs, db->held_dir);
    return rc ? rc : db->vfs->sync_dir(db->vfs, db->dir);
}

int toc_metricdb_held(struct toc_metricdb *db, struct toc_held_segment **out, size_t *out_count) {
    uint64_t *numbers = NULL;
    size_t count = 0;
    int rc = toc_wal_list(db->vfs, db->held_dir, &numbers, &count);
    *out = TOC_NEW_ARRAY(struct toc_held_segment, count + 1);
    *out_count = 0;
    for (size_t i = 0; !rc && i < count; i++) {
        char path[4096];
        struct toc_file_info info;
        toc_wal_path(db->held_dir, numbers[i], path, sizeof path);
        rc = db->vfs->info(db->vfs, path, &info);
        if (!rc)
            (*out)[(*out_count)++] =
                (struct toc_held_segment){numbers[i], info.size_bytes, info.mtime_ms};
    }
    toc_free(numbers);
    if (rc) {
        toc_free(*out);
        *out = NULL;
        *out_count = 0;
    }
    return rc;
}

int toc_metricdb_release(struct toc_metricdb *db, uint64_t number) {
    uint64_t *numbers = NULL;
    size_t count = 0;
    int rc = toc_wal_list(db->vfs, db->held_dir, &numbers, &count);
    for (size_t i = 0; !rc && i < count && numbers[i] < number; i++) {
        char path[4096];
        toc_wal_path(db->held_dir, numbers[i], path, sizeof path);
        rc = db->vfs->remove(db->vfs, path);
    }
    toc_free(numbers);
    return rc;
}

int toc_metricdb_log_behind(struct toc_metricdb *db, const struct toc_log_position *p,
                            uint64_t *out_bytes) {
    struct toc_held_segment *held;
    struct toc_wal_extent e;
    size_t count;
    uint64_t first_in_log = UINT64_MAX, sum = 0;
    for (uint64_t n = p->segment; toc_wal_find(db->wal, n, &e); n = e.number + 1) {
        first_in_log = TOC_MIN(first_in_log, e.number);
        sum += e.number == p->segment ? e.bytes - TOC_MIN(p->offset, e.bytes) : e.bytes;
    }
    int rc = toc_metricdb_held(db, &held, &count);
    for (size_t i = 0; i < count; i++)
        if (held[i].number >= p->segment && held[i].number < first_in_log)
            sum += held[i].number == p->segment ? held[i].bytes - TOC_MIN(p->offset, held[i].bytes)
                                                : held[i].bytes;
    toc_free(held);
    *out_bytes = sum;
    return rc;
}
