#include "detect/alert_budget.h"

#include <math.h>
#include <stddef.h>

#include "base/attrs.h"

enum {
    BINS = TOC_BUDGET_BINS,
    PEAKS_MIN = 4,
    STRETCH_GAP = 10, /* rows; also between two alerts */
    CLOSE_ROWS = 3,
    ROWS_MIN = 100,
    LAW_EVERY = 16,
    ROWS_PER_ESTIMATE = 64,
};
static const double BASE = 1, PER_UNIT = 4, CLOSE_BELOW = 0.5, PATIENCE = 3, ROWS_TRUSTED = 5000,
                    GAP_ROWS = 10;
static const double CHANCE = 12, SPENT_GAIN = 0.5, SPENT_MAX = 0.5;
static const double OFFSET_LOW = -1.7, OFFSET_HIGH = 3.3, BAR_LOWEST = 1.5;

/* ------------------------------------------------------------------------------------- the bar */

static double law(const struct toc_budget_options *o, double interval) {
    return log10(fmax(o->budget_seconds / fmax(interval, 1e-9), 1));
}

double toc_budget_bar(const struct toc_budget_state *s, const struct toc_budget_options *o) {
    double bar = s->law + s->offset + s->spent;
    return o->fixed_bar > 0 ? o->fixed_bar : TOC_MAX(bar, BAR_LOWEST);
}

/* The level that `rank` of the peaks passed. */
static double level_at(const struct toc_budget_state *s, double rank) {
    double above = 0;
    for (size_t i = BINS; i-- > 0;) {
        if (s->peaks[i] && above + s->peaks[i] >= rank)
            return BASE + ((double)(i + 1) - (rank - above) / s->peaks[i]) / PER_UNIT;
        above += s->peaks[i];
    }
    return BASE;
}

/* The level that `allowed` alerts would have passed in the time observed. */
static double wanted_level(const struct toc_budget_state *s, double allowed) {
    double quarter = s->peak_count / 4.0;
    if (allowed >= fmin(4, quarter))
        return level_at(s, allowed);
    double from = level_at(s, quarter);
    double scale = fmax((level_at(s, quarter / 2) - from) / log(2), 0.1);
    return from + scale * log(quarter / allowed);
}

static void estimate(struct toc_budget_state *s, const struct toc_budget_options *o) {
    if (s->peak_count < PEAKS_MIN || s->rows < ROWS_MIN)
        return;
    double allowed = fmax(s->seconds / o->budget_seconds, 1e-9);
    double weight = allowed / (allowed + PATIENCE) * s->rows / (s->rows + ROWS_TRUSTED);
    double off = wanted_level(s, allowed) - s->law;
    double high = OFFSET_HIGH + allowed / 4; /* the longer it is known, the further it may go */
    s->offset = (float)(weight * fmin(fmax(off, OFFSET_LOW), high));
}

static void halve_peaks(struct toc_budget_state *s) {
    s->peak_count = 0;
    s->seconds /= 2;
    s->alerts /= 2;
    for (size_t i = 0; i < BINS; i++) {
        s->peaks[i] /= 2;
        s->peak_count += s->peaks[i];
    }
}

static void note_peak(struct toc_budget_state *s) {
    double at = fmin((s->stretch_peak - BASE) * PER_UNIT, BINS - 1);
    if (s->peaks[(size_t)at] == UINT16_MAX)
        halve_peaks(s);
    s->peaks[(size_t)at]++;
    s->peak_count++;
    s->stretch_peak = 0;
}

static void follow_stretch(struct toc_budget_state *s, double surprise) {
    if (surprise <= BASE) {
        s->quiet_rows += s->quiet_rows < UINT32_MAX;
        return;
    }
    if (s->quiet_rows > STRETCH_GAP && s->stretch_peak > 0)
        note_peak(s);
    s->quiet_rows = 0;
    s->stretch_peak = (float)fmax(s->stretch_peak, fmin(surprise, 1e6));
}

/* ----------------------------------------------------------------------------------- the alert */

static bool has_ones(uint32_t bits, uint32_t wanted) {
    uint32_t n = 0;
    for (; bits && n < wanted; bits &= bits - 1)
        n++;
    return n >= wanted;
}

static bool decide(struct toc_budget_state *s, const struct toc_budget_options *o, double surprise,
                   double bar) {
    uint32_t seen = o->m >= 32 ? UINT32_MAX : (1u << o->m) - 1;
    s->passed = s->passed << 1 | (surprise > bar);
    if (s->is_open) {
        s->below_rows = surprise < bar - CLOSE_BELOW ? s->below_rows + 1 : 0;
        s->is_open = s->below_rows < CLOSE_ROWS;
    } else if (has_ones(s->passed & seen, o->k)) {
        s->is_open = true;
        s->below_rows = 0;
    }
    return s->is_open;
}

