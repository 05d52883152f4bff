#include "forward/answer.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/time.h"

enum toc_forward_verdict toc_forward_judge(const struct toc_forward_answer *a,
                                           enum toc_forward_message message,
                                           bool retry_on_http_429) {
    bool is_2 = message == TOC_FORWARD_2;
    if (a->rc)
        return TOC_FORWARD_AGAIN;
    if (a->status >= 200 && a->status < 300) {
        /* A receiver of 1.0 may find nothing in a message 2.0 and be content. */
        if (is_2 && !a->has_written)
            return TOC_FORWARD_OLDER_MESSAGE;
        return is_2 ? TOC_FORWARD_PARTLY : TOC_FORWARD_TAKEN;
    }
    switch (a->status) {
    case 400:
        return is_2 && a->has_written && a->written ? TOC_FORWARD_PARTLY : TOC_FORWARD_SMALLER;
    case 408:
        return TOC_FORWARD_AGAIN;
    case 413:
        return TOC_FORWARD_SMALLER;
    case 415:
        return is_2 ? TOC_FORWARD_OLDER_MESSAGE : TOC_FORWARD_REFUSED;
    case 429:
        return retry_on_http_429 ? TOC_FORWARD_AGAIN : TOC_FORWARD_REFUSED;
    default:
        /* 3xx: nobody follows it; until the URL is put right nothing is lost. */
        return a->status >= 500 || a->status < 400 ? TOC_FORWARD_AGAIN : TOC_FORWARD_REFUSED;
    }
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool parse_date(struct toc_sv s, int64_t *out_ms) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char text[64], month[4];
    struct toc_civil c = {0};
    int year;
    if (!toc_sv_copy(s, text, sizeof text) ||
        sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &c.day, month, &year, &c.hour, &c.minute,
               &c.second) != 6)
        return false;
    const char *at = strlen(month) == 3 ? strstr(months, month) : NULL;
    if (!at || (at - months) % 3)
        return false;
    c.month = (int)((at - months) / 3) + 1;
    c.year = year;
    *out_ms = toc_civil_ts(&c).ms;
    return true;
}

int64_t toc_forward_retry_after_ms(struct toc_sv header, int64_t now_ms) {
    struct toc_sv text = toc_sv_trim(header);
    int64_t value, wait_ms = 0;
    if (!toc_parse_i64(text, &value))
        wait_ms = TOC_MIN(TOC_MAX(value, INT64_C(0)), (int64_t)TOC_FORWARD_WAIT_MAX_MS) * 1000;
    else if (parse_date(text, &value))
        wait_ms = value - now_ms;
    return TOC_MIN(TOC_MAX(wait_ms, INT64_C(0)), (int64_t)TOC_FORWARD_WAIT_MAX_MS);
}

static void wait_longer(struct toc_forward_pace *p, int64_t wait_ms,
                        const struct toc_forward_queue_config *c, int64_t now_ms) {
    p->backoff_ms = p->backoff_ms ? TOC_MIN(2 * p->backoff_ms, c->max_backoff) : c->min_backoff;
    p->not_before_ms = now_ms + (wait_ms ? wait_ms : p->backoff_ms);
}

static struct toc_forward_next give_up(struct toc_forward_pace *p, size_t items) {
    p->backoff_ms = 0;
    return (struct toc_forward_next){items, true};
}

struct toc_forward_next toc_forward_pace_next(struct toc_forward_pace *p,
                                              enum toc_forward_verdict verdict, size_t items,
                                              int64_t wait_ms,
                                              const struct toc_forward_queue_config *c,
                                              int64_t now_mono_ms) {
    switch (verdict) {
    case TOC_FORWARD_TAKEN:
    case TOC_FORWARD_PARTLY:
        if (p->size)
            p->size = 2 * p->size < (size_t)c->max_samples_per_send ? 2 * p->size : 0;
        p->alone = 0;
        p->backoff_ms = 0;
        return (struct toc_forward_next){items, false};
    case TOC_FORWARD_AGAIN:
        wait_longer(p, wait_ms, c, now_mono_ms);
        break;
    case TOC_FORWARD_SMALLER:
        p->backoff_ms = 0;
        if (p->alone >= TOC_FORWARD_ALONE_MAX) {
            p->size = 0;
            return give_up(p, items);
        }
        if (items == 1) {
            p->alone++;
            return give_up(p, 1);
        }
        p->size = items / 2;
        break;
    case TOC_FORWARD_REFUSED:
        return give_up(p, items);
    case TOC_FORWARD_OLDER_MESSAGE:
        break;
    }
    return (struct toc_forward_next){0, false};
}
