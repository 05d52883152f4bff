/* Reads log segments: takes every whole record, and after damage looks for the next one byte by
 * byte. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "metricdb/wal_record.h"

enum { WINDOW_BYTES = 2 * (TOC_WAL_PAYLOAD_MAX + TOC_WAL_RECORD_HEADER_BYTES) };

void toc_wal_path(const char *dir, uint64_t number, char *out, size_t out_size) {
    snprintf(out, out_size, "%s/%010llu.wal", dir, (unsigned long long)number);
}

int toc_wal_refuse_newer(const char *dir, uint64_t number, struct toc_err *err) {
    char path[4096];
    toc_wal_path(dir, number, path, sizeof path);
    return toc_errf(err, TOC_EVERSION,
                    "log segment %s was written by a newer release: run that release or restore "
                    "an older backup",
                    path);
}

/* --- listing --- */

struct numbers {
    TOC_VEC_FIELDS(uint64_t)
};

static int note_name(void *ctx, const char *name) {
    struct numbers *list = ctx;
    struct toc_sv digits = toc_sv_cstr(name);
    if (digits.n < 5 || !toc_sv_ends_with(digits, TOC_SV(".wal")))
        return 0;
    uint64_t number = 0;
    for (size_t i = 0; i < digits.n - 4; i++) {
        if (name[i] < '0' || name[i] > '9' || number > UINT32_MAX)
            return 0;
        number = number * 10 + (uint64_t)(name[i] - '0');
    }
    TOC_VEC_PUSH(list, number);
    return 0;
}

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int toc_wal_list(struct toc_vfs *vfs, const char *dir, uint64_t **out_numbers, size_t *out_count) {
    struct numbers list = {0};
    int rc = vfs->list(vfs, dir, note_name, &list);
    if (list.count)
        qsort(list.items, list.count, sizeof *list.items, by_number);
    *out_numbers = list.items;
    *out_count = list.count;
    return rc == TOC_ENOENT ? 0 : rc;
}

/* --- reading --- */

struct toc_wal_reader {
    struct toc_vfs *vfs;
    struct toc_file *file;
    struct toc_wal_visitor visitor;
    struct toc_wal_summary sum;
    uint64_t salt;
    char *window;
    size_t have, used;  /* bytes in the window, of those consumed */
    uint64_t window_at; /* file offset of the window */
    bool at_end;
    uint32_t salt_crc;
    struct toc_arena scratch;
    bool in_damage;
    uint64_t damage_at;
    int64_t before_min_ms,
        before_max_ms; /* of the record before the damage; 0 when there is none */
};

/* Moves the unread rest to the front and reads on, no further than `limit`. */
static int refill(struct toc_wal_reader *s, uint64_t limit) {
    memmove(s->window, s->window + s->used, s->have - s->used);
    s->window_at += s->used;
    s->have -= s->used;
    s->used = 0;
    uint64_t at = s->window_at + s->have;
    size_t room = (size_t)TOC_MIN((uint64_t)(WINDOW_BYTES - s->have), limit - TOC_MIN(at, limit));
    int64_t got = room ? s->vfs->pread(s->vfs, s->file, s->window + s->have, room, at) : 0;
    if (got < 0)
        return (int)got;
    s->at_end = got == 0;
    s->have += (size_t)got;
    return 0;
}

/* What lay in a damaged place is not known: likely times between those of the records around it. */
static void end_damage(struct toc_wal_reader *s, uint64_t end, bool is_tail, int64_t after_min_ms,
                       int64_t after_max_ms) {
    int64_t min = s->before_min_ms, max = s->before_max_ms;
    if (!s->in_damage)
        return;
    s->in_damage = false;
    if (after_max_ms) {
        min = max ? TOC_MIN(min, after_min_ms) : after_min_ms;
        max = max ? TOC_MAX(max, after_max_ms) : after_max_ms;
    }
    if (s->visitor.damage)
        s->visitor.damage(s->visitor.ctx, s->damage_at, end - s->damage_at, is_tail, min, max);
}

/* TOC_ENOMEM, or 0: what makes no sense is damage. */
static int take_record(struct toc_wal_reader *s, size_t length, uint64_t sequence) {
    struct toc_sv payload = toc_sv_make(s->window + s->used + TOC_WAL_RECORD_HEADER_BYTES,
                                        length - TOC_WAL_RECORD_HEADER_BYTES);
    struct toc_wal_summary one = {.min_ms = INT64_MAX, .max_ms = INT64_MIN};
    int rc = toc_wal_payload_visit(payload, &s->scratch, &s->visitor, &one);
    if (rc == TOC_ENOMEM)
        return rc;
    int64_t min = one.min_ms, max = one.max_ms;
    s->sum.samples += one.samples;
    s->sum.deletions += one.deletions;
    if (rc &&
        !s->in_damage) { /* a checksum that fits nonsense: count it as damage of this record */
        s->in_damage = true;
        s->damage_at = s->window_at + s->used;
    }
    if (!rc)
        end_damage(s, s->window_at + s->used, false, min <= max ? min : 0, min <= max ? max : 0);
    s->sum.records++;
    s->sum.last_sequence = TOC_MAX(s->sum.last_sequence, sequence);
    s->sum.min_ms = TOC_MIN(s->sum.min_ms, min);
    s->sum.max_ms = TOC_MAX(s->sum.max_ms, max);
    if (max != INT64_MIN) {
        s->before_min_ms = min;
        s->before_max_ms = max;
    }
    s->used += length;
    return 0;
}

