/* Oracle: a naive reader of the header says the same of its way; what is told on stays within its
 * bounds and is read back whole. '@' in the input stands for the server's own number. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "remote/remote_path.h"

enum { ID = TOC_REMOTE_PATH_ID_CHARS, SECONDS = TOC_REMOTE_PATH_HEARD_MS / 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Is it "0123456789abcdef" or "0123456789abcdef;12", the seconds below the limit? */
static bool is_entry(struct toc_sv e) {
    size_t at = 0, value = 0;
    for (; at < e.n && at < ID && strchr("0123456789abcdef", e.p[at]) && e.p[at]; at++)
        ;
    if (at < ID || (e.n > ID && (e.p[ID] != ';' || e.n == ID + 1)))
        return false;
    for (at = ID + 1; at < e.n; at++) {
        if (e.p[at] < '0' || e.p[at] > '9')
            return false;
        value = value > SECONDS ? value : value * 10 + (size_t)(e.p[at] - '0');
    }
    return value < SECONDS;
}

static enum toc_remote_way naive_way(struct toc_sv header, struct toc_sv own, size_t *out_count) {
    enum toc_remote_way way = TOC_REMOTE_WAY_FREE;
    struct toc_sv part;
    *out_count = 0;
    while (toc_sv_split(&header, ',', &part) && *out_count <= TOC_REMOTE_PATH_HEARD_MAX) {
        part = toc_sv_trim(part);
        if (!is_entry(part))
            continue;
        bool is_own = toc_sv_eq(toc_sv_sub(part, 0, ID), own);
        if (is_own && *out_count == 0)
            return TOC_REMOTE_WAY_OWN;
        way = is_own ? TOC_REMOTE_WAY_LOOP : way;
        ++*out_count;
    }
    return way;
}

static struct toc_sv value_of(struct toc_buf *line) {
    return toc_sv_sub(toc_buf_sv(line), sizeof TOC_REMOTE_PATH_HEADER + 1, line->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_clock_virtual clock;
    struct toc_buf line = TOC_BUF_INIT, header = TOC_BUF_INIT;
    size_t given, told;
    char own_text[ID];
    toc_clock_virtual_init(&clock, (struct toc_ts){INT64_C(1760000400000)});
    toc_clock_virtual_advance(&clock, TOC_REMOTE_PATH_HEARD_MS);
    struct toc_remote_path *path = toc_remote_path_new(&clock.base);
    toc_remote_path_write(path, &line);
    memcpy(own_text, value_of(&line).p, ID);
    struct toc_sv own = toc_sv_make(own_text, ID);
    for (size_t i = 0; i < size; i++)
        toc_buf_append(&header, data[i] == '@' ? own.p : (const char *)&data[i],
                       data[i] == '@' ? ID : 1);
    enum toc_remote_way wanted = naive_way(toc_buf_sv(&header), own, &given);
    if (toc_remote_path_meet(path, toc_buf_sv(&header), TOC_SV("peer")) != wanted)
        abort();
    toc_remote_path_write(path, &line);
    if (naive_way(value_of(&line), own, &told) != TOC_REMOTE_WAY_OWN)
        abort();
    struct toc_sv others = toc_sv_sub(value_of(&line), ID, line.n);
    (void)naive_way(others, own, &told);
    if (told > given || told > TOC_REMOTE_PATH_HEARD_MAX ||
        (given && !told && wanted != TOC_REMOTE_WAY_LOOP))
        abort();
    toc_remote_path_free(&path);
    toc_buf_fini(&line);
    toc_buf_fini(&header);
    return 0;
}
