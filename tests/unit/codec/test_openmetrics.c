/* The OpenMetrics project's parser cases, where a checkout has them; some of our own always. */
#include "../cmocka_prelude.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/exposition.h"
#include "sys/vfs.h"

/* None of the project's cases is an exception today; names would be listed here with the reason. */
static const char *const exceptions[] = {NULL};

static bool is_exception(const char *name) {
    for (size_t i = 0; exceptions[i]; i++)
        if (strcmp(name, exceptions[i]) == 0)
            return true;
    return false;
}

static const char *cases_dir(char *out, size_t size) {
    const char *shared = getenv("TOCSIN_SHARED");
    const char *root = getenv("TOCSIN_SOURCE_ROOT");
    static const char tail[] = "conformance/openmetrics-parsers/parsers";
    if (shared)
        snprintf(out, size, "%s/%s", shared, tail);
    else
        snprintf(out, size, "%s/../shared/%s", root ? root : ".", tail);
    return out;
}

static void read_file(const char *dir, const char *name, const char *file, struct toc_buf *out) {
    struct toc_buf path = TOC_BUF_INIT;
    toc_buf_printf(&path, "%s/%s/%s", dir, name, file);
    assert_int_equal(toc_vfs_read_file(toc_vfs_system(), toc_buf_cstr(&path), 1 << 20, out), 0);
    toc_buf_fini(&path);
}

static bool run_case(const char *dir, const char *name) {
    struct toc_buf text = TOC_BUF_INIT, config = TOC_BUF_INIT;
    struct toc_err err = {0};
    read_file(dir, name, "metrics", &text);
    read_file(dir, name, "test.json", &config);
    const char *flag = strstr(toc_buf_cstr(&config), "\"shouldParse\"");
    assert_non_null(flag);
    const char *truth = strstr(flag, "true");
    bool should_parse = truth && truth - flag < 20;
    int rc = toc_openmetrics_check(toc_buf_sv(&text), NULL, &err);
    bool ok = (rc == 0) == should_parse;
    if (!ok)
        print_message("%s: %s\n", name, rc ? err.message : "accepted");
    toc_buf_fini(&text);
    toc_buf_fini(&config);
    return ok;
}

static void the_projects_cases_agree(void **state) {
    (void)state;
    char dir[4096];
    DIR *d = opendir(cases_dir(dir, sizeof dir));
    int count = 0, wrong = 0;
    if (!d) {
        print_message("skipped: no %s\n", dir);
        skip();
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.' || is_exception(e->d_name))
            continue;
        count++;
        wrong += !run_case(dir, e->d_name);
    }
    closedir(d);
    print_message("%d cases, %d wrong\n", count, wrong);
    assert_int_equal(wrong, 0);
    assert_true(count > 200);
}

static void our_cases(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int rc, line;
    } cases[] = {
        {"# TYPE a counter\na_total 1\n# EOF\n", 0, 0},
        {"# TYPE a counter\na_total 1\n# HELP a x\n# EOF\n", TOC_EPARSE, 3},
        {"# TYPE a counter\na_total -1\n# EOF\n", TOC_EPARSE, 2},
        {"# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\n# EOF\n", TOC_EPARSE,
         3},
        {"# TYPE s stateset\ns{s=\"on\"} 1\ns{s=\"off\"} 0\n# EOF\n", 0, 0},
        {"a 1\nb 1\na 2\n# EOF\n", TOC_EPARSE, 3},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_err err = {0};
        int rc = toc_openmetrics_check(toc_sv_cstr(cases[i].text), NULL, &err);
        if (rc != cases[i].rc || err.line != cases[i].line)
            fail_msg("%s: %d at %d: %s", cases[i].text, rc, err.line, err.message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_projects_cases_agree),
        cmocka_unit_test(our_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
