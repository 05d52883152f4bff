/* `tocsin db import`: files of samples as lines of text, in pieces, to a daemon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/client.h"
#include "app/command.h"
#include "app/db_command.h"
#include "app/progress.h"
#include "base/alloc.h"
#include "codec/text.h"
#include "sys/vfs.h"

/* A piece is a request; a line that is longer than the largest request cannot be sent. */
enum { PIECE_BYTES = 4 << 20, LINE_MAX_BYTES = 32 << 20 };

static const char g_usage[] =
    "usage: tocsin db import FILE… [--format FORMAT] [--columns COLUMNS] [--precision UNIT]\n"
    "                        [client options]\n"
    "\n"
    "Sends samples to a daemon. A bad line is told with its number and stops nobody; what the\n"
    "daemon has already stays as it is, so an import can be repeated.\n"
    "\n"
    "  --format FORMAT     jsonl, csv, influx or exposition; default by the file's ending: .jsonl\n"
    "                      .ndjson, .csv, .lp .influx, .prom .om .txt\n"
    "  --columns COLUMNS   of CSV: POSITION:TYPE:NAME, such as 1:label:job,2:metric:load,\n"
    "                      3:time:unix_ms\n"
    "  --precision UNIT    of the times of line protocol: ns, us, ms, s, m, "
    "h\n" TOC_CLIENT_OPTIONS_HELP "\n"
    "Exit code 6 when lines were refused. Records of CSV and texts of line protocol should not "
    "hold\n"
    "line breaks: files are cut at line breaks.\n";

static const struct {
    const char *name, *path, *endings[4];
} g_formats[] = {
    {"jsonl", "/api/v1/import", {".jsonl", ".ndjson"}},
    {"csv", "/api/v1/import/csv", {".csv"}},
    {"influx", "/api/v2/write", {".lp", ".influx"}},
    {"exposition", "/api/v1/import/prometheus", {".prom", ".om", ".txt"}},
};

struct import {
    struct toc_client_options client;
    const char *format, *columns, *precision;
    const char *file;
    struct toc_buf path; /* of the route, with parameters */
    struct toc_buf piece;
    uint64_t lines, rejected; /* of this file */
    struct toc_progress progress;
};

static int usage_error(const char *fmt, const char *what) {
    fputs("tocsin db import: ", stderr);
    fprintf(stderr, fmt, what);
    fputs("\n", stderr);
    return TOC_EXIT_USAGE;
}

static const char *path_of(const struct import *m) {
    struct toc_sv file = toc_sv_cstr(m->file);
    for (size_t i = 0; i < TOC_ARRAY_LEN(g_formats); i++) {
        if (m->format && strcmp(m->format, g_formats[i].name) == 0)
            return g_formats[i].path;
        for (size_t k = 0; !m->format && g_formats[i].endings[k]; k++)
            if (toc_sv_ends_with(file, toc_sv_cstr(g_formats[i].endings[k])))
                return g_formats[i].path;
    }
    return NULL;
}

static void add_parameter(struct toc_buf *path, const char *name, const char *value) {
    if (!value)
        return;
    toc_buf_printf(path, "%c%s=", toc_sv_find_char(toc_buf_sv(path), '?') == SIZE_MAX ? '?' : '&',
                   name);
    toc_query_encode(toc_sv_cstr(value), path);
}

/* `line 7: …` of the answer, by the number that the line has in the file. */
static void tell(struct import *m, struct toc_sv text) {
    struct toc_sv rest = text, line;
    toc_progress_end(&m->progress);
    (void)toc_sv_split(&rest, '\n', &line); /* how many of how many: of the piece */
    while (rest.n && toc_sv_split(&rest, '\n', &line)) {
        struct toc_sv number =
            toc_sv_starts_with(line, TOC_SV("line ")) ? toc_sv_sub(line, 5, 12) : TOC_SV_NULL;
        char digits[16];
        toc_sv_copy(number, digits, sizeof digits);
        char *end = digits;
        unsigned long long n = strtoull(digits, &end, 10);
        if (*end == ':')
            fprintf(stderr, "%s:%llu%.*s\n", m->file, n + m->lines,
                    TOC_SV_ARG(toc_sv_sub(line, 5 + (size_t)(end - digits), SIZE_MAX)));
    }
}

/* `partial write: 2 of 9 lines refused…` */
static uint64_t rejected_lines(struct toc_sv text) {
    static const char before[] = "partial write: ";
    char digits[24];
    if (!toc_sv_starts_with(text, toc_sv_cstr(before)))
        return 0;
    toc_sv_copy(toc_sv_sub(text, sizeof before - 1, 20), digits, sizeof digits);
    return strtoull(digits, NULL, 10);
}

