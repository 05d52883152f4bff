/* The C SDK's lines, as the receiver's decoder reads them from a file. */
#include "../cmocka_prelude.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "codec/json.h"
#include "tocsin.h"

struct lines {
    struct toc_arena arena;
    char path[64];
    char *text;
    const struct toc_json *lines[64];
    size_t count;
};

static struct tocsin_run *begin(struct lines *l) {
    *l = (struct lines){0};
    strcpy(l->path, "/tmp/tocsin-c-sdk-XXXXXX");
    int fd = mkstemp(l->path);
    assert_true(fd >= 0);
    close(fd);
    struct tocsin_run *run =
        tocsin_init(&(struct tocsin_options){.run = "c \"sdk\"", .file = l->path});
    assert_non_null(run);
    return run;
}

static void read_back(struct lines *l) {
    FILE *f = fopen(l->path, "r");
    assert_non_null(f);
    l->text = calloc(1, 1 << 20);
    size_t n = fread(l->text, 1, (1 << 20) - 1, f);
    fclose(f);
    unlink(l->path);
    toc_arena_init(&l->arena, 0);
    struct toc_sv rest = toc_sv_make(l->text, n), line;
    while (rest.n && toc_sv_split(&rest, '\n', &line)) {
        struct toc_err err = {0};
        assert_int_equal(toc_json_parse(line, &l->arena, &l->lines[l->count++], &err), 0);
    }
}

static void end(struct lines *l) {
    toc_arena_fini(&l->arena);
    free(l->text);
}

static const struct toc_json *in(const struct toc_json *object, const char *key) {
    const struct toc_json *v = object ? toc_json_get(object, key) : NULL;
    assert_non_null(v);
    return v;
}

static void test_further_statistics_of_a_layer(void **state) {
    (void)state;
    struct lines l;
    struct tocsin_run *run = begin(&l);
    struct tocsin_metric more[40];
    char names[40][16];
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "s%d", i);
        more[i] = (struct tocsin_metric){names[i], (double)i};
    }
    more[1].value = TOCSIN_ABSENT;
    more[2].value = (double)NAN;
    struct tocsin_layer layers[2] = {tocsin_layer_init("first"), tocsin_layer_init("second")};
    layers[0].grad_norm = 0.5;
    layers[1].statistics = more;
    layers[1].statistic_count = 40;
    struct tocsin_report r = tocsin_report_init(7);
    r.layers = layers;
    r.layer_count = 2;
    tocsin_report(run, &r);
    tocsin_finish(run, TOCSIN_FINISHED, NULL);
    read_back(&l);
    assert_int_equal(l.count, 3);
    const struct toc_json *seen = in(l.lines[1], "layers");
    assert_true(in(in(seen, "first"), "grad_norm")->number == 0.5);
    assert_int_equal(in(seen, "first")->count, 1);
    const struct toc_json *second = in(seen, "second");
    assert_int_equal(second->count, 23); /* 24 of the list, one of them absent */
    assert_true(in(second, "s0")->number == 0);
    assert_sv_equal(in(second, "s2")->string, "NaN");
    assert_null(toc_json_get(second, "s1"));
    end(&l);
}

static void test_events_that_the_daemon_knows(void **state) {
    (void)state;
    struct lines l;
    struct tocsin_run *run = begin(&l);
    tocsin_event(run, 5, "checkpoint_failed", "/ckpt/5: cut short");
    tocsin_event(run, 5, "party", "refused by the daemon: not sent");
    tocsin_event(run, 6, "error", "survived");
    assert_int_equal(tocsin_dropped(run), 1);
    tocsin_finish(run, TOCSIN_FAILED, "gone");
    read_back(&l);
    assert_int_equal(l.count, 4);
    assert_sv_equal(in(l.lines[1], "event")->string, "checkpoint_failed");
    assert_sv_equal(in(l.lines[1], "message")->string, "/ckpt/5: cut short");
    assert_sv_equal(in(l.lines[2], "state")->string, "running");
    assert_sv_equal(in(l.lines[3], "state")->string, "failed");
    assert_sv_equal(in(l.lines[3], "run")->string, "c \"sdk\"");
    end(&l);
}

/* A run that stands still says where, and how many collectives it has entered. */
static void test_signs_of_life(void **state) {
    (void)state;
    struct lines l;
    struct tocsin_run *run = begin(&l);
    struct tocsin_report r = tocsin_report_init(1);
    tocsin_report(run, &r);
    tocsin_collective_begin(run);
    usleep(20000);
    tocsin_collective_end(run);
    r.step = 3;
    tocsin_report(run, &r);
    tocsin_collective_begin(run); /* and nobody comes */
    usleep(3400000);
    tocsin_finish(run, TOCSIN_FINISHED, NULL);
    tocsin_collective_begin(NULL);
    tocsin_collective_end(NULL);
    read_back(&l);
    assert_int_equal(l.count, 5);
    assert_null(toc_json_get(l.lines[1], "collectives_total"));
    assert_true(in(l.lines[2], "collectives_total")->number == 1);
    double seconds = in(l.lines[2], "collective_seconds")->number; /* two steps share 20 ms */
    assert_true(seconds >= 0.01 && seconds < 0.5);
    assert_true(in(l.lines[3], "step")->number == 3);
    assert_sv_equal(in(l.lines[3], "state")->string, "running");
    assert_true(in(l.lines[3], "collectives_total")->number == 2);
    assert_null(toc_json_get(l.lines[3], "event"));
    assert_sv_equal(in(l.lines[4], "event")->string, "end");
    end(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_further_statistics_of_a_layer),
        cmocka_unit_test(test_events_that_the_daemon_knows),
        cmocka_unit_test(test_signs_of_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
