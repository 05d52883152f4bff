/* Oracle: an accepted configuration routes every alert to at least one known receiver with usable
 * times; a refusal says why. */
#include <stdlib.h>

#include "alert/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_routes(const struct toc_alert_config *c, struct toc_labels labels) {
    const struct toc_alert_route *routes[16];
    size_t count = toc_alert_config_match(c, labels, routes, 16);
    if (!count)
        abort();
    for (size_t i = 0; i < count; i++) {
        const struct toc_alert_route *r = routes[i];
        if (!r->resolved_receiver || !toc_sv_eq(r->resolved_receiver->name, r->receiver) ||
            r->group_interval_ms <= 0 || r->repeat_interval_ms <= 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_alert_config *c = NULL;
    struct toc_err err = {0};
    struct toc_label l[] = {{TOC_SV("a"), TOC_SV("b")}, {TOC_SV("team"), TOC_SV("db")}};
    if (toc_alert_config_parse(toc_sv_make((const char *)data, size), NULL, &c, &err)) {
        if (!err.code || !err.message[0] || c)
            abort();
        return 0;
    }
    check_routes(c, (struct toc_labels){l, 2});
    check_routes(c, (struct toc_labels){l, 0});
    for (size_t i = 0; i < c->interval_count; i++)
        for (int64_t day = 0; day < 400; day += 7)
            (void)toc_time_interval_contains(&c->intervals[i], NULL,
                                             (struct toc_ts){day * 86400000 + day * 3600000});
    toc_alert_config_free(&c);
    return 0;
}
