#include "collect/run_log_feed_priv.h"
#include "collect/sealed_state.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum { DEFAULT_LINE_BYTES = 64 << 10, MAGIC = 0x31474f4c }; /* "LOG1" */

struct toc_run_log_feed *toc_run_log_feed_new(const struct toc_run_log_feed_options *o) {
    struct toc_run_log_feed *f = TOC_NEW(struct toc_run_log_feed);
    f->o = *o;
    f->o.max_line_bytes = o->max_line_bytes ? o->max_line_bytes : DEFAULT_LINE_BYTES;
    f->state = (struct toc_run_log_state){.epoch = (double)NAN, .step = -1};
    f->progress = -1;
    f->shapes = toc_run_log_shapes_new();
    f->names = toc_run_log_names_new(o->aliases, &f->fields);
    f->group_fields =
        TOC_NEW_ARRAY(struct toc_report_field *, o->table->count * TOC_RUN_LOG_GROUPS_MAX + 1);
    return f;
}

void toc_run_log_feed_free(struct toc_run_log_feed **f) {
    if (!f || !*f)
        return;
    toc_buf_fini(&(*f)->line);
    toc_run_log_names_free(&(*f)->names);
    toc_report_fields_fini(&(*f)->fields);
    toc_free((*f)->group_fields);
    toc_run_log_shapes_free(&(*f)->shapes);
    toc_free(*f);
    *f = NULL;
}

void toc_run_log_feed_set_utc_offset(struct toc_run_log_feed *f, int minutes) {
    f->o.utc_offset_minutes = minutes;
}

struct toc_run_log_counters toc_run_log_feed_counters(const struct toc_run_log_feed *f) {
    return f->counters;
}

uint64_t toc_run_log_feed_unfinished(const struct toc_run_log_feed *f) {
    return f->unfinished;
}

/* -------------------------------------------------------------------------------------- lines */

static void end_line(struct toc_run_log_feed *f) {
    if (f->line.n || f->is_cut || f->is_binary) {
        f->counters.lines++;
        f->counters.lines_cut += f->is_cut;
        f->counters.lines_binary += f->is_binary;
        if (!f->is_binary)
            toc_run_log_take(f, toc_buf_sv(&f->line));
    }
    toc_buf_reset(&f->line);
    f->unfinished = 0;
    f->is_cut = f->is_binary = false;
    f->escape = ESCAPE_NONE;
}

/* Is the byte part of an escape sequence of a terminal (ECMA-48)? */
static bool pass_escape(struct toc_run_log_feed *f, char c) {
    switch (f->escape) {
    case ESCAPE_NONE:
        f->escape = c == 0x1b ? ESCAPE_BEGUN : ESCAPE_NONE;
        return c == 0x1b;
    case ESCAPE_BEGUN:
        f->escape = c == '[' ? ESCAPE_CSI : c == ']' ? ESCAPE_OSC : ESCAPE_NONE;
        return true;
    case ESCAPE_CSI:
        if (c >= 0x40 && c <= 0x7e)
            f->escape = ESCAPE_NONE;
        return true;
    default:
        if (c == '\a')
            f->escape = ESCAPE_NONE;
        if (c == 0x1b)
            f->escape = ESCAPE_BEGUN; /* ESC \ ends it, too */
        return true;
    }
}

/* Backspaces come from bars that write over themselves. */
static bool is_control(char c) {
    return (unsigned char)c < 0x20 && c != '\t' && c != '\b' && c != '\f' && c != '\v';
}

static void take_byte(struct toc_run_log_feed *f, char c) {
    f->unfinished++;
    if (pass_escape(f, c) || c == '\b')
        return;
    f->is_binary |= is_control(c);
    if (f->line.n < f->o.max_line_bytes)
        toc_buf_append_char(&f->line, c);
    else
        f->is_cut = true;
}

/* Bytes up to the first that needs a look: most of a log is plain. Eight at a time: the lowest byte
 * below 0x20 is the lowest whose highest bit the subtraction sets. */
static size_t plain_run(struct toc_sv s) {
    static const uint64_t ones = 0x0101010101010101, high = 0x8080808080808080;
    uint64_t bytes;
    size_t n = 0;
    for (; n + sizeof bytes <= s.n; n += sizeof bytes) {
        memcpy(&bytes, s.p + n, sizeof bytes);
        uint64_t low = (bytes - ones * 0x20) & ~bytes & high;
        if (low)
            return n + (size_t)__builtin_ctzll(low) / 8;
    }
    while (n < s.n && (unsigned char)s.p[n] >= 0x20)
        n++;
    return n;
}

static void take_plain(struct toc_run_log_feed *f, struct toc_sv s) {
    size_t room = f->o.max_line_bytes - TOC_MIN(f->o.max_line_bytes, f->line.n);
    f->unfinished += s.n;
    f->is_cut |= s.n > room;
    toc_buf_append_sv(&f->line, toc_sv_sub(s, 0, room));
}

