#include "../cmocka_prelude.h"
#include "../shared_files.h"
#include "base/rng.h"
#include "diagnose/signature.h"
#include "shim/regex.h"

static const char *g_cases;
static struct toc_signature_table *g_table;

static int setup(void **state) {
    struct toc_err err = {0};
    (void)state;
    if (toc_signature_table_builtin(&g_table, &err) < 0)
        fail_msg("%d:%d: %s", err.line, err.column, err.message);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    toc_signature_table_free(&g_table);
    return 0;
}

struct seen {
    bool ids[TOC_SIGNATURES_MAX];
    struct toc_buf log; /* id:line per hit */
    struct toc_signature_hit last;
};

static void note(void *ctx, const struct toc_signature_hit *hit) {
    struct seen *s = ctx;
    s->ids[hit->signature - toc_signature_table_get(g_table, 0)] = true;
    toc_buf_printf(&s->log, "%.*s:%llu ", TOC_SV_ARG(hit->signature->id),
                   (unsigned long long)hit->line_number);
    s->last = *hit;
}

static size_t index_of(struct toc_sv id) {
    for (size_t i = 0; i < toc_signature_table_count(g_table); i++)
        if (toc_sv_eq(toc_signature_table_get(g_table, i)->id, id))
            return i;
    fail_msg("no signature %.*s", TOC_SV_ARG(id));
    return 0;
}

static bool shows(struct toc_sv line, unsigned sources, size_t i) {
    struct seen seen = {0};
    (void)toc_signature_match(g_table, line, sources, note, &seen);
    toc_buf_fini(&seen.log);
    return seen.ids[i];
}

/* The built-in table is used without these checks. */
static void the_built_in_table_passes_all_checks(void **state) {
    struct toc_signature_table *t;
    struct toc_err err = {0};
    (void)state;
    if (toc_signature_table_parse(toc_signature_table_text(), &t, &err) < 0)
        fail_msg("%d:%d: %s", err.line, err.column, err.message);
    assert_int_equal(toc_signature_table_count(t), toc_signature_table_count(g_table));
    toc_signature_table_free(&t);
}

static void every_sample_of_the_table_is_told_apart(void **state) {
    size_t wrong = 0, count = toc_signature_table_count(g_table);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        const struct toc_signature *s = toc_signature_table_get(g_table, i);
        assert_true(s->positive.n && s->negative.n);
        wrong += !shows(s->positive, s->sources, i) + shows(s->negative, s->sources, i);
    }
    print_message("%zu signatures, %zu samples, %zu wrong\n", count, 2 * count, wrong);
    assert_int_equal(count, 74);
    assert_int_equal(wrong, 0);
}

static size_t count_beside(struct toc_sv line, const struct toc_signature_set *beside) {
    struct seen seen = {0};
    size_t hits = toc_signature_match_beside(g_table, line, TOC_LOG_ANY, beside, note, &seen);
    toc_buf_fini(&seen.log);
    return hits;
}

static void what_counts_beside_others_alone_is_not_shown_alone(void **state) {
    struct toc_signature_set numerics = toc_signature_table_class(g_table, TOC_SV("numerics"));
    struct toc_signature_set none = {0};
    struct toc_sv loss = toc_signature_table_get(g_table, index_of(TOC_SV("nan_loss")))->positive;
    struct toc_buf both = TOC_BUF_INIT;
    (void)state;
    assert_int_equal(count_beside(loss, NULL), 1);
    assert_int_equal(count_beside(loss, &none), 1);
    assert_int_equal(count_beside(loss, &numerics), 0);
    toc_buf_append_sv(&both, loss);
    toc_buf_append_cstr(&both, " torch.cuda.OutOfMemoryError: CUDA out of memory.");
    size_t all = count_beside(toc_buf_sv(&both), NULL);
    assert_true(all >= 2);
    assert_int_equal(count_beside(toc_buf_sv(&both), &numerics), all);
    toc_buf_fini(&both);
}

