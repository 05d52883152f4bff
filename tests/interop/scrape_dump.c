/* Scrapes the configuration given as YAML text and prints each point as "series value ms" until
 * stdin ends: material for scrape_live.py. --discover PORT…: finds its targets itself, with these
 * ports besides the well-known ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "collect/discover.h"
#include "collect/scrape.h"
#include "net/http_client.h"

static int print_points(struct toc_sink *s, const struct toc_point *points, size_t count,
                        struct toc_write_result *out, struct toc_err *err) {
    (void)s, (void)err;
    struct toc_buf text = TOC_BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        toc_labels_format(points[i].labels, &text);
        toc_buf_append_char(&text, ' ');
        if (toc_is_stale_nan(points[i].value))
            toc_buf_append_cstr(&text, "stale");
        else
            toc_format_f64(points[i].value, &text);
        toc_buf_printf(&text, " %lld\n", (long long)points[i].t_ms);
    }
    fwrite(text.p, 1, text.n, stdout);
    fflush(stdout);
    toc_buf_fini(&text);
    *out = (struct toc_write_result){.accepted = count};
    return 0;
}

static struct toc_scrape_set *read_set(const char *text) {
    struct toc_arena a = TOC_ARENA_INIT;
    const struct toc_yaml *doc;
    struct toc_scrape_set *set = NULL;
    struct toc_err err = {0};
    if (toc_yaml_parse(toc_sv_cstr(text), &a, &doc, &err) < 0 ||
        toc_scrape_set_read(doc, NULL, &set, &err) < 0)
        fprintf(stderr, "%d:%d: %s\n", err.line, err.column, err.message);
    toc_arena_fini(&a);
    return set;
}

static void until_stdin_ends(void) {
    while (getchar() != EOF) {
    }
}

static int discover(struct toc_scraper *s, int count, char **texts) {
    uint16_t ports[16];
    struct toc_err err = {0};
    size_t n = 0;
    for (int i = 0; i < count && n < 16; i++)
        ports[n++] = (uint16_t)atoi(texts[i]);
    struct toc_discover *d = toc_discover_new(
        &(struct toc_discover_options){.scraper = s, .extra_ports = ports, .extra_port_count = n});
    int rc = toc_discover_start(d, &err);
    until_stdin_ends();
    toc_discover_free(&d);
    return rc;
}

int main(int argc, char **argv) {
    struct toc_sink sink = {print_points, NULL};
    struct toc_err err = {0};
    bool discovers = argc > 1 && strcmp(argv[1], "--discover") == 0;
    struct toc_scrape_set *set = argc > 1 && !discovers ? read_set(argv[1]) : NULL;
    if ((!set && !discovers) || toc_net_init(&err) < 0)
        return 2;
    struct toc_scraper *s = toc_scraper_new(&(struct toc_scraper_options){.sink = &sink});
    int rc = toc_scraper_start(s, &err);
    if (discovers) {
        rc = rc < 0 ? rc : discover(s, argc - 2, argv + 2);
    } else {
        toc_scraper_load(s, set);
        until_stdin_ends();
    }
    toc_scraper_free(&s);
    toc_net_fini();
    return rc < 0;
}
