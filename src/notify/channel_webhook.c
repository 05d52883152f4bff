/* Alertmanager's webhook, version 4: keys and their order as upstream writes them. */
#include <stdio.h>

#include "codec/json_writer.h"
#include "notify/channel_priv.h"

static void write_labels(struct toc_json_writer *w, const char *key, struct toc_labels l) {
    toc_json_key(w, key);
    toc_json_begin_object(w);
    for (size_t i = 0; i < l.count; i++) {
        toc_json_key_sv(w, l.items[i].name);
        toc_json_string(w, l.items[i].value);
    }
    toc_json_end_object(w);
}

/* Go's zero time stands for "none". */
static void write_time(struct toc_json_writer *w, const char *key, struct toc_ts t) {
    if (t.ms)
        toc_json_kv_time(w, key, t);
    else
        toc_json_kv_cstr(w, key, "0001-01-01T00:00:00Z");
}

static const char *status_text(bool is_resolved) {
    return is_resolved ? "resolved" : "firing";
}

static void write_alert(struct toc_json_writer *w, const struct toc_notification_alert *a) {
    char fingerprint[17];
    snprintf(fingerprint, sizeof fingerprint, "%016llx",
             (unsigned long long)toc_labels_fingerprint(a->labels));
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "status", status_text(a->is_resolved));
    write_labels(w, "labels", a->labels);
    write_labels(w, "annotations", a->annotations);
    write_time(w, "startsAt", a->starts_at);
    write_time(w, "endsAt", a->is_resolved ? a->ends_at : (struct toc_ts){0});
    toc_json_kv_string(w, "generatorURL", a->generator_url);
    toc_json_kv_cstr(w, "fingerprint", fingerprint);
    toc_json_end_object(w);
}

int toc_build_webhook(const struct toc_channel *c, const struct toc_notification *n,
                      struct toc_channel_request *r, struct toc_delivery *d, struct toc_err *err) {
    struct toc_json_writer w;
    size_t max = c->webhook.max_alerts ? c->webhook.max_alerts : n->alert_count;
    size_t shown = TOC_MIN(max, n->alert_count);
    (void)d;
    r->method = "POST";
    toc_buf_append_cstr(&r->url, c->webhook.url);
    toc_json_writer_init(&w, &r->body);
    toc_json_begin_object(&w);
    toc_json_kv_string(&w, "receiver", n->receiver);
    toc_json_kv_cstr(&w, "status", status_text(n->is_resolved));
    toc_json_key(&w, "alerts");
    toc_json_begin_array(&w);
    for (size_t i = 0; i < shown; i++)
        write_alert(&w, &n->alerts[i]);
    toc_json_end_array(&w);
    write_labels(&w, "groupLabels", n->group_labels);
    write_labels(&w, "commonLabels", n->common_labels);
    write_labels(&w, "commonAnnotations", n->common_annotations);
    toc_json_kv_string(&w, "externalURL", n->external_url);
    toc_json_kv_cstr(&w, "version", "4");
    toc_json_kv_string(&w, "groupKey", n->group_key);
    toc_json_kv_int(&w, "truncatedAlerts",
                    (int64_t)(n->truncated_alerts + (n->alert_count - shown)));
    toc_json_end_object(&w);
    toc_channel_request_header(r, "Content-Type", TOC_SV("application/json"));
    toc_channel_request_header(r, "Idempotency-Key", n->key);
    return toc_buf_error(&r->body) ? toc_errf(err, TOC_ENOMEM, "no memory for this message") : 0;
}

int toc_deliver_webhook(const struct toc_channel *c, const struct toc_notification *n,
                        struct toc_http_client *client, struct toc_delivery *out,
                        struct toc_err *err) {
    struct toc_channel_request r = {0};
    int rc = toc_build_webhook(c, n, &r, out, err);
    if (!rc)
        rc = toc_channel_send(c, &r, client, NULL, NULL, out, err);
    toc_channel_request_fini(&r);
    return rc;
}
