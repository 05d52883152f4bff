#include "diagnose/log_stream.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/num.h"
#include "shim/regex.h"

enum { LOOK_BACK_LINES = 64, LOOK_BACK_BYTES = 16384, PLACE_BYTES = 512, GROUPS_MAX = 6 };

/* X(name, expression): where a line says who wrote it. */
#define PLACE_TABLE(X)                                                                 \
    X(RANK, "(?:^|[^A-Za-z_])[Rr]ank[ =:]?([0-9]{1,7})(?:[^0-9.]|$)")                  \
    X(NCCL, "^([A-Za-z0-9][A-Za-z0-9._-]*):([0-9]+):[0-9]+ \\[([0-9]+)\\] ")           \
    X(SRUN, "^([0-9]{1,7}): ")                                                         \
    X(PCI, "([0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2})(?:\\.[0-9])?")            \
    X(SYSLOG, "^(?:[A-Z][a-z]{2} +[0-9]+ [0-9:]{8}|[0-9]{4}-[0-9-]{5}T[^ ]+) ([^ ]+) " \
              "[a-z]+[\\[:]")

#define X(name, expression) PLACE_##name,
enum place { PLACE_TABLE(X) PLACE_COUNT };
#undef X

struct toc_log_places {
    struct toc_regex *regex[PLACE_COUNT];
};

struct toc_log_places *toc_log_places_new(void) {
    static const char *const expressions[] = {
#define X(name, expression) expression,
        PLACE_TABLE(X)
#undef X
    };
    struct toc_log_places *p = TOC_NEW(struct toc_log_places);
    for (int i = 0; i < PLACE_COUNT; i++) {
        struct toc_err err = {0};
        int rc = toc_regex_new(toc_sv_cstr(expressions[i]), TOC_REGEX_SEARCH | TOC_REGEX_LATE,
                               &p->regex[i], &err);
        TOC_ASSERT(rc == 0);
    }
    return p;
}

void toc_log_places_free(struct toc_log_places **p) {
    if (!p || !*p)
        return;
    for (int i = 0; i < PLACE_COUNT; i++)
        toc_regex_free(&(*p)->regex[i]);
    toc_free(*p);
    *p = NULL;
}

/* ------------------------------------------------------------------------------------------- time
 */

/* The latest time in the lines that end before `end`, without looking far. */
static bool time_before(const struct toc_log_stream *s, const char *end, struct toc_ts *out) {
    const char *begin = s->chunk.p, *stop = end;
    if (end - begin > LOOK_BACK_BYTES)
        begin = end - LOOK_BACK_BYTES;
    for (int i = 0; i < LOOK_BACK_LINES && stop > begin; i++) {
        const char *newline = memrchr(begin, '\n', (size_t)(stop - begin));
        const char *line = newline ? newline + 1 : begin;
        bool is_whole = newline || begin == s->chunk.p;
        if (is_whole && stop > line &&
            toc_log_time_parse(toc_sv_make(line, (size_t)(stop - line)), &s->time, out))
            return true;
        stop = newline ? newline : begin;
    }
    return false;
}

static bool is_in_chunk(const struct toc_log_stream *s, struct toc_sv line) {
    return s->chunk.n && line.p >= s->chunk.p && line.p < s->chunk.p + s->chunk.n;
}

static struct toc_ts time_of(struct toc_log_stream *s, struct toc_sv line) {
    struct toc_ts at;
    if (s->o.uses_arrival)
        return s->arrived;
    bool is_known =
        toc_log_time_parse(line, &s->time, &at) ||
        (is_in_chunk(s, line) && line.p > s->chunk.p && time_before(s, line.p - 1, &at));
    if (is_known) {
        s->last = at;
        return at;
    }
    if (s->last.ms || s->o.leaves_undated)
        return s->last;
    s->undated++;
    return s->arrived;
}

/* ------------------------------------------------------------------------------------------ place
 */

static int64_t number(struct toc_sv text) {
    int64_t n;
    return text.n && toc_parse_i64(text, &n) == 0 ? n : -1;
}

/* What any signature of the line captured. */
static struct toc_sv field(const struct toc_log_stream *s, enum toc_signature_field f) {
    for (size_t i = 0; i < s->hit_count; i++) {
        struct toc_sv text = toc_signature_field(&s->hits[i], f);
        if (text.n)
            return text;
    }
    return TOC_SV_NULL;
}

static bool look(const struct toc_log_stream *s, enum place p, struct toc_sv line,
                 struct toc_sv *groups) {
    return s->o.places && toc_regex_capture(s->o.places->regex[p], toc_sv_sub(line, 0, PLACE_BYTES),
                                            groups, GROUPS_MAX);
}

static void place_job(const struct toc_log_stream *s, struct toc_sv line,
                      struct toc_failure_hit *h) {
    struct toc_sv g[GROUPS_MAX];
    if (look(s, PLACE_NCCL, line, g)) {
        h->host = h->host.n ? h->host : g[1];
        h->pid = h->pid < 0 ? number(g[2]) : h->pid;
        h->local_rank = h->local_rank < 0 ? number(g[3]) : h->local_rank;
    }
    if (h->rank < 0 && look(s, PLACE_RANK, line, g))
        h->rank = number(g[1]);
    if (h->rank < 0)
        h->rank = number(field(s, TOC_FIELD_RANK));
    if (h->rank < 0 && look(s, PLACE_SRUN, line, g))
        h->rank = number(g[1]);
}

