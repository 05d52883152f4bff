/* A store and a receiver of OTLP metrics for the tests of it: messages are written in JSON, results
 * read as the store dumps them. Times: T seconds are FIXTURE_START_MS / 1000 = 1760000400. */
#ifndef TOC_TESTS_UNIT_REMOTE_OTLP_FIXTURE_H
#define TOC_TESTS_UNIT_REMOTE_OTLP_FIXTURE_H

#include "../../otlp_dump.h"
#include "../metricdb/fixture.h"
#include "remote/otlp.h"

struct setup {
    struct fixture f;
    struct toc_otlp *otlp;
    struct toc_otlp_options options;
    struct toc_otlp_outcome out;
    struct toc_err err;
};

static inline void begin_with(struct setup *s, struct toc_otlp_options options) {
    *s = (struct setup){.options = options};
    fixture_init(&s->f, 1);
    s->otlp = toc_otlp_new(&s->options, s->f.db, &s->f.clock.base);
}

static inline void begin(struct setup *s) {
    begin_with(s, (struct toc_otlp_options){0});
}

static inline void end(struct setup *s) {
    toc_otlp_free(&s->otlp);
    toc_buf_fini(&s->out.text);
    fixture_fini(&s->f);
}

/* Single quotes stand for double ones; `$N` for N seconds after the start, in nanoseconds. */
static inline void expand(const char *text, struct toc_buf *out) {
    for (const char *p = text; *p; p++) {
        if (*p == '$')
            toc_buf_append_cstr(out, "17600004");
        else
            toc_buf_append_char(out, *p == '\'' ? '"' : *p);
    }
}

static inline int send_json(struct setup *s, const char *text) {
    struct toc_buf body = TOC_BUF_INIT;
    expand(text, &body);
    toc_buf_fini(&s->out.text);
    s->err = (struct toc_err){0};
    int rc = toc_otlp_receive(s->otlp, TOC_OTLP_JSON, toc_buf_sv(&body), &s->out, &s->err);
    toc_buf_fini(&body);
    return rc;
}

/* A message of one resource, one scope, the metrics given. */
static inline int send_metrics(struct setup *s, const char *resource, const char *metrics) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_printf(&b,
                   "{'resourceMetrics':[{'resource':{'attributes':[%s]},'scopeMetrics':[{'scope':"
                   "{'name':'my.scope','version':'1.2','attributes':[{'key':'lib.kind','value':"
                   "{'stringValue':'x'}}]},'schemaUrl':'http://s','metrics':[%s]}]}]}",
                   resource, metrics);
    int rc = send_json(s, toc_buf_cstr(&b));
    toc_buf_fini(&b);
    if (rc)
        print_error("%s\n", s->err.message);
    return rc;
}

/* What the store holds, with times as seconds after the start. */
static inline void expect(struct setup *s, const char *want) {
    struct toc_buf got = TOC_BUF_INIT;
    assert_int_equal(otlp_dump(s->f.db, &got), 0);
    assert_string_equal(toc_buf_cstr(&got), want);
    toc_buf_fini(&got);
}

/* Second 30 after the start. */
#define AT30 "@1760000430000\n"
#define AT40 "@1760000440000\n"
#define AT50 "@1760000450000\n"
#define NS(seconds) "'$" #seconds "000000000'"

#define RESOURCE                                                   \
    "{'key':'service.name','value':{'stringValue':'api'}},"        \
    "{'key':'service.namespace','value':{'stringValue':'shop'}},"  \
    "{'key':'service.instance.id','value':{'stringValue':'i-1'}}," \
    "{'key':'host.name','value':{'stringValue':'h1'}}"

#define ONE_GAUGE "{'name':'g','gauge':{'dataPoints':[{'timeUnixNano':" NS(30) ",'asInt':1}]}}"

#define HISTOGRAM                                                                      \
    "{'name':'wait','unit':'s','histogram':{'aggregationTemporality':2,'dataPoints':[" \
    "{'timeUnixNano':" NS(30) ",'count':'6','sum':8.25,'bucketCounts':['1','2',0,3],"  \
                              "'explicitBounds':[0.5,1,2.5],'min':0.1,'max':5}]}}"

#endif
