#include "app/packs.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "rules/builtin_packs.h"
#include "sys/log.h"
#include "sys/thread.h"

#define PACK_NS "pack"

enum {
    NAME_MAX_BYTES = 128,
    /* A series that was written so long ago still tells what runs here. */
    LOOK_BACK_MS = 24 * 3600 * 1000,
};

struct pack {
    const struct toc_builtin_pack *builtin;
    char file[64]; /* name of its rule file */
    enum toc_pack_mode configured, said;
    bool is_awake;
    bool is_loaded; /* the rule manager has its file */
    char seen_metric[NAME_MAX_BYTES];
    struct toc_ts seen_at;
    size_t rules, alerts;
};

struct toc_packs {
    struct toc_packs_options o;
    struct toc_mutex mutex;
    struct pack *items;
    size_t count;
    bool is_configured; /* once: changes are told one by one from then on */
};

static enum toc_pack_mode mode_of(const struct pack *p) {
    return p->said == TOC_PACK_AUTO ? p->configured : p->said;
}

static bool wants_awake(const struct pack *p) {
    enum toc_pack_mode mode = mode_of(p);
    return mode == TOC_PACK_ON || (mode == TOC_PACK_AUTO && (!*p->builtin->seen || p->seen_at.ms));
}

static void settle(struct toc_packs *p, struct pack *one, struct toc_ts now) {
    bool is_awake = wants_awake(one);
    /* Without the built-in rules (rules.builtin: false) there is no such file. */
    one->is_loaded = toc_rules_set_awake(p->o.rules, toc_sv_cstr(one->file), is_awake, now) == 0;
    if (one->is_loaded && is_awake != one->is_awake && p->is_configured)
        toc_log(TOC_LOG_INFO, "packs", "%s: %s%s%s", one->builtin->name,
                is_awake ? "watching" : "asleep", is_awake && *one->seen_metric ? ", saw " : "",
                is_awake ? one->seen_metric : "");
    one->is_awake = is_awake;
}

static struct pack *find(struct toc_packs *p, struct toc_sv name) {
    for (size_t i = 0; i < p->count; i++)
        if (toc_sv_eq_cstr(name, p->items[i].builtin->name))
            return &p->items[i];
    return NULL;
}

static int remember_said(void *ctx, struct toc_sv name, struct toc_sv word) {
    struct pack *one = find(ctx, name);
    enum toc_pack_mode mode = toc_pack_mode_parse(word);
    if (one && mode < TOC_PACK_MODE_COUNT)
        one->said = mode;
    return 0;
}

static void count_rules(struct pack *one) {
    struct toc_rule_file *f = NULL;
    struct toc_err err = {0};
    if (toc_rule_file_parse(toc_sv_cstr(one->file), one->builtin->yaml, true, &f, &err) < 0)
        return; /* loading the configuration reports it */
    for (size_t g = 0; g < f->group_count; g++) {
        one->rules += f->groups[g].rule_count;
        for (size_t i = 0; i < f->groups[g].rule_count; i++)
            one->alerts += f->groups[g].rules[i].is_alert;
    }
    toc_rule_file_free(&f);
}

int toc_packs_new(const struct toc_packs_options *o, struct toc_packs **out, struct toc_err *err) {
    struct toc_packs *p = TOC_NEW(struct toc_packs);
    const struct toc_builtin_pack *packs = toc_builtin_packs(&p->count);
    p->o = *o;
    p->items = TOC_NEW_ARRAY(struct pack, p->count);
    toc_mutex_init(&p->mutex, TOC_LOCK_PACKS);
    for (size_t i = 0; i < p->count; i++) {
        struct pack *one = &p->items[i];
        one->builtin = &packs[i];
        one->is_awake = true; /* as the rule manager has it */
        (void)snprintf(one->file, sizeof one->file, "builtin/%s", packs[i].name);
        count_rules(one);
    }
    int rc = o->blobs->each(o->blobs, PACK_NS, remember_said, p, err);
    if (rc < 0)
        toc_packs_free(&p);
    *out = p;
    return rc;
}

void toc_packs_free(struct toc_packs **packs) {
    struct toc_packs *p = *packs;
    if (!p)
        return;
    toc_mutex_fini(&p->mutex);
    toc_free(p->items);
    toc_free(p);
    *packs = NULL;
}

/* One entry of the section; *out_mode. */
static int read_entry(const struct toc_yaml *section, size_t i, enum toc_pack_mode *out_mode,
                      struct toc_err *err) {
    const struct toc_yaml *value = &section->items[i];
    struct toc_sv name = value->key, word;
    if (!toc_builtin_pack(name))
        return toc_err_at(err, TOC_EINVAL, value->line, value->column,
                          "packs: there is no pack \"%.*s\" (tocsin pack list)", TOC_SV_ARG(name));
    int rc = toc_yaml_string(value, &word, err);
    *out_mode = rc < 0 ? TOC_PACK_AUTO : toc_pack_mode_parse(word);
    if (rc == 0 && *out_mode == TOC_PACK_MODE_COUNT)
        rc = toc_err_at(err, TOC_EINVAL, value->line, value->column,
                        "packs.%.*s must be auto, on or off, got \"%.*s\"", TOC_SV_ARG(name),
                        TOC_SV_ARG(word));
    return rc;
}

int toc_packs_check(const struct toc_yaml *section, struct toc_err *err) {
    enum toc_pack_mode mode;
    int rc = 0;
    if (section && section->type != TOC_YAML_MAPPING)
        return toc_err_at(err, TOC_ETYPE, section->line, section->column,
                          "packs must map names of packs to auto, on or off");
    for (size_t i = 0; section && i < section->count && rc == 0; i++)
        rc = read_entry(section, i, &mode, err);
    return rc;
}

