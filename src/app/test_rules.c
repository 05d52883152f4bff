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
    struct toc_rule_test_file *file;
    struct toc_arena arena;            /* paths, texts for JUnit */
    struct toc_regex *run;             /* names of tests; NULL: all */
    const struct toc_pack_tests *pack; /* of a built-in pack; NULL: files */
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

static int parse_one(struct session *s, const char *path, struct toc_sv text,
                     struct toc_rule_files *out, struct toc_err *err) {
    const struct toc_rule_file_options o = {
        .ignores_unknown_keys = s->options->ignores_unknown_keys, .features = s->options->features};
    struct toc_rule_file *f = NULL;
    int rc = toc_rule_file_parse_with(toc_sv_cstr(path), text, &o, &f, err);
    if (rc < 0)
        return rc;
    out->items = toc_xrealloc(out->items, (out->count + 1) * sizeof(struct toc_rule_file *));
    out->items[out->count++] = f;
    return 0;
}

static int load_one(struct session *s, const char *path, struct toc_rule_files *out,
                    struct toc_err *err) {
    struct toc_buf text = TOC_BUF_INIT;
    int rc = toc_vfs_read_file(toc_vfs_system(), path, FILE_MAX_BYTES, &text);
    rc = rc < 0 ? toc_errf(err, rc, "cannot read %s: %s", path, toc_strerror(rc))
                : parse_one(s, path, toc_buf_sv(&text), out, err);
    toc_buf_fini(&text);
    return rc;
}

/* The rules of a built-in pack: the one file that its tests name. */
static int load_pack_rules(void *ctx, struct toc_rule_files *out, struct toc_err *err) {
    struct session *s = ctx;
    return parse_one(s, s->pack->rules_name, s->pack->rules, out, err);
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

static void fail_file(struct session *s, const struct toc_err *err) {
    struct toc_buf why = TOC_BUF_INIT;
    toc_buf_printf(&why, "%d:%d: %s", err->line, err->column, err->message);
    s->outcome.failed++;
    add_case(s, TOC_SV("the file"), toc_buf_sv(&why));
    toc_buf_fini(&why);
}

/* Tests of the file `path`, or of s->pack. */
static void run_text(struct session *s, const char *path, struct toc_sv text) {
    const struct toc_ruletest_options o = {.run = s->run,
                                           .features = s->options->features,
                                           .has_diff = s->options->has_diff,
                                           .load_rules = s->pack ? load_pack_rules : load_rules,
                                           .on_test = on_test,
                                           .ctx = s};
    struct toc_err err = {0};
    s->path = path;
    if (toc_rule_test_file_parse(text, s->options->ignores_unknown_keys, &s->file, &err) < 0)
        fail_file(s, &err);
    else
        toc_ruletest_run(s->file, &o, &s->outcome);
    end_suite(s);
    toc_rule_test_file_free(&s->file);
}

static void run_file(struct session *s, const char *path) {
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_err err = {0};
    int rc = toc_vfs_read_file(toc_vfs_system(), path, FILE_MAX_BYTES, &text);
    if (rc == 0) {
        run_text(s, path, toc_buf_sv(&text));
    } else {
        s->path = path;
        (void)toc_errf(&err, rc, "cannot read it: %s", toc_strerror(rc));
        fail_file(s, &err);
        end_suite(s);
    }
    toc_buf_fini(&text);
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

static int finish(struct session *s) {
    printf("%zu passed, %zu failed\n", s->outcome.passed, s->outcome.failed);
    int rc = s->options->junit ? write_junit(s) : 0;
    for (size_t i = 0; i < s->suites.count; i++)
        toc_free((void *)(uintptr_t)s->suites.items[i].cases);
    TOC_VEC_FINI(&s->suites);
    toc_regex_free(&s->run);
    toc_buf_fini(&s->failures);
    toc_arena_fini(&s->arena);
    return s->outcome.failed ? TOC_EXIT_FAILED : rc;
}

int toc_test_rules(char **files, int count, const struct toc_test_rules_options *o) {
    struct session s = {.options = o};
    int rc = compile_run(&o->run, &s.run);
    if (rc)
        return rc;
    for (int i = 0; i < count; i++)
        run_file(&s, files[i]);
    return finish(&s);
}

int toc_test_packs(const struct toc_builtin_pack *const *packs, size_t count,
                   const struct toc_test_rules_options *o) {
    struct session s = {.options = o};
    int rc = compile_run(&o->run, &s.run);
    if (rc)
        return rc;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < packs[i]->test_count; k++) {
            s.pack = &packs[i]->tests[k];
            run_text(&s, s.pack->rules_name, s.pack->tests);
        }
    return finish(&s);
}
