/* Shared by the files of the watch over every series. */
#ifndef TOC_RULES_SERIES_WATCH_PRIV_H
#define TOC_RULES_SERIES_WATCH_PRIV_H

#include "base/map.h"
#include "base/vec.h"
#include "detect/anomaly_bit.h"
#include "rules/series_watch.h"
#include "sys/thread.h"

enum { PAGE_SERIES = 1024, LABEL_BYTES_MAX = 1 << 20 };
enum { UNKNOWN, WATCHED, EXCLUDED };

struct watched {
    struct toc_anomaly_bit bit;
    uint32_t generation;
    uint32_t instance : 30; /* place in `instances` */
    uint32_t kind : 2;
};
_Static_assert(sizeof(struct watched) <= 88, "as series_watch.h says");

struct instance {
    char *name;                 /* owned; of the first one NULL: all series together */
    uint32_t judged, anomalous; /* since the last report */
    int64_t idle_since_ms;      /* 0: it had samples in the last report */
    bool is_free;               /* forgotten: the place may be taken again */
    bool is_written;            /* its rate is alive in the store */
};

/* The state of a series before the restart, until the series is seen again. */
struct kept {
    uint64_t hash; /* of its labels */
    struct toc_anomaly_bit bit;
    bool is_taken;
};

struct toc_series_watch {
    struct toc_series_watch_options options;
    struct toc_mutex mutex; /* the sweep holds it for one batch at a time */
    struct watched **pages; /* by the low half of the reference */
    size_t page_count;
    TOC_VEC(struct instance) instances;
    struct toc_map instance_places; /* name → place + 1 */
    size_t free_places;             /* of instances */
    int64_t next_report_ms;
    struct kept *kept; /* states from before the restart, by hash; owned */
    size_t kept_count;
    int64_t kept_until_ms; /* 0: counted from the first sweep */
    struct toc_series_watch_stats stats;
    struct toc_series_watch_stats sweep; /* the gauges of the sweep under way */
    bool is_counting;                    /* it looks at all series */
    int64_t next_count_ms;
};

/* The state that was kept of a series with these labels; NULL when there is none. Once. */
const struct toc_anomaly_bit *toc_series_watch_take_kept(struct toc_series_watch *w, uint64_t hash,
                                                         bool is_counter);
/* Series that were not seen for an hour after a restart are forgotten. */
void toc_series_watch_drop_kept(struct toc_series_watch *w, int64_t now_ms);

#endif