/* One line at the start instead of one for each pack. */
static void say_asleep(const struct toc_packs *p) {
    struct toc_buf names = TOC_BUF_INIT;
    for (size_t i = 0; i < p->count; i++)
        if (p->items[i].is_loaded && !p->items[i].is_awake) {
            toc_buf_append_cstr(&names, names.n ? ", " : "");
            toc_buf_append_cstr(&names, p->items[i].builtin->name);
        }
    if (names.n)
        toc_log(TOC_LOG_INFO, "packs", "asleep until their metrics come: %s", toc_buf_cstr(&names));
    toc_buf_fini(&names);
}

void toc_packs_configure(struct toc_packs *p, const struct toc_yaml *section, struct toc_ts now) {
    struct toc_err err = {0};
    if (toc_packs_check(section, &err) < 0)
        return;
    toc_mutex_lock(&p->mutex);
    for (size_t i = 0; i < p->count; i++)
        p->items[i].configured = TOC_PACK_AUTO;
    for (size_t i = 0; section && i < section->count; i++)
        (void)read_entry(section, i, &find(p, section->items[i].key)->configured, &err);
    for (size_t i = 0; i < p->count; i++)
        settle(p, &p->items[i], now);
    if (!p->is_configured)
        say_asleep(p);
    p->is_configured = true;
    toc_mutex_unlock(&p->mutex);
}

/* Does a name begin with one of the pack's prefixes? */
static bool is_of(const struct pack *one, struct toc_sv name) {
    struct toc_sv rest = toc_sv_cstr(one->builtin->seen), prefix;
    while (rest.n && toc_sv_split(&rest, ',', &prefix))
        if (toc_sv_starts_with(name, toc_sv_trim(prefix)))
            return true;
    return false;
}

static bool is_waiting(const struct pack *one) {
    return *one->builtin->seen && !one->seen_at.ms;
}

struct look {
    struct toc_packs *packs;
    struct toc_ts now;
};

static int on_name(void *ctx, struct toc_sv name) {
    struct look *l = ctx;
    for (size_t i = 0; i < l->packs->count; i++) {
        struct pack *one = &l->packs->items[i];
        if (!is_waiting(one) || !is_of(one, name))
            continue;
        one->seen_at = l->now;
        toc_sv_copy(name, one->seen_metric, sizeof one->seen_metric);
    }
    return 0;
}

/* `vllm:.*|sglang:.*|…` of the packs that still wait; false when none does. */
static bool waiting_pattern(const struct toc_packs *p, struct toc_buf *out) {
    for (size_t i = 0; i < p->count; i++) {
        struct toc_sv rest = toc_sv_cstr(p->items[i].builtin->seen), prefix;
        while (is_waiting(&p->items[i]) && rest.n && toc_sv_split(&rest, ',', &prefix))
            toc_buf_printf(out, "%s%.*s.*", out->n ? "|" : "", TOC_SV_ARG(toc_sv_trim(prefix)));
    }
    return out->n > 0;
}

int toc_packs_look(struct toc_packs *p, struct toc_ts now, struct toc_err *err) {
    struct look l = {p, now};
    struct toc_buf pattern = TOC_BUF_INIT;
    struct toc_matcher m;
    int rc = 0;
    toc_mutex_lock(&p->mutex);
    if (waiting_pattern(p, &pattern)) {
        rc = toc_matcher_init(&m, TOC_MATCH_RE, TOC_METRIC_NAME, toc_buf_sv(&pattern), err);
        if (rc == 0) {
            struct toc_select s = {.matchers = &m,
                                   .matcher_count = 1,
                                   .min_ms = now.ms - LOOK_BACK_MS,
                                   .max_ms = now.ms + 60000,
                                   .labels_only = true};
            rc = p->o.querier->label_values(p->o.querier, TOC_METRIC_NAME, &s, on_name, &l, err);
            toc_matcher_fini(&m);
        }
        for (size_t i = 0; i < p->count; i++)
            if (wants_awake(&p->items[i]) != p->items[i].is_awake)
                settle(p, &p->items[i], now);
    }
    toc_mutex_unlock(&p->mutex);
    toc_buf_fini(&pattern);
    return rc;
}

int toc_packs_set(struct toc_packs *p, struct toc_sv name, enum toc_pack_mode mode,
                  struct toc_ts now, struct toc_err *err) {
    struct toc_sv word =
        mode == TOC_PACK_AUTO ? TOC_SV_NULL : toc_sv_cstr(toc_pack_mode_text(mode));
    toc_mutex_lock(&p->mutex);
    struct pack *one = find(p, name);
    int rc = one ? p->o.blobs->put(p->o.blobs, PACK_NS, name, word, err)
                 : toc_errf(err, TOC_ENOENT, "there is no pack \"%.*s\" (tocsin pack list)",
                            TOC_SV_ARG(name));
    if (rc == 0) {
        one->said = mode;
        settle(p, one, now);
    }
    toc_mutex_unlock(&p->mutex);
    return rc;
}

void toc_packs_each(struct toc_packs *p, toc_on_pack *fn, void *ctx) {
    toc_mutex_lock(&p->mutex);
    for (size_t i = 0; i < p->count; i++) {
        const struct pack *one = &p->items[i];
        const struct toc_pack_view v = {.name = one->builtin->name,
                                        .title = one->builtin->title,
                                        .seen = one->builtin->seen,
                                        .mode = mode_of(one),
                                        .is_by_person = one->said != TOC_PACK_AUTO,
                                        .is_awake = one->is_awake,
                                        .seen_metric = toc_sv_cstr(one->seen_metric),
                                        .seen_at = one->seen_at,
                                        .rules = one->rules,
                                        .alerts = one->alerts};
        fn(ctx, &v);
    }
    toc_mutex_unlock(&p->mutex);
}