static int send_piece(struct import *m, struct toc_sv text) {
    struct toc_answer a;
    int rc = toc_client_text(&m->client, toc_buf_cstr(&m->path), text, &a);
    if (!rc && a.status == 400) {
        const struct toc_json *v = toc_json_get(a.json, "message");
        struct toc_sv told = v ? v->string : toc_buf_sv(&a.body);
        uint64_t n = rejected_lines(told);
        m->rejected += n;
        if (n) {
            tell(m, told);
        } else {
            fprintf(stderr, "tocsin db import: %.*s\n", TOC_SV_ARG(toc_sv_trim(told)));
            rc = TOC_EXIT_USAGE;
        }
    }
    for (size_t i = 0; i < text.n; i++)
        m->lines += text.p[i] == '\n';
    m->lines += text.p[text.n - 1] != '\n';
    toc_answer_fini(&a);
    return rc;
}

/* Whole lines of what was read; the rest waits for the next piece. */
static int send_lines(struct import *m, bool is_last) {
    size_t n = m->piece.n;
    while (!is_last && n > 0 && m->piece.p[n - 1] != '\n')
        n--;
    if (!n && m->piece.n > LINE_MAX_BYTES)
        return usage_error("%s: a line is longer than 32 MiB", m->file);
    int rc = n ? send_piece(m, toc_sv_make(m->piece.p, n)) : 0;
    if (n) {
        memmove(m->piece.p, m->piece.p + n, m->piece.n - n);
        m->piece.n -= n;
    }
    return rc;
}

static int send_file(struct import *m, struct toc_vfs *vfs, struct toc_file *f, uint64_t bytes) {
    int rc = 0;
    toc_progress_begin(&m->progress, "import", bytes);
    for (uint64_t at = 0; !rc && at < bytes;) {
        char *room = toc_buf_reserve(&m->piece, PIECE_BYTES);
        int64_t n = room ? vfs->pread(vfs, f, room, PIECE_BYTES, at) : TOC_ENOMEM;
        if (n < 0)
            rc = usage_error("cannot read %s", m->file);
        if (n <= 0)
            break;
        m->piece.n += (size_t)n;
        at += (uint64_t)n;
        rc = send_lines(m, false);
        toc_progress_at(&m->progress, at, m->file);
    }
    if (!rc)
        rc = send_lines(m, true);
    toc_progress_end(&m->progress);
    return rc;
}

static int import_file(struct import *m, const char *file) {
    struct toc_vfs *vfs = toc_vfs_system();
    struct toc_file_info info;
    struct toc_file *f = NULL;
    m->file = file;
    m->lines = m->rejected = 0;
    toc_buf_reset(&m->path);
    toc_buf_reset(&m->piece);
    const char *path = path_of(m);
    if (!path)
        return usage_error("%s: say by --format what it is: jsonl, csv, influx or exposition",
                           file);
    toc_buf_append_cstr(&m->path, path);
    add_parameter(&m->path, "format", m->columns);
    add_parameter(&m->path, "precision", m->precision);
    int rc = vfs->info(vfs, file, &info);
    if (!rc)
        rc = toc_file_open(vfs, file, TOC_OPEN_READ, &f);
    if (rc) {
        fprintf(stderr, "tocsin db import: cannot read %s: %s\n", file, toc_strerror(rc));
        return TOC_EXIT_USAGE;
    }
    rc = send_file(m, vfs, f, info.size_bytes);
    toc_file_close(vfs, &f);
    if (!rc)
        printf("%s: %llu lines sent, %llu refused\n", file, (unsigned long long)m->lines,
               (unsigned long long)m->rejected);
    return rc ? rc : m->rejected ? TOC_EXIT_PARTIAL : 0;
}

int toc_db_import(int argc, char **argv) {
    struct import m = {0};
    const struct toc_option options[] = {{"format", 0, TOC_OPTION_STRING, &m.format},
                                         {"columns", 0, TOC_OPTION_STRING, &m.columns},
                                         {"precision", 0, TOC_OPTION_STRING, &m.precision},
                                         TOC_CLIENT_OPTIONS(&m.client),
                                         {0}};
    int count, worst = 0, rc = toc_options_parse(argc, argv, options, g_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if (!count)
        return usage_error("expected %s", "the files to import");
    for (int i = 1; i <= count && (rc == 0 || rc == TOC_EXIT_PARTIAL); i++) {
        rc = import_file(&m, argv[i]);
        worst = rc ? rc : worst;
    }
    toc_buf_fini(&m.path);
    toc_buf_fini(&m.piece);
    return worst;
}