static void place_kernel(const struct toc_log_stream *s, struct toc_sv line,
                         struct toc_failure_hit *h) {
    struct toc_sv g[GROUPS_MAX];
    if (!h->device.n && look(s, PLACE_PCI, line, g))
        h->device = g[1];
    if (!h->host.n && look(s, PLACE_SYSLOG, line, g))
        h->host = g[1];
}

/* "0000:3b:00.0" and "0000:3b:00" are one device. */
static struct toc_sv without_function(struct toc_sv device) {
    bool has_function =
        device.n > 10 && device.p[device.n - 2] == '.' && toc_sv_find_char(device, ':') != SIZE_MAX;
    struct toc_sv d = has_function ? toc_sv_sub(device, 0, device.n - 2) : device;
    return toc_sv_starts_with(d, TOC_SV("PCI:")) ? toc_sv_sub(d, 4, SIZE_MAX) : d;
}

static int64_t lasted_ms(const struct toc_log_stream *s) {
    int64_t ms = number(field(s, TOC_FIELD_MILLISECONDS));
    int64_t seconds = number(field(s, TOC_FIELD_SECONDS));
    const int64_t day = INT64_C(86400000);
    ms = ms >= 0 ? ms : seconds >= 0 && seconds < 86400 ? seconds * 1000 : 0;
    return ms <= day ? ms : day;
}

static struct toc_failure_hit describe(struct toc_log_stream *s, struct toc_sv line) {
    struct toc_failure_hit h = TOC_FAILURE_HIT_INIT;
    h.job = s->o.job, h.host = s->o.host, h.rank = s->o.rank, h.file = s->o.file;
    h.line_number = s->hits[0].line_number;
    h.at = time_of(s, line);
    h.lasted_ms = lasted_ms(s);
    h.pid = number(field(s, TOC_FIELD_PID));
    h.local_rank = number(field(s, TOC_FIELD_LOCAL_RANK));
    h.sequence = number(field(s, TOC_FIELD_SEQUENCE));
    h.code = field(s, TOC_FIELD_CODE);
    h.word = field(s, TOC_FIELD_WORD);
    h.process = field(s, TOC_FIELD_PROCESS);
    h.operation = field(s, TOC_FIELD_OPERATION);
    h.device = field(s, TOC_FIELD_DEVICE);
    if (!h.host.n)
        h.host = field(s, TOC_FIELD_HOST);
    if (s->hits[0].signature->sources & (TOC_LOG_JOB | TOC_LOG_SERVING))
        place_job(s, line, &h);
    if (s->hits[0].signature->sources & TOC_LOG_KERNEL)
        place_kernel(s, line, &h);
    h.device = without_function(h.device);
    toc_buf_reset(&s->excerpt);
    s->redacted += toc_redact_excerpt(s->o.redactor, line, s->o.excerpt_bytes, &s->excerpt);
    h.text = toc_buf_sv(&s->excerpt);
    return h;
}

/* ----------------------------------------------------------------------------------------- lines
 */

static bool is_specific(const struct toc_signature *s) {
    return s->role == TOC_SIGNATURE_ROOT || s->role == TOC_SIGNATURE_EITHER ||
           s->role == TOC_SIGNATURE_CASCADE || s->role == TOC_SIGNATURE_CONFIRM;
}

static void end_line(void *ctx) {
    struct toc_log_stream *s = ctx;
    struct toc_sv line = s->hits[0].line;
    bool has_specific = false;
    for (size_t i = 0; i < s->hit_count; i++)
        has_specific |= is_specific(s->hits[i].signature);
    struct toc_failure_hit hit = describe(s, line);
    for (size_t i = 0; i < s->hit_count; i++) {
        hit.signature = s->hits[i].signature;
        if (has_specific && hit.signature->role == TOC_SIGNATURE_FALLBACK)
            continue;
        s->o.on_hit(s->o.ctx, &hit);
        s->emitted++;
    }
    s->hit_count = 0;
}

static void note(void *ctx, const struct toc_signature_hit *hit) {
    struct toc_log_stream *s = ctx;
    if (s->hit_count < TOC_LOG_STREAM_LINE_HITS_MAX)
        s->hits[s->hit_count++] = *hit;
}

void toc_log_stream_init(struct toc_log_stream *s, const struct toc_log_stream_options *o) {
    *s = (struct toc_log_stream){.o = *o};
    s->o.excerpt_bytes = o->excerpt_bytes ? o->excerpt_bytes : 300;
    toc_log_scan_init(&s->scan, o->table, o->sources, note, s);
    s->scan.end_line = end_line;
    s->scan.beside = o->beside;
}

void toc_log_stream_feed(struct toc_log_stream *s, struct toc_sv bytes, struct toc_ts arrived,
                         int64_t utc_offset_ms) {
    struct toc_ts last;
    s->arrived = arrived;
    s->time = (struct toc_log_time_options){arrived, utc_offset_ms};
    s->chunk = bytes;
    toc_log_scan_feed(&s->scan, bytes);
    if (bytes.n && time_before(s, bytes.p + bytes.n, &last))
        s->last = last;
    s->chunk = TOC_SV_NULL;
}

void toc_log_stream_finish(struct toc_log_stream *s) {
    toc_log_scan_finish(&s->scan);
}

void toc_log_stream_fini(struct toc_log_stream *s) {
    toc_log_scan_fini(&s->scan);
    toc_buf_fini(&s->excerpt);
}
