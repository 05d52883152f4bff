#include "app/test_rules.h"

#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "base/alloc.h"
#include "base/num.h"
#include "base/time.h"
#include "ruletest/ruletest.h"
#include "sys/vfs.h"

enum { FILE_MAX_BYTES = 16 << 20, RULE_FILES_MAX = 10000 };

struct session {
    const struct toc_test_rules_options *options;
    const char *path; /* of the test file */
    const struct toc_rule_test_file *file;
    struct toc_arena arena; /* paths, texts for JUnit */
    struct toc_ruletest_outcome outcome;
    struct toc_buf failures; /* of this file */
    TOC_VEC(struct toc_junit_case) cases;
    TOC_VEC(struct toc_junit_suite) suites; /* their cases are owned */
};

/* A path of the test file, relative to its folder. */
static const char *resolve(struct session *s, struct toc_sv path) {
    const char *slash = strrchr(s->path, '/');
    struct toc_buf b = TOC_BUF_INIT;
    if (slash && path.n && path.p[0] != '/')
        toc_buf_append(&b, s->path, (size_t)(slash - s->path) + 1);
    toc_buf_append_sv(&b, path);
    struct toc_sv kept = toc_arena_dup_sv(&s->arena, toc_buf_sv(&b));
    toc_buf_fini(&b);
    return kept.p ? kept.p : "";
}

static int load_one(struct session *s, const char *path, struct toc_rule_files *out,
                    struct toc_err *err) {
    const struct toc_rule_file_options o = {
        .ignores_unknown_keys = s->options->ignores_unknown_keys, .features = s->options->features};
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_rule_file *f = NULL;
    int rc = toc_vfs_read_file(toc_vfs_system(), path, FILE_MAX_BYTES, &text);
    if (rc < 0)
        (void)toc_errf(err, rc, "cannot read %s: %s", path, toc_strerror(rc));
    else
        rc = toc_rule_file_parse_with(toc_sv_cstr(path), toc_buf_sv(&text), &o, &f, err);
    toc_buf_fini(&text);
    if (rc < 0)
        return rc;
    out->items = toc_xrealloc(out->items, (out->count + 1) * sizeof(struct toc_rule_file *));
    out->items[out->count++] = f;
    return 0;
}

static int load_rules(void *ctx, struct toc_rule_files *out, struct toc_err *err) {
    struct session *s = ctx;
    int rc = 0;
    for (size_t i = 0; i < s->file->rule_file_count && !rc; i++) {
        const char *pattern = resolve(s, s->file->rule_files[i]), **paths = NULL;
        size_t count = 0;
        rc =
            toc_vfs_glob(toc_vfs_system(), pattern, RULE_FILES_MAX, &s->arena, &paths, &count, err);
        if (!rc && !count)
            fprintf(stderr, "  WARNING: no file match pattern %s\n", pattern);
        for (size_t k = 0; k < count && !rc; k++)
            rc = load_one(s, paths[k], out, err);
    }
    for (size_t i = 0; rc && i < out->count; i++)
        toc_rule_file_free(&out->items[i]);
    if (rc) {
        toc_free(out->items);
        *out = (struct toc_rule_files){0};
    }
    return rc;
}

static void dump(const struct toc_rule_test *t, const struct toc_memory_querier *store) {
    struct toc_buf line = TOC_BUF_INIT;
    printf("DEBUG: all data after test %.*s\n", TOC_SV_ARG(t->name));
    for (size_t i = 0; i < store->count; i++) {
        const struct toc_memory_series *s = &store->items[i];
        toc_buf_reset(&line);
        toc_labels_format(s->labels, &line);
        for (size_t k = 0; k < s->t_ms.count; k++) {
            toc_buf_append_char(&line, ' ');
            if (s->histograms.count && s->histograms.items[k])
                toc_histogram_text_format(s->histograms.items[k], &line);
            else
                toc_format_f64_g(s->values.items[k], &line);
            toc_buf_printf(&line, "@%.3f", (double)s->t_ms.items[k] / 1000);
        }
        printf("%s\n", toc_buf_cstr(&line));
    }
    toc_buf_fini(&line);
}

static void add_case(struct session *s, struct toc_sv name, struct toc_sv failure) {
    struct toc_junit_case c = {toc_arena_dup_sv(&s->arena, name),
                               toc_arena_dup_sv(&s->arena, failure)};
    TOC_VEC_PUSH(&s->cases, c);
    if (!failure.n)
        return;
    if (s->failures.n)
        toc_buf_append_char(&s->failures, '\n');
    toc_buf_append_sv(&s->failures, failure);
}

