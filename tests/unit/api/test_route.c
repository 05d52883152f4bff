/* The route table: what a path leads to, and that no route that changes something is open. */
#include "../cmocka_prelude.h"

#include <string.h>

#include "api/route.h"

static struct toc_route_match find(const char *method, const char *path) {
    struct toc_route_match m;
    toc_route_find(toc_sv_cstr(method), toc_sv_cstr(path), &m);
    return m;
}

static void paths_find_their_routes(void **state) {
    (void)state;
    struct toc_route_match m = find("GET", "/api/v1/label/job/values");
    assert_non_null(m.route);
    assert_string_equal(m.route->pattern, "/api/v1/label/{}/values");
    assert_int_equal(m.param_count, 1);
    assert_sv_equal(m.params[0], "job");
    m = find("POST", "/api/tocsin/v1/incidents/I-1/acknowledge");
    assert_non_null(m.route);
    assert_sv_equal(m.params[0], "I-1");
    assert_non_null(find("HEAD", "/-/healthy").route);
    assert_non_null(find("GET", "/").route);
    assert_string_equal(find("GET", "/assets/app.js").route->pattern, "/{*}");
}

static void strangers_find_nothing(void **state) {
    (void)state;
    assert_null(find("GET", "/api/nothing").route);
    assert_false(find("GET", "/api/nothing").is_method_wrong);
    assert_null(find("GET", "/api/v1/label//values").route);
    assert_null(find("GET", "/api/v1/query/more").route);
    assert_null(find("PUT", "/api/tocsin/v1/status").route);
    assert_true(find("PUT", "/api/tocsin/v1/status").is_method_wrong);
    assert_null(find("", "").route);
}

/* Public routes that take a POST or DELETE: logging in and out, and the signed link. Anything else
 * needs a role. */
static bool may_be_public(const struct toc_route *r) {
    return strstr(r->pattern, "/session") || strstr(r->pattern, "/acknowledge-link");
}

static void changes_are_guarded_and_audited(void **state) {
    (void)state;
    size_t count;
    const struct toc_route *routes = toc_routes(&count);
    assert_true(count > 50);
    for (size_t i = 0; i < count; i++) {
        const struct toc_route *r = &routes[i];
        assert_non_null(r->handler);
        bool is_get = strcmp(r->method, "GET") == 0;
        if (is_get)
            assert_false(r->is_audited);
        else if (r->access == TOC_ACCESS_PUBLIC)
            assert_true(may_be_public(r));
        if (!is_get && r->access >= TOC_ACCESS_RESPOND && !r->is_audited)
            fail_msg("%s %s changes state and is not audited", r->method, r->pattern);
        if (strcmp(r->method, "POST") == 0 && r->max_body_bytes == 0)
            fail_msg("POST %s has no limit for its body", r->pattern);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_find_their_routes),
        cmocka_unit_test(strangers_find_nothing),
        cmocka_unit_test(changes_are_guarded_and_audited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
