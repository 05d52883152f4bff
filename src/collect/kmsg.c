#include "collect/kmsg.h"
#include "collect/sealed_state.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "sys/records.h"

enum {
    MAGIC = 0x47534d4b, /* "KMSG" */
    BOOT_ID_MAX = 64,
    TEXT_BYTES_MAX = 16384,
    RETRY_MS = 60000,
};

struct toc_kmsg {
    struct toc_kmsg_options o;
    struct toc_records *device;
    char boot_id[BOOT_ID_MAX], known_boot_id[BOOT_ID_MAX]; /* now; of the stored sequence */
    uint64_t next_sequence;                                /* the one after the last seen */
    bool has_sequence, is_started;
    bool is_caught_up; /* what there was at the very first start was passed over */
    int64_t retry_at_ms;
    struct toc_buf room, joined;
    struct toc_kmsg_record pending; /* its text is in joined */
    bool has_pending;
    struct toc_kmsg_counters counters;
};

/* ---------------------------------------------------------------------------------------- parsing
 */

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Line endings and NULs within a line become blanks. */
static void append_byte(int c, struct toc_buf *out) {
    toc_buf_append_char(out, c == '\n' || c == '\r' || !c ? ' ' : (char)c);
}

/* \x0a and the like; everything else as it is. */
static void append_unescaped(struct toc_sv text, struct toc_buf *out) {
    for (size_t i = 0; i < text.n; i++) {
        bool is_escape = text.p[i] == '\\' && i + 3 < text.n && text.p[i + 1] == 'x' &&
                         hex_digit(text.p[i + 2]) >= 0 && hex_digit(text.p[i + 3]) >= 0;
        if (is_escape) {
            append_byte(hex_digit(text.p[i + 2]) * 16 + hex_digit(text.p[i + 3]), out);
            i += 3;
        } else {
            append_byte((unsigned char)text.p[i], out);
        }
    }
}

static int parse_head(struct toc_sv head, struct toc_kmsg_record *out, uint64_t *out_usec,
                      char *out_flag) {
    struct toc_sv field;
    uint64_t numbers[3];
    for (int i = 0; i < 3; i++)
        if (!toc_sv_split(&head, ',', &field) || toc_parse_u64(field, &numbers[i]) < 0)
            return TOC_EPARSE;
    if (!toc_sv_split(&head, ',', &field) || field.n != 1 || numbers[0] > 1023)
        return TOC_EPARSE;
    out->priority = (int)(numbers[0] & 7);
    out->facility = (int)(numbers[0] >> 3);
    out->sequence = numbers[1];
    *out_usec = numbers[2];
    *out_flag = field.p[0];
    return 0;
}

int toc_kmsg_parse(struct toc_sv bytes, struct toc_kmsg_record *out, uint64_t *out_usec,
                   char *out_flag, struct toc_buf *room) {
    struct toc_kmsg_record r = {0};
    struct toc_sv rest, line = TOC_SV_NULL; /* nothing may stand behind the semicolon */
    size_t semicolon = toc_sv_find_char(bytes, ';');
    if (semicolon == SIZE_MAX ||
        parse_head(toc_sv_sub(bytes, 0, semicolon), &r, out_usec, out_flag) < 0)
        return TOC_EPARSE;
    rest = toc_sv_sub(bytes, semicolon + 1, SIZE_MAX);
    (void)toc_sv_split(&rest, '\n', &line);
    toc_buf_reset(room);
    append_unescaped(line, room);
    size_t text_bytes = room->n;
    while (toc_sv_split(&rest, '\n', &line))
        if (toc_sv_starts_with(line, TOC_SV(" DEVICE=")))
            append_unescaped(toc_sv_sub(line, 8, SIZE_MAX), room);
    if (toc_buf_error(room))
        return toc_buf_error(room);
    r.text = toc_sv_sub(toc_buf_sv(room), 0, text_bytes);
    r.device = toc_sv_sub(toc_buf_sv(room), text_bytes, SIZE_MAX);
    *out = r;
    return 0;
}

/* --------------------------------------------------------------------------------------- the
 * device
 */

struct toc_kmsg *toc_kmsg_new(const struct toc_kmsg_options *o) {
    struct toc_kmsg *k = TOC_NEW(struct toc_kmsg);
    k->o = *o;
    k->o.path = o->path ? o->path : "/dev/kmsg";
    k->o.vfs = o->vfs ? o->vfs : toc_vfs_system();
    k->o.boot_id_path = o->boot_id_path ? o->boot_id_path : "/proc/sys/kernel/random/boot_id";
    return k;
}

void toc_kmsg_free(struct toc_kmsg **k) {
    if (!k || !*k)
        return;
    toc_records_close(&(*k)->device);
    toc_buf_fini(&(*k)->room);
    toc_buf_fini(&(*k)->joined);
    toc_free(*k);
    *k = NULL;
}

struct toc_kmsg_counters toc_kmsg_counters(const struct toc_kmsg *k) {
    return k->counters;
}

static void read_boot_id(struct toc_kmsg *k) {
    struct toc_buf text = TOC_BUF_INIT;
    if (toc_vfs_read_file(k->o.vfs, k->o.boot_id_path, 4096, &text) == 0)
        toc_sv_copy(toc_sv_trim(toc_buf_sv(&text)), k->boot_id, sizeof k->boot_id);
    toc_buf_fini(&text);
}

static void go_blind(struct toc_kmsg *k, int code, int64_t now_ms) {
    k->counters.is_blind = true;
    k->retry_at_ms = now_ms + RETRY_MS;
    snprintf(k->counters.problem, sizeof k->counters.problem, "%s cannot be read: %s%s", k->o.path,
             toc_strerror(code),
             code == TOC_EACCES || code == -1
                 ? "; run as root or with CAP_SYSLOG, or follow a kernel log file (logs.files)"
                 : "");
}

