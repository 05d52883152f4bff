#include "detect/quiet.h"

#include <math.h>

enum { STEPS_MIN = 32, MEMORY = 4096, VERSION = 1 };

static void end_stretch(struct toc_quiet *q) {
    if (q->stretch >= q->longest)
        q->longest = q->stretch;
    else if (q->stretch > 0)
        q->longest -= (q->longest - q->stretch) / 16;
    q->stretch = 0;
}

double toc_quiet_step(struct toc_quiet *q, bool is_event) {
    double rate = (q->events + 0.5) / (q->steps + 1), surprise = 0;
    bool is_known = q->steps >= STEPS_MIN && q->events >= 4;
    if (q->steps >= MEMORY) {
        q->steps *= 1 - 1.0 / MEMORY;
        q->events *= 1 - 1.0 / MEMORY;
    }
    if (is_event) {
        end_stretch(q);
        q->steps++;
        q->events++;
        return 0;
    }
    q->stretch += q->stretch < UINT32_MAX / 2;
    /* A stretch that is out of proportion does not teach that there are no
     * events. */
    if (is_known && q->stretch > 2 * q->longest + 1)
        surprise = fmin(-(double)q->stretch * log10(1 - fmin(rate, 0.999)), 300);
    else
        q->steps++;
    return surprise;
}

void toc_quiet_encode(const struct toc_quiet *q, struct toc_buf *out) {
    toc_buf_append_u8(out, VERSION);
    toc_buf_append_f64(out, q->steps);
    toc_buf_append_f64(out, q->events);
    toc_buf_append_varint(out, q->stretch);
    toc_buf_append_varint(out, q->longest);
}

int toc_quiet_decode(struct toc_reader *r, struct toc_quiet *out) {
    uint8_t version = toc_read_u8(r);
    double steps = toc_read_f64(r), events = toc_read_f64(r);
    uint64_t stretch = toc_read_varint(r), longest = toc_read_varint(r);
    if (r->error)
        return r->error;
    if (version != VERSION)
        return TOC_EVERSION;
    if (!(steps >= 0 && steps <= 2 * MEMORY && events >= 0 && events <= steps + 1) ||
        stretch > UINT32_MAX / 2 || longest > UINT32_MAX / 2)
        return TOC_ECORRUPT;
    *out = (struct toc_quiet){steps, events, (uint32_t)stretch, (uint32_t)longest};
    return 0;
}