/* Rows "id, match or no, text": how many, and how many wrong. */
static void classify(struct toc_sv rest, size_t *cases, size_t *wrong) {
    struct toc_sv line, id, expect;
    while (toc_sv_split(&rest, '\n', &line)) {
        if (!line.n || line.p[0] == '#' || !toc_sv_split(&line, '\t', &id) ||
            !toc_sv_split(&line, '\t', &expect))
            continue;
        bool is_wrong = shows(line, TOC_LOG_ANY, index_of(id)) != toc_sv_eq_cstr(expect, "match");
        if (is_wrong)
            print_message("%.*s: %.*s\n", TOC_SV_ARG(id), TOC_SV_ARG(line));
        *wrong += is_wrong;
        ++*cases;
    }
    print_message("%zu cases, %zu wrong\n", *cases, *wrong);
}

static void every_case_is_classified(void **state) {
    struct toc_buf text = TOC_BUF_INIT;
    size_t cases = 0, wrong = 0;
    (void)state;
    assert_true(read_file(g_cases, &text));
    classify(toc_buf_sv(&text), &cases, &wrong);
    toc_buf_fini(&text);
    assert_int_equal(cases, 65);
    assert_int_equal(wrong, 0);
}

static void every_shared_case_is_classified(void **state) {
    struct toc_buf text = TOC_BUF_INIT;
    size_t cases = 0, wrong = 0;
    (void)state;
    if (!read_shared("reference/data/log_pattern_cases.tsv", &text)) {
        print_message("skipped: ../shared/reference/data/log_pattern_cases.tsv is not there\n");
        return;
    }
    classify(toc_buf_sv(&text), &cases, &wrong);
    toc_buf_fini(&text);
    assert_true(cases > 0);
    assert_int_equal(wrong, 0);
}

/* Rows with the samples in columns 8 and 9. */
static void every_shared_sample_is_told_apart(void **state) {
    struct toc_buf text = TOC_BUF_INIT;
    size_t rows = 0, wrong = 0;
    struct toc_sv line, f[9];
    (void)state;
    if (!read_shared("reference/data/log_patterns.tsv", &text)) {
        print_message("skipped: ../shared/reference/data/log_patterns.tsv is not there\n");
        return;
    }
    struct toc_sv rest = toc_buf_sv(&text);
    while (toc_sv_split(&rest, '\n', &line)) {
        size_t n = 0;
        if (!line.n || line.p[0] == '#')
            continue;
        while (n < 9 && toc_sv_split(&line, '\t', &f[n]))
            n++;
        assert_int_equal(n, 9);
        size_t i = index_of(f[0]);
        wrong += !shows(f[7], TOC_LOG_ANY, i) + shows(f[8], TOC_LOG_ANY, i);
        rows++;
    }
    toc_buf_fini(&text);
    print_message("%zu rows, %zu samples wrong\n", rows, wrong);
    assert_true(rows > 0);
    assert_int_equal(wrong, 0);
}

static void the_prefilter_hides_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < toc_signature_table_count(g_table); i++) {
        struct toc_sv line = toc_signature_table_get(g_table, i)->positive;
        for (size_t k = 0; k < toc_signature_table_count(g_table); k++) {
            const struct toc_regex *re = toc_signature_table_get(g_table, k)->regex;
            assert_int_equal(shows(line, TOC_LOG_ANY, k), toc_regex_matches(re, line));
        }
    }
}

static void a_source_restricts_the_signatures(void **state) {
    (void)state;
    struct toc_sv xid = TOC_SV("NVRM: Xid (PCI:0000:05:00): 79, pid=1, name=p, text: 7, more");
    struct seen seen = {0};
    assert_int_equal(toc_signature_match(g_table, xid, TOC_LOG_JOB, note, &seen), 0);
    assert_int_equal(toc_signature_match(g_table, xid, TOC_LOG_KERNEL, note, &seen), 1);
    assert_true(toc_sv_eq_cstr(seen.last.groups[2], "0000:05:00"));
    assert_true(toc_sv_eq_cstr(seen.last.groups[3], "79"));
    toc_buf_fini(&seen.log);
}

