/* Failed attempts per peer address. The table is small and forgets the oldest, so it cannot be
 * grown. */
#include <string.h>

#include "base/alloc.h"
#include "guard/guard_priv.h"

enum { PEERS_MAX = 1024 };

/* Address without port: "127.0.0.1:5432" → "127.0.0.1", "[::1]:5432" → "[::1]". */
static struct toc_sv address_of(struct toc_sv peer) {
    size_t n = peer.n;
    while (n && peer.p[n - 1] != ':' && peer.p[n - 1] != ']')
        n--;
    bool has_port = n && peer.p[n - 1] == ':';
    return toc_sv_sub(peer, 0, has_port ? n - 1 : peer.n);
}

static bool is_over(const struct toc_guard *g, const struct toc_peer_failures *f,
                    struct toc_ts now) {
    int64_t age_ms = now.ms - f->window_start.ms;
    return age_ms < 0 || age_ms >= g->options.failed_window_ms;
}

static void forget_oldest(struct toc_guard *g) {
    size_t cursor = 0;
    const struct toc_map_entry *e, *oldest = NULL;
    int64_t oldest_ms = 0;
    while ((e = toc_map_next(&g->failures, &cursor))) {
        const struct toc_peer_failures *f = e->value;
        if (oldest && f->window_start.ms >= oldest_ms)
            continue;
        oldest = e;
        oldest_ms = f->window_start.ms;
    }
    if (oldest)
        toc_free(toc_map_remove(&g->failures, oldest->key));
}

bool toc_limiter_is_blocked(struct toc_guard *g, struct toc_sv peer, struct toc_ts now,
                            struct toc_err *err) {
    struct toc_sv address = address_of(peer);
    toc_mutex_lock(&g->mutex);
    const struct toc_peer_failures *f = toc_map_get(&g->failures, address);
    bool is_blocked = f && !is_over(g, f, now) && f->count >= g->options.failed_logins_max;
    int64_t wait_ms = is_blocked ? f->window_start.ms + g->options.failed_window_ms - now.ms : 0;
    g->counters.refused_limit += is_blocked;
    toc_mutex_unlock(&g->mutex);
    if (is_blocked)
        toc_errf(err, TOC_ELIMIT, "too many failed logins from %.*s: try again in %lld s",
                 TOC_SV_ARG(address), (long long)((wait_ms + 999) / 1000));
    return is_blocked;
}

void toc_limiter_failed(struct toc_guard *g, struct toc_sv peer, struct toc_ts now) {
    struct toc_sv address = address_of(peer);
    toc_mutex_lock(&g->mutex);
    struct toc_peer_failures *f = toc_map_get(&g->failures, address);
    if (!f) {
        if (g->failures.count >= PEERS_MAX)
            forget_oldest(g);
        f = TOC_NEW(struct toc_peer_failures);
        f->window_start = now;
        toc_map_put(&g->failures, address, f);
    } else if (is_over(g, f, now)) {
        *f = (struct toc_peer_failures){.window_start = now};
    }
    f->count++;
    toc_mutex_unlock(&g->mutex);
}
