/* A made-up RAS service that speaks the documented protocol, or breaks it, against the client. */
#include "recording_sink.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collect/nccl_ras.h"
#include "sys/socket.h"
#include "sys/thread.h"

static const char report[] =
    "{\"nccl_version\":\"2.30.7\",\"communicators_count\":1,\"communicators\":[{\"hash\":\"0xab\","
    "\"secondary_hash\":\"0x1\",\"size\":3,\"ranks_count\":2,\"missing_ranks_count\":1,\"ranks\":["
    "{\"rank\":0,\"host\":\"node-a\",\"pid\":11,\"cuda_dev\":0,\"nvml_dev\":0,\"status\":{"
    "\"init_state\":0,\"async_error\":0},\"collective_counts\":{\"Broadcast\":1,\"Reduce\":0,"
    "\"AllGather\":2,\"ReduceScatter\":3,\"AllReduce\":100}},"
    "{\"rank\":1,\"host\":\"node-b\",\"pid\":12,\"status\":{\"init_state\":0,\"async_error\":2},"
    "\"collective_counts\":{\"AllReduce\":99}}],\"missing_ranks\":[{\"rank\":2,\"host\":\"node-c\","
    "\"pid\":13,\"status\":{\"unresponsive\":true,\"considered_dead\":true}}]}],"
    "\"ras\":{\"collection_time_sec\":0.25,\"timeouts_count\":1}}";

static const char text_report[] =
    "NCCL version 2.26.2 compiled with CUDA 12.8\n\nErrors\n======\n\n#0-0 DEAD\n  1 process\n\n"
    "Warnings\n========\n\n#0-0 MISMATCH\n  26 ranks have launched up to operation 6650\n"
    "  6 ranks have launched up to operation 6649\n";

enum manner {
    SPEAKS_JSON,
    SPEAKS_TEXT,
    HANGS_AT_ONCE,
    HANGS_AT_STATUS,
    HANGS_UP,
    IS_SOMETHING_ELSE,
    NEVER_ENDS_A_LINE
};

struct service {
    int listener;
    uint16_t port;
    enum manner manner;
    pthread_t thread;
    char heard[400];
};

static int next_line(int fd, char *out, size_t size) {
    size_t n = 0;
    char c;
    while (recv(fd, &c, 1, 0) == 1 && c != '\n')
        if (n + 1 < size)
            out[n++] = c;
    out[n] = '\0';
    return (int)n;
}

static void put(int fd, const char *s) {
    assert_int_equal(send(fd, s, strlen(s), MSG_NOSIGNAL), (ssize_t)strlen(s));
}