/* After damage: to the next byte that may begin a record. */
static void skip_to_magic(struct toc_wal_reader *s) {
    static const uint32_t magic = TOC_WAL_RECORD_MAGIC;
    s->used++;
    while (s->used < s->have) {
        size_t left = s->have - s->used;
        const char *p = memchr(s->window + s->used, (int)(magic & 0xff), left);
        s->used = p ? (size_t)(p - s->window) : s->have;
        left = s->have - s->used;
        if (!left || left < sizeof magic || !memcmp(s->window + s->used, &magic, sizeof magic))
            return;
        s->used++;
    }
}

int toc_wal_reader_next(struct toc_wal_reader *s, uint64_t limit, bool is_final, bool *out_took) {
    *out_took = false;
    s->at_end = false;
    for (;;) {
        uint64_t sequence = 0;
        struct toc_sv rest = toc_sv_make(s->window + s->used, s->have - s->used);
        size_t length = toc_wal_record_check(rest, s->salt_crc, &sequence);
        if (length == SIZE_MAX && !s->at_end) {
            int rc = refill(s, limit);
            if (rc)
                return rc;
            continue;
        }
        if (!rest.n || (length == SIZE_MAX && !is_final))
            return 0;
        if (length && length != SIZE_MAX) {
            *out_took = true;
            return take_record(s, length, sequence);
        }
        if (!s->in_damage) {
            s->in_damage = true;
            s->damage_at = s->window_at + s->used;
        }
        skip_to_magic(s);
    }
}

static int begin(struct toc_wal_reader *s) {
    int rc = refill(s, UINT64_MAX);
    if (rc)
        return rc;
    struct toc_wal_header header;
    rc = toc_wal_get_header(toc_sv_make(s->window, s->have), &header);
    if (rc)
        return rc;
    s->salt = header.salt;
    s->salt_crc = toc_wal_salt_crc(header.salt);
    s->used = 2 * (size_t)TOC_WAL_HEADER_BYTES;
    if (s->used > s->have)
        s->used = s->have;
    s->sum.number = header.number;
    s->sum.first_sequence = header.first_sequence;
    s->sum.created_ms = header.created_ms;
    s->sum.has_bad_header = header.has_bad_copy;
    return 0;
}

int toc_wal_reader_open(struct toc_vfs *vfs, const char *path, const struct toc_wal_visitor *v,
                        struct toc_wal_reader **out, struct toc_wal_summary *out_summary) {
    struct toc_wal_reader *s = TOC_NEW(struct toc_wal_reader);
    s->vfs = vfs;
    s->visitor = *v;
    s->sum = (struct toc_wal_summary){.min_ms = INT64_MAX, .max_ms = INT64_MIN};
    int rc = toc_file_open(vfs, path, TOC_OPEN_READ, &s->file);
    if (!rc) {
        s->window = toc_xalloc(WINDOW_BYTES);
        rc = begin(s);
    }
    *out_summary = toc_wal_reader_summary(s);
    if (rc)
        toc_wal_reader_close(&s);
    *out = s;
    return rc;
}

void toc_wal_reader_seek(struct toc_wal_reader *s, uint64_t offset) {
    s->window_at = offset;
    s->have = s->used = 0;
}

void toc_wal_reader_finish(struct toc_wal_reader *s) {
    end_damage(s, s->window_at + s->have, true, 0, 0);
}

struct toc_wal_summary toc_wal_reader_summary(const struct toc_wal_reader *s) {
    struct toc_wal_summary sum = s->sum;
    sum.bytes = s->window_at + s->have;
    return sum;
}

uint64_t toc_wal_reader_offset(const struct toc_wal_reader *s) {
    return s->window_at + s->used;
}

uint64_t toc_wal_reader_salt(const struct toc_wal_reader *s) {
    return s->salt;
}

void toc_wal_reader_close(struct toc_wal_reader **reader) {
    struct toc_wal_reader *s = *reader;
    if (!s)
        return;
    toc_arena_fini(&s->scratch);
    toc_free(s->window);
    if (s->file)
        toc_file_close(s->vfs, &s->file);
    toc_free(s);
    *reader = NULL;
}

int toc_wal_read(struct toc_vfs *vfs, const char *path, const struct toc_wal_visitor *v,
                 struct toc_wal_summary *out) {
    struct toc_wal_reader *s;
    int rc = toc_wal_reader_open(vfs, path, v, &s, out);
    if (rc)
        return rc;
    bool took = true;
    while (!rc && took)
        rc = toc_wal_reader_next(s, UINT64_MAX, true, &took);
    *out = toc_wal_reader_summary(s);
    if (!rc)
        toc_wal_reader_finish(s);
    toc_wal_reader_close(&s);
    return rc;
}
