/* `tocsin db export`: samples of a daemon as lines of text. */
#include <stdio.h>
#include <string.h>

#include "app/client.h"
#include "app/command.h"
#include "app/db_command.h"
#include "codec/text.h"
#include "sys/vfs.h"

static const char g_usage[] =
    "usage: tocsin db export [FILE] --match SELECTOR [--format FORMAT] [--from T] [--to T]\n"
    "                        [--columns COLUMNS] [client options]\n"
    "\n"
    "Writes the samples of a daemon to FILE or to standard output.\n"
    "\n"
    "  --match SELECTOR    which series; may be repeated\n"
    "  --format FORMAT     jsonl (default), csv or openmetrics\n"
    "  --from T, --to T    RFC 3339 or seconds since 1970\n"
    "  --columns COLUMNS   of CSV: labels, __value__ and __timestamp__:unix_s (unix_ms, unix_ns,\n"
    "                      rfc3339); default "
    "__name__,__timestamp__:unix_ms,__value__\n" TOC_CLIENT_OPTIONS_HELP "\n"
    "One export may have 1 GiB; narrow it by --match, --from and --to.\n";

struct export {
    struct toc_client_options client;
    const char *format, *columns, *from, *to;
    struct toc_option_list matches;
};

static void add_parameter(struct toc_buf *form, const char *name, const char *value) {
    if (!value)
        return;
    if (form->n)
        toc_buf_append_char(form, '&');
    toc_buf_append_cstr(form, name);
    toc_buf_append_char(form, '=');
    toc_query_encode(toc_sv_cstr(value), form);
}

static int write_out(const char *file, struct toc_sv text) {
    if (!file) {
        size_t n = fwrite(text.p ? text.p : "", 1, text.n, stdout);
        return n == text.n && fflush(stdout) == 0 ? 0 : TOC_EXIT_FAILED;
    }
    int rc = toc_vfs_write_file(toc_vfs_system(), file, text);
    if (!rc)
        return 0;
    fprintf(stderr, "tocsin db export: cannot write %s: %s\n", file, toc_strerror(rc));
    return TOC_EXIT_FAILED;
}

static int run_export(const struct export *x, const char *path, const char *file) {
    struct toc_buf form = TOC_BUF_INIT;
    struct toc_answer a;
    bool is_csv = strcmp(path, "/api/v1/export/csv") == 0;
    for (size_t i = 0; i < x->matches.count; i++)
        add_parameter(&form, "match[]", x->matches.items[i]);
    add_parameter(&form, "start", x->from);
    add_parameter(&form, "end", x->to);
    if (is_csv)
        add_parameter(&form, "format",
                      x->columns ? x->columns : "__name__,__timestamp__:unix_ms,__value__");
    int rc = toc_client_form(&x->client, path, &form, &a);
    if (!rc)
        rc = write_out(file, toc_buf_sv(&a.body));
    toc_answer_fini(&a);
    toc_buf_fini(&form);
    return rc;
}

int toc_db_export(int argc, char **argv) {
    static const struct {
        const char *name, *path;
    } formats[] = {{"jsonl", "/api/v1/export"},
                   {"csv", "/api/v1/export/csv"},
                   {"openmetrics", "/api/v1/export/openmetrics"}};
    struct export x = {.format = "jsonl"};
    const struct toc_option options[] = {{"match", 0, TOC_OPTION_LIST, &x.matches},
                                         {"format", 0, TOC_OPTION_STRING, &x.format},
                                         {"columns", 0, TOC_OPTION_STRING, &x.columns},
                                         {"from", 0, TOC_OPTION_STRING, &x.from},
                                         {"to", 0, TOC_OPTION_STRING, &x.to},
                                         TOC_CLIENT_OPTIONS(&x.client),
                                         {0}};
    int count, rc = toc_options_parse(argc, argv, options, g_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    for (size_t i = 0; i < TOC_ARRAY_LEN(formats); i++)
        if (strcmp(x.format, formats[i].name) == 0 && x.matches.count && count <= 1)
            return run_export(&x, formats[i].path, count ? argv[1] : NULL);
    fputs("tocsin db export: expected --match SELECTOR, --format jsonl, csv or openmetrics, and at "
          "most one file\n",
          stderr);
    return TOC_EXIT_USAGE;
}