/* Counts alerts that have begun; what is less than a gap apart is one. */
static void count_alert(struct toc_budget_state *s, bool is_open) {
    if (is_open && (s->alerts == 0 || s->since_alert > STRETCH_GAP))
        s->alerts += s->alerts < UINT32_MAX;
    s->since_alert = is_open ? 0 : s->since_alert + (s->since_alert < UINT32_MAX);
}

static void balance(struct toc_budget_state *s, const struct toc_budget_options *o) {
    double allowed = s->seconds / o->budget_seconds;
    double off = SPENT_GAIN * log10((s->alerts + CHANCE) / (allowed + CHANCE));
    s->spent = (float)fmin(fmax(off, -SPENT_MAX), SPENT_MAX);
}

bool toc_budget_step(struct toc_budget_state *s, const struct toc_budget_options *o,
                     double surprise, double seconds, double interval) {
    if (s->rows < LAW_EVERY || s->rows % LAW_EVERY == 0)
        s->law = (float)law(o, interval);
    bool is_open = decide(s, o, surprise, toc_budget_bar(s, o));
    count_alert(s, is_open);
    if (s->rows % LAW_EVERY == 0)
        balance(s, o);
    s->seconds += TOC_MIN(seconds, GAP_ROWS * interval);
    s->rows += s->rows < UINT32_MAX;
    follow_stretch(s, surprise);
    if (s->rows % ROWS_PER_ESTIMATE == 0)
        estimate(s, o);
    return is_open;
}

/* --------------------------------------------------------------------------------------- bytes */

void toc_budget_encode(const struct toc_budget_state *s, struct toc_buf *out) {
    for (size_t i = 0; i < BINS; i++)
        toc_buf_append_varint(out, s->peaks[i]);
    toc_buf_append_varint(out, s->rows);
    toc_buf_append_varint(out, s->quiet_rows);
    toc_buf_append_varint(out, s->below_rows);
    toc_buf_append_u32(out, s->passed);
    toc_buf_append_f64(out, s->stretch_peak);
    toc_buf_append_f64(out, s->law);
    toc_buf_append_f64(out, s->offset);
    toc_buf_append_f64(out, s->seconds);
    toc_buf_append_varint(out, s->alerts);
    toc_buf_append_varint(out, s->since_alert);
    toc_buf_append_f64(out, s->spent);
    toc_buf_append_u8(out, s->is_open);
}

int toc_budget_decode(struct toc_budget_state *s, struct toc_reader *r) {
    bool is_sound = true;
    *s = (struct toc_budget_state){0};
    for (size_t i = 0; i < BINS; i++) {
        uint64_t count = toc_read_varint(r);
        is_sound &= count <= UINT16_MAX;
        s->peaks[i] = (uint16_t)count;
        s->peak_count += s->peaks[i];
    }
    uint64_t rows = toc_read_varint(r), quiet = toc_read_varint(r), below = toc_read_varint(r);
    s->passed = toc_read_u32(r);
    double peak = toc_read_f64(r), law_now = toc_read_f64(r), offset = toc_read_f64(r);
    s->seconds = toc_read_f64(r);
    uint64_t alerts = toc_read_varint(r), since = toc_read_varint(r);
    double spent = toc_read_f64(r);
    uint8_t is_open = toc_read_u8(r);
    is_sound &= rows <= UINT32_MAX && quiet <= UINT32_MAX && below <= CLOSE_ROWS && is_open <= 1;
    is_sound &= peak >= 0 && peak <= 1e6 && (peak == 0 || peak > BASE);
    is_sound &= law_now >= 0 && law_now <= 1000;
    is_sound &= offset >= OFFSET_LOW && offset <= 1e6;
    is_sound &= alerts <= UINT32_MAX && since <= UINT32_MAX && fabs(spent) <= SPENT_MAX;
    is_sound &= s->seconds >= 0 && s->seconds <= 1e15;
    if (r->error || !is_sound)
        return r->error ? r->error : TOC_ECORRUPT;
    s->rows = (uint32_t)rows;
    s->quiet_rows = (uint32_t)quiet;
    s->below_rows = (uint32_t)below;
    s->stretch_peak = (float)peak;
    s->law = (float)law_now;
    s->offset = (float)offset;
    s->alerts = (uint32_t)alerts;
    s->since_alert = (uint32_t)since;
    s->spent = (float)spent;
    s->is_open = is_open;
    return 0;
}
