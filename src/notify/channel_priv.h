/* What the channel files share. */
#ifndef TOC_NOTIFY_CHANNEL_PRIV_H
#define TOC_NOTIFY_CHANNEL_PRIV_H

#include "notify/receiver.h"

typedef int toc_channel_deliver_fn(const struct toc_channel *c, const struct toc_notification *n,
                                   struct toc_http_client *client, struct toc_delivery *out,
                                   struct toc_err *err);
#define X(e, name, id) toc_channel_deliver_fn toc_deliver_##id;
TOC_CHANNEL_TABLE(X)
#undef X

/* The parts of a request, built apart from sending it so that tests see the bytes. */
struct toc_channel_request {
    struct toc_buf url, body;
    struct toc_buf header_text[12];
    const char *headers[32]; /* NULL-terminated view of header_text and the channel's own */
    size_t header_count;
    const char *method;
};
void toc_channel_request_fini(struct toc_channel_request *r);
/* "Name: value", control characters of the value become blanks. */
void toc_channel_request_header(struct toc_channel_request *r, const char *name,
                                struct toc_sv value);

/* Builders, one per HTTP channel; text is the message with custom templates applied. */
int toc_build_sms(const struct toc_channel *c, const struct toc_notification *n,
                  struct toc_channel_request *r, struct toc_delivery *d, struct toc_err *err);
int toc_build_twilio(const struct toc_channel *c, const struct toc_notification *n,
                     struct toc_channel_request *r, struct toc_delivery *d, struct toc_err *err);
int toc_build_ntfy(const struct toc_channel *c, const struct toc_notification *n,
                   struct toc_channel_request *r, struct toc_delivery *d, struct toc_err *err);
int toc_build_webhook(const struct toc_channel *c, const struct toc_notification *n,
                      struct toc_channel_request *r, struct toc_delivery *d, struct toc_err *err);
/* The RFC 5322 message. */
int toc_build_email(const struct toc_channel *c, const struct toc_notification *n,
                    struct toc_buf *message, struct toc_delivery *d, struct toc_err *err);

/* Title and text by the channel's templates; the default text and a note when one is broken. */
void toc_channel_title(const struct toc_channel *c, const struct toc_notification *n,
                       struct toc_buf *out, struct toc_delivery *d);
void toc_channel_text(const struct toc_channel *c, const struct toc_notification *n,
                      struct toc_buf *out, struct toc_delivery *d);
/* The custom text, or the short form for SMS. */
void toc_channel_short_text(const struct toc_channel *c, const struct toc_notification *n,
                            int max_segments, struct toc_buf *out, struct toc_delivery *d);
/* Renders a template of the configuration (URL, body) with .Text and .To. */
int toc_channel_expand(const char *template, const struct toc_notification *n, struct toc_sv text,
                       const char *to, struct toc_buf *out, struct toc_err *err);

/* Sends the request and judges the status: 2xx good; 408, 425, 429 and 5xx worth another try
 * (TOC_EUNAVAILABLE); anything else TOC_EREJECTED. *out_body (may be NULL) gets the answer. */
int toc_channel_send(const struct toc_channel *c, struct toc_channel_request *r,
                     struct toc_http_client *client, struct toc_buf *out_body, int *out_status,
                     struct toc_delivery *d, struct toc_err *err);

#endif
