#include "remote/remote_path.h"

#include "base/alloc.h"
#include "base/num.h"
#include "sys/log.h"
#include "sys/random.h"
#include "sys/thread.h"

struct heard {
    uint64_t id;
    int64_t at_ms;
    int64_t loop_until_ms; /* it sends to this server and hears from it; 0: it does not */
};

struct toc_remote_path {
    struct toc_clock *clock;
    uint64_t own;
    struct toc_mutex mutex; /* TOC_LOCK_REMOTE_PATH; everything below */
    struct heard heard[TOC_REMOTE_PATH_HEARD_MAX];
    size_t count;
    uint64_t refused;
};

struct toc_remote_path *toc_remote_path_new(struct toc_clock *clock) {
    struct toc_remote_path *p = TOC_NEW(struct toc_remote_path);
    p->clock = clock;
    toc_random_bytes(&p->own, sizeof p->own);
    toc_mutex_init(&p->mutex, TOC_LOCK_REMOTE_PATH);
    return p;
}

void toc_remote_path_free(struct toc_remote_path **pp) {
    if (!*pp)
        return;
    toc_mutex_fini(&(*pp)->mutex);
    toc_free(*pp);
    *pp = NULL;
}

static int64_t now_ms(const struct toc_remote_path *p) {
    return toc_clock_mono(p->clock).ns / 1000000;
}

/* "0123456789abcdef" or "0123456789abcdef;12" */
static bool parse_entry(struct toc_sv text, uint64_t *out, int64_t *out_age_ms) {
    struct toc_sv age = toc_sv_sub(text, TOC_REMOTE_PATH_ID_CHARS, text.n);
    uint64_t seconds = 0;
    text = toc_sv_sub(text, 0, TOC_REMOTE_PATH_ID_CHARS);
    if (text.n != TOC_REMOTE_PATH_ID_CHARS)
        return false;
    if (age.n && (age.p[0] != ';' || toc_parse_u64(toc_sv_sub(age, 1, age.n), &seconds) != 0))
        return false;
    if (seconds >= TOC_REMOTE_PATH_HEARD_MS / 1000)
        return false;
    *out_age_ms = (int64_t)seconds * 1000;
    *out = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        *out = *out << 4 | (uint64_t)digit;
    }
    return true;
}

/* Mutex held: servers that were not heard for long go. */
static void forget_old(struct toc_remote_path *p, int64_t now) {
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++)
        if (now - p->heard[i].at_ms < TOC_REMOTE_PATH_HEARD_MS)
            p->heard[kept++] = p->heard[i];
    p->count = kept;
}

/* Mutex held: its row; a new one in place of the one that was silent longest when there is no
 * other. */
static struct heard *hear(struct toc_remote_path *p, uint64_t id, int64_t at_ms) {
    struct heard *oldest = p->heard;
    for (struct heard *h = p->heard; h < p->heard + p->count; h++) {
        if (h->id == id) {
            h->at_ms = TOC_MAX(h->at_ms, at_ms);
            return h;
        }
        oldest = h->at_ms < oldest->at_ms ? h : oldest;
    }
    struct heard *h = p->count < TOC_REMOTE_PATH_HEARD_MAX ? &p->heard[p->count++] : oldest;
    *h = (struct heard){.id = id, .at_ms = at_ms};
    return h;
}

/* Mutex held. */
static enum toc_remote_way meet(struct toc_remote_path *p, struct toc_sv header, bool *is_new) {
    struct toc_sv part;
    uint64_t id, sender = 0;
    int64_t now = now_ms(p), age_ms;
    bool is_loop = false;
    forget_old(p, now);
    for (size_t n = 0; n <= TOC_REMOTE_PATH_HEARD_MAX && toc_sv_split(&header, ',', &part);) {
        if (!parse_entry(toc_sv_trim(part), &id, &age_ms))
            continue;
        bool is_sender = n++ == 0;
        if (is_sender && id == p->own)
            return TOC_REMOTE_WAY_OWN;
        if (is_sender)
            sender = id;
        if (id == p->own)
            is_loop = true;
        else
            (void)hear(p, id, now - age_ms);
    }
    if (!is_loop)
        return TOC_REMOTE_WAY_FREE;
    struct heard *h = hear(p, sender, now);
    *is_new = h->loop_until_ms <= now;
    h->loop_until_ms = now + TOC_REMOTE_PATH_HEARD_MS;
    return TOC_REMOTE_WAY_LOOP;
}

enum toc_remote_way toc_remote_path_meet(struct toc_remote_path *p, struct toc_sv header,
                                         struct toc_sv peer) {
    bool is_new = false;
    toc_mutex_lock(&p->mutex);
    enum toc_remote_way way = meet(p, header, &is_new);
    p->refused += way == TOC_REMOTE_WAY_OWN;
    toc_mutex_unlock(&p->mutex);
    if (is_new)
        toc_log(TOC_LOG_WARN, "remote",
                "remote write goes round in a circle: %.*s sends to this server and receives what "
                "this server sends, itself or through others. Samples are sent twice, and labels "
                "that are changed on the way make new series with every round. Take one of the two "
                "directions out of remote_write, or keep back what came from there with "
                "write_relabel_configs",
                TOC_SV_ARG(peer));
    return way;
}

void toc_remote_path_write(struct toc_remote_path *p, struct toc_buf *out) {
    toc_buf_reset(out);
    toc_buf_printf(out, TOC_REMOTE_PATH_HEADER ": %016llx", (unsigned long long)p->own);
    toc_mutex_lock(&p->mutex);
    int64_t now = now_ms(p);
    forget_old(p, now);
    for (size_t i = 0; i < p->count; i++)
        toc_buf_printf(out, ", %016llx;%lld", (unsigned long long)p->heard[i].id,
                       (long long)((now - p->heard[i].at_ms) / 1000));
    toc_mutex_unlock(&p->mutex);
}

void toc_remote_path_stats(struct toc_remote_path *p, struct toc_remote_path_stats *out) {
    toc_mutex_lock(&p->mutex);
    int64_t now = now_ms(p);
    forget_old(p, now);
    *out = (struct toc_remote_path_stats){.refused = p->refused};
    for (size_t i = 0; i < p->count; i++)
        out->loops += p->heard[i].loop_until_ms > now;
    toc_mutex_unlock(&p->mutex);
}
