/* Names from outside: escaped ones, and how well others fit what was typed. */
#include "../cmocka_prelude.h"

#include <math.h>

#include "api/fuzzy.h"
#include "api/prom_priv.h"
#include "codec/text.h"

static void expect_name(const char *escaped, const char *wanted) {
    struct toc_buf out = TOC_BUF_INIT;
    bool is_escaped = toc_prom_unescape_name(toc_sv_cstr(escaped), &out);
    if (wanted)
        assert_string_equal(is_escaped ? toc_buf_cstr(&out) : "(as it is)", wanted);
    else if (is_escaped)
        fail_msg("%s was taken as %s", escaped, toc_buf_cstr(&out));
    toc_buf_fini(&out);
}

static void escaped_names_are_understood(void **state) {
    (void)state;
    expect_name("U__http_2e_status", "http.status");
    expect_name("U__a__b", "a_b");
    expect_name("U__label_20_with_20_space_e9_", "label with space\xc3\xa9");
    expect_name("U___1F600_", "\xf0\x9f\x98\x80");
    expect_name("U__", "");
}

static void wrongly_escaped_names_stay_as_they_are(void **state) {
    (void)state;
    const char *const names[] = {"plain",        "U_",     "U__a_",       "U__a_2e",
                                 "U__a_zz_",     "U__a.b", "U___d800_",   "U___110000_",
                                 "U___0000041_", "U__1a",  "U__a_2e_b-c", "u__a"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        expect_name(names[i], NULL);
}

static struct toc_runes runes(const char *text, uint32_t *space) {
    struct toc_sv s = toc_sv_cstr(text);
    size_t n = 0;
    for (size_t at = 0; at < s.n;)
        at += toc_utf8_decode(s, at, &space[n++]);
    return (struct toc_runes){space, n};
}

static void expect_score(double (*score)(struct toc_runes, struct toc_runes), const char *a,
                         const char *b, double wanted) {
    uint32_t x[64], y[64];
    double have = score(runes(a, x), runes(b, y));
    if (fabs(have - wanted) > 1e-12)
        fail_msg("%s in %s: %.17g, wanted %.17g", a, b, have, wanted);
}

static void subsequences_earn_runs_and_lose_gaps(void **state) {
    (void)state;
    expect_score(toc_fuzzy_subsequence, "", "anything", 1);
    expect_score(toc_fuzzy_subsequence, "abc", "abc", 1);
    expect_score(toc_fuzzy_subsequence, "abc", "acb", 0);
    expect_score(toc_fuzzy_subsequence, "abcd", "abc", 0);
    /* one run of 4 with 5 before it, of a text of 9 */
    expect_score(toc_fuzzy_subsequence, "load", "node_load", (16 - 5.0 / 9) / 16);
    /* the same, and 2 behind it, which count half */
    expect_score(toc_fuzzy_subsequence, "load", "node_load15", (16 - 5.0 / 11 - 1.0 / 11) / 16);
    /* two runs of 1 with a gap of 2 */
    expect_score(toc_fuzzy_subsequence, "ad", "abcd", (2 - 2.0 / 4) / 4);
    /* the later start is better */
    expect_score(toc_fuzzy_subsequence, "ab", "a_ab", (4 - 2.0 / 4) / 4);
}

static void similar_words_are_near(void **state) {
    (void)state;
    /* the textbook examples of Winkler */
    expect_score(toc_fuzzy_jaro_winkler, "martha", "marhta", 17.0 / 18 + 0.3 * (1 - 17.0 / 18));
    expect_score(toc_fuzzy_jaro_winkler, "dwayne", "duane",
                 (4.0 / 6 + 4.0 / 5 + 1) / 3 + 0.1 * (1 - (4.0 / 6 + 4.0 / 5 + 1) / 3));
    expect_score(toc_fuzzy_jaro_winkler, "abc", "xyz", 0);
    expect_score(toc_fuzzy_jaro_winkler, "same", "same", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escaped_names_are_understood),
        cmocka_unit_test(wrongly_escaped_names_stay_as_they_are),
        cmocka_unit_test(subsequences_earn_runs_and_lose_gaps),
        cmocka_unit_test(similar_words_are_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