static void fields_are_captured_by_name(void **state) {
    static const struct {
        const char *id;
        enum toc_signature_field field;
        const char *text;
    } cases[] = {
        {"nv_xid", TOC_FIELD_DEVICE, "0000:05:00"},
        {"nv_xid", TOC_FIELD_CODE, "79"},
        {"nv_xid_nvlink5", TOC_FIELD_WORD, "Fatal"},
        {"nv_xid_nvlink5", TOC_FIELD_LINK, "08"},
        {"nv_sxid", TOC_FIELD_CODE, "20034"},
        {"host_oom", TOC_FIELD_PID, "41235"},
        {"host_oom", TOC_FIELD_PROCESS, "python3"},
        {"nccl_watchdog", TOC_FIELD_RANK, "1"},
        {"nccl_watchdog", TOC_FIELD_SEQUENCE, "1"},
        {"nccl_hb_stuck", TOC_FIELD_SECONDS, "480"},
        {"nccl_ib_cqe", TOC_FIELD_CODE, "12"},
        {"elastic_fail", TOC_FIELD_CODE, "-9"},
        {"elastic_fail", TOC_FIELD_PID, "4242"},
        {"sigkill", TOC_FIELD_PID, "4242"},
        {"killed", TOC_FIELD_PID, "4242"},
        {"nvme", TOC_FIELD_DEVICE, "nvme3"},
        {"ib_link", TOC_FIELD_DEVICE, "ens1f0np0"},
        {"fs_ro", TOC_FIELD_DEVICE, "nvme0n1"},
        {"nfs", TOC_FIELD_ADDRESS, "10.1.1.9"},
        {"soft_lockup", TOC_FIELD_SECONDS, "26"},
        {"nv_xid", TOC_FIELD_RANK, ""},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        const struct toc_signature *s =
            toc_signature_table_get(g_table, index_of(toc_sv_cstr(cases[i].id)));
        struct toc_signature_hit hit = {.signature = s, .line = s->positive};
        hit.group_count =
            toc_regex_capture(s->regex, hit.line, hit.groups, TOC_SIGNATURE_GROUPS_MAX);
        if (!toc_sv_eq_cstr(toc_signature_field(&hit, cases[i].field), cases[i].text))
            fail_msg("%s: %s", cases[i].id, toc_signature_field_name(cases[i].field));
    }
}

static void make_log(struct toc_buf *out, struct toc_rng *rng) {
    for (int i = 0; i < 60; i++) {
        size_t k = toc_rng_below(rng, toc_signature_table_count(g_table));
        toc_buf_append_sv(out, toc_signature_table_get(g_table, k)->positive);
        if (toc_rng_below(rng, 4) == 0)
            toc_buf_append(out, "\0\xff\xfe\x80", 4);
        if (i == 30)
            for (int n = 0; n < 2000; n++)
                toc_buf_append_cstr(out, "a very long line ");
        toc_buf_append_cstr(out, i % 3 ? "\n" : "\r\n");
    }
    toc_buf_append_cstr(out, "CUDA out of memory");
}

static void scan(struct toc_sv log, size_t chunk_max, struct toc_rng *rng, struct seen *seen,
                 struct toc_log_scan *s) {
    toc_log_scan_init(s, g_table, TOC_LOG_ANY, note, seen);
    while (log.n) {
        size_t n = chunk_max ? 1 + toc_rng_below(rng, chunk_max) : log.n;
        struct toc_sv part = toc_sv_sub(log, 0, n);
        toc_log_scan_feed(s, part);
        log = toc_sv_make(log.p + part.n, log.n - part.n);
    }
    toc_log_scan_finish(s);
    toc_log_scan_fini(s);
}

static void how_a_log_is_cut_into_chunks_does_not_matter(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct toc_rng rng;
        struct toc_buf log = TOC_BUF_INIT;
        struct seen whole = {0}, cut = {0};
        struct toc_log_scan a, b;
        toc_rng_seed(&rng, seed);
        make_log(&log, &rng);
        scan(toc_buf_sv(&log), 0, &rng, &whole, &a);
        scan(toc_buf_sv(&log), seed % 2 ? 3 : 5000, &rng, &cut, &b);
        assert_int_equal(a.lines, 61);
        assert_int_equal(b.lines, 61);
        assert_int_equal(a.cut_lines, 1);
        assert_int_equal(b.cut_lines, 1);
        assert_true(a.hits >= 60);
        assert_string_equal(toc_buf_cstr(&whole.log), toc_buf_cstr(&cut.log));
        toc_buf_fini(&whole.log);
        toc_buf_fini(&cut.log);
        toc_buf_fini(&log);
    }
}

