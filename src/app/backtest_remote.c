#include "app/backtest_remote.h"

#include <stdio.h>
#include <string.h>

#include "app/backtest_input.h"
#include "app/command.h"
#include "app/read_input.h"
#include "codec/json_writer.h"
#include "sys/clock.h"

enum { RULES_MAX_BYTES = 2 << 20 };

static int put_file(struct toc_json_writer *w, const char *key, const char *path) {
    struct toc_buf text = TOC_BUF_INIT;
    int rc = toc_read_input(path, RULES_MAX_BYTES, &text);
    if (rc < 0)
        fprintf(stderr, "tocsin backtest: cannot read %s: %s\n", path, toc_strerror(rc));
    else
        toc_json_kv_string(w, key, toc_buf_sv(&text));
    toc_buf_fini(&text);
    return rc < 0 ? TOC_EXIT_USAGE : 0;
}

static int put_time(struct toc_json_writer *w, const char *key, const char *text, int64_t now_ms) {
    int64_t ms = 0;
    int rc = text ? toc_backtest_time("backtest", key, text, now_ms, &ms) : 0;
    if (rc == 0 && text)
        toc_json_kv_time(w, key, (struct toc_ts){ms});
    return rc;
}

static int put_known(struct toc_json_writer *w, const char *labels) {
    struct toc_known_incidents known = {0};
    if (!labels)
        return 0;
    if (strcmp(labels, "incidents") == 0) {
        toc_json_kv_bool(w, "known_incidents", true);
        return 0;
    }
    int rc = toc_backtest_load_known("backtest", labels, "", &known);
    toc_json_key(w, "known");
    toc_json_begin_array(w);
    for (size_t i = 0; rc == 0 && i < known.count; i++) {
        const struct toc_known_incident *k = &known.items[i];
        toc_json_begin_object(w);
        toc_json_kv_time(w, "start", (struct toc_ts){k->start_ms});
        toc_json_kv_time(w, "end", (struct toc_ts){k->end_ms});
        toc_json_kv_string(w, "name", k->name);
        toc_json_key(w, "labels");
        toc_json_begin_object(w);
        for (size_t n = 0; n < k->labels.count; n++) {
            toc_json_key_sv(w, k->labels.items[n].name);
            toc_json_string(w, k->labels.items[n].value);
        }
        toc_json_end_object(w);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
    toc_known_incidents_fini(&known);
    return rc;
}

static int write_body(const struct toc_backtest_question *q, struct toc_buf *out) {
    int64_t now_ms = toc_clock_now(toc_clock_system()).ms;
    struct toc_json_writer w;
    toc_json_writer_init(&w, out);
    toc_json_begin_object(&w);
    int rc = put_file(&w, "rules", q->rules);
    if (rc == 0 && q->compare)
        rc = put_file(&w, "compare", q->compare);
    if (rc == 0)
        rc = put_time(&w, "from", q->from, now_ms);
    if (rc == 0)
        rc = put_time(&w, "to", q->to, now_ms);
    if (rc == 0)
        rc = put_known(&w, q->labels);
    toc_json_kv_cstr(&w, "zone", q->zone);
    toc_json_kv_double(&w, "interval_s", (double)q->interval_ms / 1000);
    toc_json_end_object(&w);
    return rc;
}

int toc_backtest_ask(const struct toc_client_options *client,
                     const struct toc_backtest_question *q) {
    struct toc_buf body = TOC_BUF_INIT;
    struct toc_answer answer = {0};
    int rc = write_body(q, &body);
    if (rc == 0)
        rc = toc_client_call(client, "POST", "/api/tocsin/v1/backtests", &body, &answer);
    if (rc == 0)
        printf("%.*s\n", (int)answer.body.n, answer.body.p);
    toc_answer_fini(&answer);
    toc_buf_fini(&body);
    return rc;
}
