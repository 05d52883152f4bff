/*
 * Signed one-click acknowledge links. A token is base64url(expiry in seconds, 8 bytes, big endian,
 * followed by 32 bytes of HMAC-SHA256 over "tocsin-ack-1" NUL incident NUL expiry). Opening the
 * link shows a page; only its POST changes anything, since mail scanners open links.
 */
#ifndef TOC_NOTIFY_ACK_LINK_H
#define TOC_NOTIFY_ACK_LINK_H

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"
#include "base/time.h"

enum { TOC_ACK_KEY_BYTES = 32 };

/* Appends the token. */
void toc_ack_token_make(const unsigned char key[TOC_ACK_KEY_BYTES], struct toc_sv incident_id,
                        struct toc_ts expires_at, struct toc_buf *out);
/* TOC_EAUTH (not ours, or for another incident; compared in constant time), TOC_ETOO_OLD (expired).
 */
int toc_ack_token_verify(const unsigned char key[TOC_ACK_KEY_BYTES], struct toc_sv incident_id,
                         struct toc_sv token, struct toc_ts now,
                         struct toc_err *err) TOC_MUST_CHECK;
/* BASE/api/tocsin/v1/incidents/ID/ack?token=TOKEN, and the POST form with acknowledge-link. */
void toc_ack_link_page(struct toc_sv base_url, struct toc_sv incident_id, struct toc_sv token,
                       struct toc_buf *out);
void toc_ack_link_post(struct toc_sv base_url, struct toc_sv incident_id, struct toc_sv token,
                       struct toc_buf *out);

#endif
