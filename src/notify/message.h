/*
 * What a notification says, independent of the channel that carries it: the structure that the
 * outbox stores as JSON, and its texts in English and 简体中文.
 */
#ifndef TOC_NOTIFY_MESSAGE_H
#define TOC_NOTIFY_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/time.h"
#include "codec/template.h"
#include "model/finding.h"
#include "model/labels.h"

enum toc_language { TOC_LANGUAGE_EN, TOC_LANGUAGE_ZH };
/* "en", "zh", "zh-CN" …; TOC_EINVAL otherwise. */
int toc_language_parse(struct toc_sv text, enum toc_language *out) TOC_MUST_CHECK;

/* One alert of the group, for webhooks and templates. */
struct toc_notification_alert {
    bool is_resolved;
    struct toc_labels labels, annotations;
    struct toc_ts starts_at;
    struct toc_ts ends_at; /* 0 while firing */
    struct toc_sv generator_url;
};

enum { TOC_SPARKLINE_MAX = 60 };

/* All views are borrowed; a decoded one lives in its arena. NaN = there is no such number. */
struct toc_notification {
    struct toc_sv key; /* one per transition of an incident or flush of a group: idempotency */
    struct toc_sv incident_id; /* orders and threads messages; may be empty */
    struct toc_sv receiver;
    bool is_resolved;
    bool is_test;
    enum toc_severity severity;
    struct toc_sv title;
    struct toc_sv summary;
    struct toc_ts at; /* of the transition: the date of the message */
    struct toc_ts since;
    struct toc_labels subject; /* on what: run, rank, instance … */
    double value, threshold, expected_lower, expected_upper;
    struct toc_sv comparison; /* ">", "<" …; may be empty */
    struct toc_sv unit;       /* "s", "bytes", "ratio" or empty */
    const double *spark;      /* latest values, oldest first; at most TOC_SPARKLINE_MAX are shown */
    size_t spark_count;
    struct toc_sv cause, action, runbook_url, incident_url;
    struct toc_sv ack_url;      /* page with a button */
    struct toc_sv ack_post_url; /* the same by one POST */
    struct toc_sv group_key, external_url;
    struct toc_labels group_labels, common_labels, common_annotations;
    const struct toc_notification_alert *alerts;
    size_t alert_count;
    uint64_t truncated_alerts;
};

/* A notification with all numbers absent. */
struct toc_notification toc_notification_empty(void);
/* JSON; only what is set is written. */
void toc_notification_encode(const struct toc_notification *n, struct toc_buf *out);
/* Everything lives in the arena. TOC_EPARSE, TOC_ETYPE; unknown keys are skipped. */
int toc_notification_decode(struct toc_sv json, struct toc_arena *a, struct toc_notification *out,
                            struct toc_err *err) TOC_MUST_CHECK;

/* "[FIRING] critical: title" on one line, at most 200 bytes. */
void toc_message_subject(const struct toc_notification *n, enum toc_language l,
                         struct toc_buf *out);
/* The whole story, lines separated by \n. */
void toc_message_text(const struct toc_notification *n, enum toc_language l, struct toc_buf *out);
/* The same as an HTML document without outside references; everything is escaped. */
void toc_message_html(const struct toc_notification *n, enum toc_language l, struct toc_buf *out);
/* What matters most, cut to `max_segments` SMS segments (GSM 7 bit: 160 alone or 153 each;
 * otherwise UCS-2: 70 alone or 67 each). The acknowledge link survives the cut when it fits at all.
 */
void toc_message_short(const struct toc_notification *n, enum toc_language l, int max_segments,
                       struct toc_buf *out);
/* Segments that a text takes as an SMS. */
int toc_sms_segments(struct toc_sv text);
/* Unicode blocks from the smallest to the largest finite value; a blank for NaN. */
void toc_sparkline(const double *values, size_t count, struct toc_buf *out);
/* Cuts at a character boundary to at most max_bytes, ending with "…". */
struct toc_sv toc_text_cut(struct toc_sv text, size_t max_bytes, struct toc_arena *a);

/* The data of custom templates (docs/design/notify.md lists the names); lives in the arena. `text`
 * and `to` become .Text and .To. */
int toc_message_template_input(const struct toc_notification *n, struct toc_sv text,
                               struct toc_sv to, struct toc_arena *a,
                               struct toc_template_input *out) TOC_MUST_CHECK;

#endif
