/* Receivers, test messages and the delivery ledger. */
#include "api/api_priv.h"
#include "statedb/outbox.h"

enum { CHANNELS_MAX = 64 };

struct last_delivery {
    struct toc_json_writer *w;
    bool is_written;
};

static int write_last(void *ctx, const struct toc_outbox_item *item,
                      const struct toc_outbox_attempt *attempts, size_t count) {
    struct last_delivery *l = ctx;
    (void)item;
    if (count == 0)
        return 0;
    toc_json_begin_object(l->w);
    toc_json_kv_time(l->w, "at", attempts[count - 1].at);
    toc_json_kv_bool(l->w, "ok", attempts[count - 1].ok);
    toc_json_kv_string(l->w, "detail", attempts[count - 1].detail);
    toc_json_end_object(l->w);
    l->is_written = true;
    return 1;
}

static void write_receiver(struct toc_api_call *c, const struct toc_receiver *r) {
    struct last_delivery last = {&c->json, false};
    struct toc_outbox_filter filter = {.receiver = toc_sv_cstr(r->name), .limit = 20};
    struct toc_err err = {0};
    toc_json_begin_object(&c->json);
    toc_json_kv_cstr(&c->json, "name", r->name);
    toc_json_key(&c->json, "channels");
    toc_json_begin_array(&c->json);
    for (size_t i = 0; i < r->channel_count; i++)
        toc_json_cstr(&c->json, r->channels[i].name);
    toc_json_end_array(&c->json);
    toc_json_key(&c->json, "last_delivery");
    int rc = toc_outbox_list(c->api->parts.state, &filter, write_last, &last, &err);
    if (rc < 0 || !last.is_written)
        toc_json_null(&c->json);
    toc_json_end_object(&c->json);
}

void toc_api_receivers(struct toc_api_call *c) {
    struct toc_receiver_set *set = toc_notifier_receivers(c->api->parts.notifier);
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "receivers");
    toc_json_begin_array(&c->json);
    for (size_t i = 0; i < set->count; i++)
        write_receiver(c, &set->items[i]);
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
    toc_receiver_set_unref(&set);
}

void toc_api_receiver_test(struct toc_api_call *c) {
    struct toc_notify_result results[CHANNELS_MAX];
    struct toc_receiver_set *set = toc_notifier_receivers(c->api->parts.notifier);
    const struct toc_receiver *r = toc_receiver_find(set, c->params[0]);
    if (!r) {
        toc_api_problem(c, 404, "not_found", "there is no receiver \"%.*s\"",
                        TOC_SV_ARG(c->params[0]));
    } else if (r->channel_count == 0) {
        toc_api_problem(c, 409, "conflict", "receiver \"%s\" has no channel to send by", r->name);
    } else {
        size_t n = toc_notify_test(r, c->now, toc_sv_cstr(c->api->parts.external_url), results,
                                   CHANNELS_MAX);
        toc_json_begin_object(&c->json);
        toc_json_key(&c->json, "results");
        toc_json_begin_array(&c->json);
        for (size_t i = 0; i < n; i++) {
            toc_json_begin_object(&c->json);
            toc_json_kv_cstr(&c->json, "channel", results[i].channel);
            toc_json_kv_bool(&c->json, "ok", results[i].ok);
            toc_json_kv_cstr(&c->json, "detail", results[i].detail);
            toc_json_end_object(&c->json);
        }
        toc_json_end_array(&c->json);
        toc_json_end_object(&c->json);
    }
    toc_receiver_set_unref(&set);
}

static int write_delivery(void *ctx, const struct toc_outbox_item *item,
                          const struct toc_outbox_attempt *attempts, size_t count) {
    struct toc_json_writer *w = ctx;
    toc_json_begin_object(w);
    toc_json_kv_int(w, "id", item->id);
    toc_json_kv_string(w, "incident_id", item->incident_id);
    toc_json_kv_string(w, "receiver", item->receiver);
    toc_json_kv_string(w, "channel", item->channel);
    toc_json_kv_cstr(w, "state", toc_outbox_state_text(item->state));
    toc_json_kv_string(w, "subject", item->subject);
    toc_json_kv_time(w, "created_at", item->created_at);
    toc_json_kv_time(w, "delivered_at", item->delivered_at);
    toc_json_key(w, "attempts");
    toc_json_begin_array(w);
    for (size_t i = 0; i < count; i++) {
        toc_json_begin_object(w);
        toc_json_kv_time(w, "at", attempts[i].at);
        toc_json_kv_bool(w, "ok", attempts[i].ok);
        toc_json_kv_string(w, "detail", attempts[i].detail);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
    toc_json_end_object(w);
    return 0;
}

void toc_api_deliveries(struct toc_api_call *c) {
    struct toc_outbox_filter filter = {.incident_id = toc_api_param(c, "incident")};
    struct toc_err err = {0};
    if (!toc_api_limit(c, 100, 1000, &filter.limit))
        return;
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "deliveries");
    toc_json_begin_array(&c->json);
    int rc = toc_outbox_list(c->api->parts.state, &filter, write_delivery, &c->json, &err);
    if (rc < 0) {
        toc_api_fail(c, rc, &err);
        return;
    }
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
}
