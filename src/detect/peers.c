#include "detect/peers.h"

#include <math.h>

#include "base/attrs.h"
#include "detect/robust.h"

static const float CLIP = 4;

static struct toc_peers_options with_defaults(const struct toc_peers_options *o) {
    struct toc_peers_options d = *o;
    d.floor_ratio = d.floor_ratio > 0 ? d.floor_ratio : 0.01;
    d.slack = d.slack > 0 ? d.slack : 1.5;
    d.limit = d.limit > 0 ? d.limit : 12;
    d.slots_min = d.slots_min ? d.slots_min : 3;
    return d;
}

static struct toc_peers_summary summarise(const struct toc_peers_options *o, const double *values,
                                          size_t count, double *scratch) {
    struct toc_peers_summary s = {NAN, NAN, 0, false};
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            scratch[s.values++] = values[i];
    if (s.values < TOC_PEERS_MIN)
        return s;
    s.median = toc_robust_median(scratch, s.values);
    for (size_t i = 0; i < s.values; i++)
        scratch[i] = fabs(scratch[i] - s.median);
    double mad = toc_robust_median(scratch, s.values);
    s.scale = 1.4826 * mad + o->floor_ratio * fabs(s.median);
    if (!(s.scale > 0)) /* most of them are 0: any other value stands out by its size */
        s.scale = 1e-9;
    return s;
}

static void accumulate(const struct toc_peers_options *o, double z, float *sum, uint16_t *slots) {
    float step = fminf(fmaxf((float)z, -CLIP), CLIP) - (float)o->slack;
    /* Bounded, so that a member that recovers is cleared soon. */
    *sum = fminf(fmaxf(0, *sum + step), 2 * (float)o->limit);
    if (*sum > (float)o->limit)
        *slots = (uint16_t)TOC_MIN(*slots + 1, UINT16_MAX);
    else
        *slots = 0;
}

struct toc_peers_summary toc_peers_step(const struct toc_peers_options *options,
                                        struct toc_peer *const *members, const double *values,
                                        size_t count, struct toc_peer_result *out,
                                        double *scratch) {
    struct toc_peers_options o = with_defaults(options);
    struct toc_peers_summary s = summarise(&o, values, count, scratch);
    size_t above = 0, below = 0;
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct toc_peer_result){NAN, false, false};
        if (!isfinite(values[i]) || isnan(s.median))
            continue;
        struct toc_peer *m = members[i];
        out[i].z = (values[i] - s.median) / s.scale;
        accumulate(&o, out[i].z, &m->up, &m->up_slots);
        accumulate(&o, -out[i].z, &m->down, &m->down_slots);
        out[i].is_above = m->up_slots >= o.slots_min;
        out[i].is_below = m->down_slots >= o.slots_min;
        above += out[i].is_above;
        below += out[i].is_below;
    }
    s.is_common = above + below > s.values / 2;
    for (size_t i = 0; s.is_common && i < count; i++)
        out[i].is_above = out[i].is_below = false;
    return s;
}