static void on_test(void *ctx, const struct toc_rule_test *t, struct toc_sv failures,
                    const struct toc_memory_querier *store) {
    struct session *s = ctx;
    char number[32];
    (void)snprintf(number, sizeof number, "test %zu", s->cases.count + 1);
    if (s->options->is_debug)
        dump(t, store);
    add_case(s, t->name.n ? t->name : toc_sv_cstr(number), failures);
}

static void end_suite(struct session *s) {
    struct toc_junit_suite suite = {toc_sv_cstr(s->path), s->cases.items, s->cases.count};
    struct toc_sv rest = toc_buf_sv(&s->failures), line;
    printf("Unit Testing:  %s\n  %s\n", s->path, rest.n ? "FAILED:" : "SUCCESS");
    while (rest.n && toc_sv_split(&rest, '\n', &line))
        printf("    %.*s\n", TOC_SV_ARG(line));
    printf("\n");
    TOC_VEC_PUSH(&s->suites, suite);
    memset(&s->cases, 0, sizeof s->cases);
    toc_buf_reset(&s->failures);
}

static void run_file(struct session *s, const char *path, const struct toc_regex *run) {
    const struct toc_ruletest_options o = {.run = run,
                                           .features = s->options->features,
                                           .has_diff = s->options->has_diff,
                                           .load_rules = load_rules,
                                           .on_test = on_test,
                                           .ctx = s};
    struct toc_buf text = TOC_BUF_INIT, why = TOC_BUF_INIT;
    struct toc_rule_test_file *file = NULL;
    struct toc_err err = {0};
    int rc = toc_vfs_read_file(toc_vfs_system(), path, FILE_MAX_BYTES, &text);
    if (rc < 0)
        (void)toc_errf(&err, rc, "cannot read it: %s", toc_strerror(rc));
    else
        rc = toc_rule_test_file_parse(toc_buf_sv(&text), s->options->ignores_unknown_keys, &file,
                                      &err);
    s->path = path;
    s->file = file;
    if (rc < 0) {
        toc_buf_printf(&why, "%d:%d: %s", err.line, err.column, err.message);
        s->outcome.failed++;
        add_case(s, TOC_SV("the file"), toc_buf_sv(&why));
    } else {
        toc_ruletest_run(file, &o, &s->outcome);
    }
    end_suite(s);
    toc_rule_test_file_free(&file);
    toc_buf_fini(&text);
    toc_buf_fini(&why);
}

/* One expression of all --run options; NULL when there is none. */
static int compile_run(const struct toc_option_list *list, struct toc_regex **out) {
    struct toc_buf pattern = TOC_BUF_INIT;
    struct toc_err err = {0};
    int rc = 0;
    for (size_t i = 0; i < list->count; i++)
        toc_buf_printf(&pattern, "%s%s", i ? "|" : "", list->items[i]);
    if (list->count && toc_regex_new(toc_buf_sv(&pattern), TOC_REGEX_SEARCH, out, &err) < 0) {
        fprintf(stderr, "tocsin test: --run: %s\n", err.message);
        rc = TOC_EXIT_USAGE;
    }
    toc_buf_fini(&pattern);
    return rc;
}

static int write_junit(const struct session *s) {
    struct toc_buf xml = TOC_BUF_INIT;
    toc_junit_write(s->suites.items, s->suites.count, &xml);
    int rc = toc_vfs_write_file(toc_vfs_system(), s->options->junit, toc_buf_sv(&xml));
    toc_buf_fini(&xml);
    if (rc < 0)
        fprintf(stderr, "tocsin test: cannot write %s: %s\n", s->options->junit, toc_strerror(rc));
    return rc < 0 ? TOC_EXIT_FAILED : 0;
}

int toc_test_rules(char **files, int count, const struct toc_test_rules_options *o) {
    struct session s = {.options = o};
    struct toc_regex *run = NULL;
    int rc = compile_run(&o->run, &run);
    if (rc)
        return rc;
    for (int i = 0; i < count; i++)
        run_file(&s, files[i], run);
    printf("%zu passed, %zu failed\n", s.outcome.passed, s.outcome.failed);
    rc = o->junit ? write_junit(&s) : 0;
    for (size_t i = 0; i < s.suites.count; i++)
        toc_free((void *)(uintptr_t)s.suites.items[i].cases);
    TOC_VEC_FINI(&s.suites);
    toc_regex_free(&run);
    toc_buf_fini(&s.failures);
    toc_arena_fini(&s.arena);
    return s.outcome.failed ? TOC_EXIT_FAILED : rc;
}