/* Backspaces that come one after the other: bars that write over themselves send a line of them. */
static size_t backspace_run(struct toc_sv s) {
    static const uint64_t eight = 0x0808080808080808;
    uint64_t bytes;
    size_t n = 0;
    for (; n + sizeof bytes <= s.n; n += sizeof bytes) {
        memcpy(&bytes, s.p + n, sizeof bytes);
        if (bytes != eight)
            break;
    }
    while (n < s.n && s.p[n] == '\b')
        n++;
    return n;
}

/* Most lines come whole and are plain, but for backspaces behind them: then they need not be
 * gathered. The bytes that are done with, 0 when it is no such line. */
static size_t take_whole(struct toc_run_log_feed *f, struct toc_sv rest, size_t plain) {
    if (!plain || f->unfinished || plain > f->o.max_line_bytes)
        return 0;
    size_t n = plain + backspace_run(toc_sv_sub(rest, plain, SIZE_MAX));
    if (n == rest.n || (rest.p[n] != '\n' && rest.p[n] != '\r'))
        return 0;
    f->counters.lines++;
    toc_run_log_take(f, toc_sv_sub(rest, 0, plain));
    return n + 1;
}

/* The bytes behind the plain ones: backspaces, the end of the line, or one that needs a look. */
static size_t take_special(struct toc_run_log_feed *f, struct toc_sv rest) {
    size_t n = f->escape == ESCAPE_NONE ? backspace_run(rest) : 0;
    f->unfinished += n;
    if (n)
        return n;
    if (rest.p[0] == '\n' || rest.p[0] == '\r')
        end_line(f);
    else
        take_byte(f, rest.p[0]);
    return 1;
}

void toc_run_log_feed_push(struct toc_run_log_feed *f, struct toc_sv bytes, struct toc_ts t) {
    f->t = t;
    f->counters.bytes += bytes.n;
    while (bytes.n) {
        size_t plain = f->escape == ESCAPE_NONE ? plain_run(bytes) : 0;
        size_t n = take_whole(f, bytes, plain);
        if (!n && plain)
            take_plain(f, toc_sv_sub(bytes, 0, plain));
        n = n ? n : plain;
        bytes = toc_sv_sub(bytes, n, SIZE_MAX);
        if (n == plain && bytes.n)
            bytes = toc_sv_sub(bytes, take_special(f, bytes), SIZE_MAX);
    }
    toc_run_log_give_progress(f);
}

void toc_run_log_feed_flush(struct toc_run_log_feed *f, struct toc_ts t) {
    f->t = t;
    end_line(f);
    toc_run_log_give_progress(f);
}

/* -------------------------------------------------------------------------------------- state */

void toc_run_log_feed_save(const struct toc_run_log_feed *f, struct toc_buf *out) {
    const struct toc_run_log_state *s = &f->state;
    size_t start = out->n;
    toc_buf_append_u32(out, MAGIC);
    toc_buf_append_f64(out, s->epoch);
    toc_buf_append_zigzag(out, s->last_ms);
    toc_buf_append_zigzag(out, s->step);
    toc_buf_append_zigzag(out, s->total);
    toc_buf_append_u8(out, (uint8_t)(s->has_told_restart | s->has_dict << 1));
    toc_buf_append_varint(out, s->sum_count);
    for (size_t i = 0; i < s->sum_count; i++) {
        struct toc_sv field = toc_sv_cstr(s->sums[i].field);
        toc_buf_append_varint(out, field.n);
        toc_buf_append_sv(out, field);
        toc_buf_append_f64(out, s->sums[i].value);
    }
    toc_sealed_state_end(out, start);
}

static void read_state(struct toc_reader *r, struct toc_run_log_state *s) {
    s->epoch = toc_read_f64(r);
    s->last_ms = toc_read_zigzag(r);
    s->step = toc_read_zigzag(r);
    s->total = toc_read_zigzag(r);
    uint8_t flags = toc_read_u8(r);
    s->has_told_restart = flags & 1;
    s->has_dict = flags & 2;
    uint64_t count = toc_read_varint(r);
    for (uint64_t i = 0; i < count && !r->error; i++) {
        struct toc_sv field = toc_read_string(r);
        double value = toc_read_f64(r);
        if (r->error || s->sum_count == TOC_RUN_LOG_SUMS ||
            !toc_sv_copy(field, s->sums[s->sum_count].field, sizeof s->sums[0].field))
            continue;
        s->sums[s->sum_count++].value = value;
    }
}

int toc_run_log_feed_restore(struct toc_run_log_feed *f, struct toc_sv bytes) {
    struct toc_reader r;
    struct toc_run_log_state s = {0};
    if (toc_sealed_state_open(bytes, MAGIC, &r))
        return TOC_ECORRUPT;
    read_state(&r, &s);
    if (r.error)
        return TOC_ECORRUPT;
    f->state = s;
    return 0;
}