static void a_line_of_100_megabytes_is_cut_and_counted(void **state) {
    static char block[1 << 20];
    struct seen seen = {0};
    struct toc_log_scan s;
    (void)state;
    memset(block, 'x', sizeof block);
    toc_log_scan_init(&s, g_table, TOC_LOG_ANY, note, &seen);
    for (int i = 0; i < 100; i++)
        toc_log_scan_feed(&s, toc_sv_make(block, sizeof block));
    assert_true(s.partial.capacity <= 4 * TOC_SIGNATURE_LINE_BYTES_MAX);
    toc_log_scan_feed(&s, TOC_SV("\nCUDA out of memory\n"));
    toc_log_scan_finish(&s);
    toc_log_scan_fini(&s);
    assert_int_equal(s.lines, 2);
    assert_int_equal(s.cut_lines, 1);
    assert_string_equal(toc_buf_cstr(&seen.log), "cuda_oom:2 ");
    toc_buf_fini(&seen.log);
}

static void a_bad_table_is_refused_with_row_and_column(void **state) {
    static const struct {
        const char *text;
        int line, column;
    } cases[] = {
        {"#head\na\tb\tinfo\n", 2, 1},
        {"a\tc\tloud\troot\tjob\tx\tx\t\t\tx\ty\n", 1, 3},
        {"a\tc\tinfo\tleaf\tjob\tx\tx\t\t\tx\ty\n", 1, 4},
        {"a\tc\tinfo\troot\tmoon\tx\tx\t\t\tx\ty\n", 1, 5},
        {"a\tc\tinfo\troot\tjob\tx\t(x\t\t\tx\ty\n", 1, 7},
        {"a\tc\tinfo\troot\tjob\tx\tx\tI\t\tx\ty\n", 1, 8},
        {"a\tc\tinfo\troot\tjob\tx\tx\t\t\tx\ty\na\tc\tinfo\troot\tjob\tx\tx\t\t\tx\ty\n", 2, 1},
        {"a\tc\tinfo\troot\tjob\t\tx\t\t\tx\ty\n", 0, 0},
        {"a\tc\tinfo\troot\tjob\tz\tx\t\t\tx\ty\n", 0, 0},
        {"a\tc\tinfo\troot\tjob\tx\tx\t\t\tx\txx\n", 0, 0},
        {"a\tc\tinfo\troot\tjob\tx\t(x)\t\tmoon=1\tx\ty\n", 1, 9},
        {"a\tc\tinfo\troot\tjob\tx\t(x)\t\tpid=0\tx\ty\n", 1, 9},
        {"a\tc\tinfo\troot\tjob\tx\t(x)\t\tpid=1 pid=1\tx\ty\n", 1, 9},
        {"a\tc\tinfo\troot\tjob\tx\t(x)\t\tpid=2\tx\ty\n", 1, 9},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_signature_table *t = NULL;
        struct toc_err err = {0};
        assert_true(toc_signature_table_parse(toc_sv_cstr(cases[i].text), &t, &err) < 0);
        assert_null(t);
        assert_true(err.message[0]);
        assert_int_equal(err.line, cases[i].line);
        assert_int_equal(err.column, cases[i].column);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_built_in_table_passes_all_checks),
        cmocka_unit_test(every_sample_of_the_table_is_told_apart),
        cmocka_unit_test(what_counts_beside_others_alone_is_not_shown_alone),
        cmocka_unit_test(every_case_is_classified),
        cmocka_unit_test(every_shared_case_is_classified),
        cmocka_unit_test(every_shared_sample_is_told_apart),
        cmocka_unit_test(the_prefilter_hides_nothing),
        cmocka_unit_test(a_source_restricts_the_signatures),
        cmocka_unit_test(fields_are_captured_by_name),
        cmocka_unit_test(how_a_log_is_cut_into_chunks_does_not_matter),
        cmocka_unit_test(a_line_of_100_megabytes_is_cut_and_counted),
        cmocka_unit_test(a_bad_table_is_refused_with_row_and_column),
    };
    if (argc != 2)
        return 2;
    g_cases = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
