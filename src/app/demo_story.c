#include "app/demo_story.h"

#include <stdio.h>

#include "base/map.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/json.h"
#include "net/http_client.h"

struct told {
    char id[64];
    size_t entries; /* of its timeline, told already */
    bool is_open;
    bool evidence_told;
};

struct toc_demo_story {
    struct toc_http_client *client;
    char url[128];
    TOC_VEC(struct told) incidents;
};

struct toc_demo_story *toc_demo_story_new(const char *server_url) {
    struct toc_demo_story *s = TOC_NEW(struct toc_demo_story);
    s->client = toc_http_client_new();
    snprintf(s->url, sizeof s->url, "%s/api/tocsin/v1", server_url);
    return s;
}

void toc_demo_story_free(struct toc_demo_story **sp) {
    if (!*sp)
        return;
    toc_http_client_free(&(*sp)->client);
    TOC_VEC_FINI(&(*sp)->incidents);
    toc_free(*sp);
    *sp = NULL;
}

size_t toc_demo_story_incident_count(const struct toc_demo_story *s) {
    return s->incidents.count;
}

bool toc_demo_story_is_over(const struct toc_demo_story *s) {
    for (size_t i = 0; i < s->incidents.count; i++)
        if (s->incidents.items[i].is_open)
            return false;
    return s->incidents.count > 0;
}

/* NULL when the daemon does not answer. */
static const struct toc_json *fetch(struct toc_demo_story *s, const char *path,
                                    struct toc_arena *a) {
    char url[300];
    struct toc_http_result r;
    struct toc_err err = {0};
    const struct toc_json *json = NULL;
    snprintf(url, sizeof url, "%s%s", s->url, path);
    if (toc_http_perform(s->client, &(struct toc_http_call){.url = url}, &r, &err) == 0 &&
        r.status == 200 && toc_json_parse(toc_buf_sv(&r.body), a, &json, &err) < 0)
        json = NULL;
    toc_http_result_fini(&r);
    return json;
}

static struct toc_sv text_of(const struct toc_json *o, const char *key) {
    const struct toc_json *v = o ? toc_json_get(o, key) : NULL;
    return v && v->type == TOC_JSON_STRING ? v->string : TOC_SV_NULL;
}

static struct told *find_told(struct toc_demo_story *s, struct toc_sv id) {
    for (size_t i = 0; i < s->incidents.count; i++)
        if (toc_sv_eq_cstr(id, s->incidents.items[i].id))
            return &s->incidents.items[i];
    struct told fresh = {.is_open = true};
    toc_sv_copy(id, fresh.id, sizeof fresh.id);
    TOC_VEC_PUSH(&s->incidents, fresh);
    return &s->incidents.items[s->incidents.count - 1];
}

static void tell_evidence(const struct toc_json *incident) {
    printf("           kind %.*s: %.*s\n", TOC_SV_ARG(text_of(incident, "kind")),
           TOC_SV_ARG(text_of(incident, "title")));
    const struct toc_json *causes = toc_json_get(incident, "causes");
    if (causes && causes->count)
        printf("           likely cause: %.*s\n", TOC_SV_ARG(text_of(&causes->items[0], "text")));
    if (text_of(incident, "action").n)
        printf("           first action: %.*s\n", TOC_SV_ARG(text_of(incident, "action")));
}

static void tell(struct toc_demo_story *s, struct toc_sv id) {
    struct toc_arena arena = TOC_ARENA_INIT;
    char path[128];
    snprintf(path, sizeof path, "/incidents/%.*s", TOC_SV_ARG(id));
    const struct toc_json *incident = fetch(s, path, &arena);
    const struct toc_json *timeline = incident ? toc_json_get(incident, "timeline") : NULL;
    struct told *t = find_told(s, id);
    for (size_t i = t->entries; timeline && i < timeline->count; i++) {
        const struct toc_json *e = &timeline->items[i];
        struct toc_sv at = toc_sv_sub(text_of(e, "at"), 11, 8);
        printf("%.*s  %-12.*s %.*s  %.*s\n", TOC_SV_ARG(at), TOC_SV_ARG(text_of(e, "type")),
               TOC_SV_ARG(id), TOC_SV_ARG(text_of(e, "text")));
        t->entries = i + 1;
    }
    if (incident && !t->evidence_told) {
        tell_evidence(incident);
        t->evidence_told = true;
    }
    if (incident)
        t->is_open = text_of(incident, "resolved_at").n == 0;
    fflush(stdout);
    toc_arena_fini(&arena);
}

void toc_demo_story_poll(struct toc_demo_story *s) {
    struct toc_arena arena = TOC_ARENA_INIT;
    const struct toc_json *answer = fetch(s, "/incidents?state=all&limit=50", &arena);
    const struct toc_json *list = answer ? toc_json_get(answer, "incidents") : NULL;
    for (size_t i = list ? list->count : 0; i-- > 0;)
        tell(s, text_of(&list->items[i], "id"));
    toc_arena_fini(&arena);
}