static void *serve(void *ctx) {
    struct service *s = ctx;
    char line[200];
    int fd = accept(s->listener, NULL, NULL);
    for (int n; fd >= 0 && (n = next_line(fd, line, sizeof line)) > 0;) {
        size_t used = strlen(s->heard);
        snprintf(s->heard + used, sizeof s->heard - used, "%s|", line);
        bool is_json = s->manner == SPEAKS_JSON || s->manner == HANGS_AT_STATUS;
        if (s->manner == HANGS_AT_ONCE)
            continue;
        if (s->manner == HANGS_UP)
            break;
        if (s->manner == IS_SOMETHING_ELSE) {
            put(fd, "HTTP/1.1 400 Bad Request\r\n");
            continue;
        }
        if (s->manner == NEVER_ENDS_A_LINE) {
            for (int i = 0; i < 40; i++)
                (void)!send(fd, "0123456789012345678901234567890123456789", 40, MSG_NOSIGNAL);
            continue;
        }
        if (strncmp(line, "CLIENT PROTOCOL", 15) == 0)
            put(fd, "SERVER PROTOCOL 2\r\n");
        else if (strncmp(line, "TIMEOUT", 7) == 0)
            put(fd, "OK\n");
        else if (strncmp(line, "SET FORMAT", 10) == 0)
            put(fd, is_json ? "OK\n" : "ERROR: Unknown command SET FORMAT json\n");
        else if (s->manner != HANGS_AT_STATUS) {
            put(fd, s->manner == SPEAKS_JSON ? report : text_report);
            break;
        }
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void start(struct service *s, enum manner manner) {
    struct toc_err err = {0};
    *s = (struct service){.manner = manner};
    s->listener = toc_socket_listen("127.0.0.1", 0, &s->port, &err);
    assert_true(s->listener >= 0);
    assert_int_equal(fcntl(s->listener, F_SETFL, 0), 0); /* the thread waits in accept */
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static int query(struct service *s, int64_t deadline_ms, struct toc_buf *out, bool *is_json,
                 struct toc_err *err) {
    struct toc_nccl_ras_address a = {.host = "127.0.0.1", .port = s->port};
    int rc = toc_nccl_ras_query(&a, 5, deadline_ms, NULL, out, is_json, err);
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    toc_socket_close(s->listener);
    return rc;
}

struct taken {
    struct toc_arena arena;
    struct toc_nccl_ras_points points;
    uint64_t left_out;
    struct toc_err err;
};

static double value_of(const struct taken *t, const char *series) {
    for (size_t i = 0; i < t->points.count; i++) {
        struct toc_buf text = TOC_BUF_INIT;
        toc_labels_format(t->points.items[i].labels, &text);
        bool is_it = strcmp(toc_buf_cstr(&text), series) == 0;
        toc_buf_fini(&text);
        if (is_it)
            return t->points.items[i].value;
    }
    return NAN;
}

static int translate(struct taken *t, const char *text, bool is_json) {
    *t = (struct taken){0};
    toc_arena_init(&t->arena, 1 << 20);
    return toc_nccl_ras_translate(toc_sv_cstr(text), is_json, TOC_SV("x:1"), 1000, &t->arena,
                                  &t->points, &t->left_out, &t->err);
}

static void taken_fini(struct taken *t) {
    TOC_VEC_FINI(&t->points);
    toc_arena_fini(&t->arena);
}

static void a_report_in_json_is_fetched(void **state) {
    (void)state;
    struct service s;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    bool is_json = false;
    start(&s, SPEAKS_JSON);
    assert_int_equal(query(&s, 20000, &out, &is_json, &err), 0);
    assert_true(is_json);
    assert_string_equal(toc_buf_cstr(&out), report);
    assert_string_equal(s.heard, "CLIENT PROTOCOL 2|TIMEOUT 5|SET FORMAT json|VERBOSE STATUS|");
    toc_buf_fini(&out);
}

static void older_servers_answer_in_text(void **state) {
    (void)state;
    struct service s;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    bool is_json = true;
    start(&s, SPEAKS_TEXT);
    assert_int_equal(query(&s, 20000, &out, &is_json, &err), 0);
    assert_false(is_json);
    assert_string_equal(toc_buf_cstr(&out), text_report);
    toc_buf_fini(&out);
}

static void bad_servers_cost_their_deadline_at_most(void **state) {
    static const struct {
        enum manner manner;
        int rc;
        const char *text;
    } cases[] = {{HANGS_AT_ONCE, TOC_ETIMEDOUT, "no whole answer in time"},
                 {HANGS_AT_STATUS, TOC_ETIMEDOUT, "no whole answer in time"},
                 {HANGS_UP, TOC_EPROTOCOL, "hung up"},
                 {IS_SOMETHING_ELSE, TOC_EPROTOCOL, "does not speak the protocol"},
                 {NEVER_ENDS_A_LINE, TOC_EPROTOCOL, "without end of line"}};
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct service s;
        struct toc_buf out = TOC_BUF_INIT;
        struct toc_err err = {0};
        bool is_json;
        start(&s, cases[i].manner);
        assert_int_equal(query(&s, 300, &out, &is_json, &err), cases[i].rc);
        assert_non_null(strstr(err.message, cases[i].text));
        assert_int_equal(out.n, 0);
        toc_buf_fini(&out);
    }
    struct toc_nccl_ras_address nobody = {.host = "127.0.0.1", .port = 1};
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    bool is_json;
    assert_int_equal(toc_nccl_ras_query(&nobody, 5, 1000, NULL, &out, &is_json, &err),
                     TOC_ECONNREFUSED);
    toc_buf_fini(&out);
}

static void counts_and_missing_ranks_become_series(void **state) {
    (void)state;
    struct taken t;
    assert_int_equal(translate(&t, report, true), 0);
#define RANK(metric, rank, host, pid)                                                   \
    metric "{address=\"x:1\", communicator=\"0xab-0x1\", host=\"" host "\", pid=\"" pid \
           "\", rank=\"" rank "\"}"
    assert_true(value_of(&t, RANK("nccl_ras_collectives_total", "0", "node-a", "11")) == 106);
    assert_true(value_of(&t, RANK("nccl_ras_collectives_total", "1", "node-b", "12")) == 99);
    assert_true(value_of(&t, RANK("nccl_ras_async_error", "1", "node-b", "12")) == 2);
    assert_true(value_of(&t, RANK("nccl_ras_rank_missing", "2", "node-c", "13")) == 1);
    assert_true(value_of(&t, RANK("nccl_ras_rank_dead", "2", "node-c", "13")) == 1);
    assert_true(value_of(&t, "nccl_ras_communicator_missing_ranks{address=\"x:1\", "
                             "communicator=\"0xab-0x1\"}") == 1);
    assert_true(value_of(&t, "nccl_ras_collection_seconds{address=\"x:1\"}") == 0.25);
    taken_fini(&t);
    assert_int_equal(translate(&t, text_report, false), 0);
    assert_true(value_of(&t, "nccl_ras_problems{address=\"x:1\", kind=\"MISMATCH\"}") == 1);
    assert_true(value_of(&t, "nccl_ras_problems{address=\"x:1\", kind=\"DEAD\"}") == 1);
    assert_true(value_of(&t, "nccl_ras_problems{address=\"x:1\", kind=\"TIMEOUT\"}") == 0);
    taken_fini(&t);
}

static void hostile_reports_are_refused_or_read_in_part(void **state) {
    static const char *const bad[] = {"", "{", "[]", "{\"communicators\":3}", "null"};
    static const char *const odd[] = {
        "{\"communicators\":[]}", "{\"communicators\":[3,null,{}]}",
        "{\"communicators\":[{\"ranks\":{},\"missing_ranks\":[1]}]}",
        "{\"communicators\":[{\"ranks\":[{\"rank\":\"x\",\"collective_counts\":[1.5,\"a\"]}]}]}"};
    (void)state;
    struct taken t;
    for (size_t i = 0; i < TOC_ARRAY_LEN(bad); i++) {
        assert_int_not_equal(translate(&t, bad[i], true), 0);
        taken_fini(&t);
    }
    for (size_t i = 0; i < TOC_ARRAY_LEN(odd); i++) {
        assert_int_equal(translate(&t, odd[i], true), 0);
        taken_fini(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_in_json_is_fetched),
        cmocka_unit_test(older_servers_answer_in_text),
        cmocka_unit_test(bad_servers_cost_their_deadline_at_most),
        cmocka_unit_test(counts_and_missing_ranks_become_series),
        cmocka_unit_test(hostile_reports_are_refused_or_read_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
