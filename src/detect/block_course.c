#include "detect/block_course.h"

#include <math.h>

#include "base/attrs.h"

enum { WIDTH_MAX = 1 << 24 };

static void join_neighbours(struct toc_block_course *c) {
    c->count /= 2;
    for (uint32_t i = 0; i < c->count; i++)
        c->means[i] = (c->means[2 * i] + c->means[2 * i + 1]) / 2;
    c->width *= 2;
}

bool toc_block_course_add(struct toc_block_course *c, uint32_t first_width, double value) {
    c->width = TOC_MAX(c->width, first_width);
    c->filling += value;
    if (++c->filled < c->width)
        return false;
    if (c->count == TOC_COURSE_BLOCKS && c->width < WIDTH_MAX) {
        /* The block that was filled is half of a joined one now. */
        join_neighbours(c);
        return false;
    }
    if (c->count == TOC_COURSE_BLOCKS) { /* older than any run: the oldest block goes */
        for (uint32_t i = 1; i < c->count; i++)
            c->means[i - 1] = c->means[i];
        c->count--;
    }
    c->means[c->count++] = c->filling / c->filled;
    c->filled = 0;
    c->filling = 0;
    return true;
}

void toc_block_course_shift(struct toc_block_course *c, double delta) {
    for (uint32_t i = 0; i < c->count; i++)
        c->means[i] += delta;
    c->filling += delta * c->filled;
}

void toc_block_course_encode(const struct toc_block_course *c, struct toc_buf *out) {
    toc_buf_append_varint(out, c->count);
    toc_buf_append_varint(out, c->width);
    toc_buf_append_varint(out, c->filled);
    toc_buf_append_f64(out, c->filling);
    for (uint32_t i = 0; i < c->count; i++)
        toc_buf_append_f64(out, c->means[i]);
}

int toc_block_course_decode(struct toc_reader *r, struct toc_block_course *out) {
    struct toc_block_course c = {0};
    uint64_t count = toc_read_varint(r), width = toc_read_varint(r), filled = toc_read_varint(r);
    c.filling = toc_read_f64(r);
    bool is_sound = count <= TOC_COURSE_BLOCKS && width <= WIDTH_MAX &&
                    (filled < width || (filled == 0 && width == 0 && count == 0)) &&
                    fabs(c.filling) <= 1e300;
    for (uint64_t i = 0; is_sound && !r->error && i < count; i++) {
        c.means[c.count++] = toc_read_f64(r);
        is_sound = fabs(c.means[i]) <= 1e300;
    }
    if (r->error || !is_sound)
        return r->error ? r->error : TOC_ECORRUPT;
    c.width = (uint32_t)width;
    c.filled = (uint32_t)filled;
    *out = c;
    return 0;
}