/* After a reboot, or for the first time, the stored sequence means nothing. */
static void start(struct toc_kmsg *k) {
    read_boot_id(k);
    k->is_started = true;
    if (!k->known_boot_id[0] || strcmp(k->known_boot_id, k->boot_id) != 0)
        k->has_sequence = false;
}

static bool is_ready(struct toc_kmsg *k, int64_t now_ms) {
    if (!k->is_started)
        start(k);
    if (k->o.read || k->device)
        return true;
    if (k->counters.is_blind && now_ms < k->retry_at_ms)
        return false;
    int rc = toc_records_open(k->o.path, &k->device);
    if (rc < 0)
        go_blind(k, rc, now_ms);
    return rc == 0;
}

static int64_t next(struct toc_kmsg *k, char *out, size_t max) {
    return k->o.read ? k->o.read(k->o.read_ctx, out, max) : toc_records_read(k->device, out, max);
}

/* ---------------------------------------------------------------------------------------- records
 */

static void flush(struct toc_kmsg *k) {
    if (!k->has_pending)
        return;
    k->has_pending = false;
    k->pending.text = toc_buf_sv(&k->joined);
    k->counters.records++;
    k->o.fn(k->o.ctx, &k->pending);
}

static void take(struct toc_kmsg *k, const struct toc_kmsg_record *r, char flag) {
    if (flag == '+' && k->has_pending) {
        if (k->joined.n + r->text.n <= TEXT_BYTES_MAX)
            toc_buf_append_sv(&k->joined, r->text);
        return;
    }
    flush(k);
    if (flag == 'c') {
        toc_buf_reset(&k->joined);
        toc_buf_append_sv(&k->joined, r->text);
        k->pending = *r;
        k->pending.device = TOC_SV_NULL;
        k->has_pending = true;
        return;
    }
    k->counters.records++;
    k->o.fn(k->o.ctx, r);
}

/* False when the record was seen before, or is history at the very first start. */
static bool is_news(struct toc_kmsg *k, const struct toc_kmsg_record *r, struct toc_ts now) {
    if (!k->has_sequence)
        return k->is_caught_up || (k->o.past_ms && now.ms - r->at.ms <= k->o.past_ms);
    if (r->sequence < k->next_sequence)
        return false;
    k->counters.lost += r->sequence - k->next_sequence;
    return true;
}

static void handle(struct toc_kmsg *k, struct toc_sv bytes, struct toc_ts now, struct toc_ts boot) {
    struct toc_kmsg_record r;
    uint64_t usec;
    char flag;
    if (toc_kmsg_parse(bytes, &r, &usec, &flag, &k->room) < 0) {
        k->counters.malformed++;
        return;
    }
    r.at.ms = boot.ms + (int64_t)(usec / 1000);
    bool is_new = is_news(k, &r, now);
    k->counters.skipped += !is_new;
    if (!k->has_sequence || r.sequence >= k->next_sequence)
        k->next_sequence = r.sequence + 1;
    if (is_new) {
        k->has_sequence = true;
        take(k, &r, flag);
    }
}

void toc_kmsg_poll(struct toc_kmsg *k, struct toc_ts now, struct toc_ts boot) {
    char *record = toc_xalloc(TOC_KMSG_RECORD_BYTES_MAX);
    int64_t got = 0;
    for (int i = 0; i < TOC_KMSG_RECORDS_PER_POLL && is_ready(k, now.ms); i++) {
        got = next(k, record, TOC_KMSG_RECORD_BYTES_MAX);
        if (got == TOC_RECORDS_LOST) { /* how many says the sequence of the next */
            k->counters.overruns++;
            continue;
        }
        if (got <= 0)
            break;
        handle(k, toc_sv_make(record, (size_t)got), now, boot);
    }
    if (got < 0 && got != TOC_RECORDS_NONE && got != TOC_RECORDS_LOST) {
        go_blind(k, (int)got, now.ms);
        toc_records_close(&k->device);
    } else if (got == TOC_RECORDS_NONE || got == 0) {
        flush(k); /* a piece waits for its rest no longer than until the next look */
        k->has_sequence |= k->next_sequence > 0;
        k->is_caught_up = true;
    }
    if (k->o.read || k->device)
        k->counters.is_blind = false;
    toc_free(record);
}

/* ------------------------------------------------------------------------------------------ state
 */

void toc_kmsg_save(const struct toc_kmsg *k, struct toc_buf *out) {
    size_t start_at = out->n;
    struct toc_sv boot = toc_sv_cstr(k->is_started ? k->boot_id : k->known_boot_id);
    toc_buf_append_u32(out, MAGIC);
    toc_buf_append_varint(out, boot.n);
    toc_buf_append_sv(out, boot);
    toc_buf_append_varint(out, k->has_sequence ? k->next_sequence : 0);
    toc_sealed_state_end(out, start_at);
}

int toc_kmsg_restore(struct toc_kmsg *k, struct toc_sv bytes) {
    struct toc_reader r;
    if (toc_sealed_state_open(bytes, MAGIC, &r))
        return TOC_ECORRUPT;
    struct toc_sv boot = toc_read_string(&r);
    uint64_t sequence = toc_read_varint(&r);
    if (r.error || boot.n >= BOOT_ID_MAX)
        return TOC_ECORRUPT;
    toc_sv_copy(boot, k->known_boot_id, sizeof k->known_boot_id);
    k->next_sequence = sequence;
    k->has_sequence = sequence > 0;
    return 0;
}
