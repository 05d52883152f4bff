#include "notify/ack_link.h"

#include <sodium.h>

#include "codec/text.h"

enum { EXPIRY_BYTES = 8, MAC_BYTES = crypto_auth_hmacsha256_BYTES };

static void compute_mac(const unsigned char key[TOC_ACK_KEY_BYTES], struct toc_sv incident_id,
                        const unsigned char expiry[EXPIRY_BYTES], unsigned char *mac) {
    static const char purpose[] = "tocsin-ack-1"; /* its NUL is hashed too */
    crypto_auth_hmacsha256_state s;
    crypto_auth_hmacsha256_init(&s, key, TOC_ACK_KEY_BYTES);
    crypto_auth_hmacsha256_update(&s, (const unsigned char *)purpose, sizeof purpose);
    crypto_auth_hmacsha256_update(&s, (const unsigned char *)incident_id.p, incident_id.n);
    crypto_auth_hmacsha256_update(&s, (const unsigned char *)"", 1);
    crypto_auth_hmacsha256_update(&s, expiry, EXPIRY_BYTES);
    crypto_auth_hmacsha256_final(&s, mac);
}

void toc_ack_token_make(const unsigned char key[TOC_ACK_KEY_BYTES], struct toc_sv incident_id,
                        struct toc_ts expires_at, struct toc_buf *out) {
    unsigned char raw[EXPIRY_BYTES + MAC_BYTES];
    uint64_t seconds = (uint64_t)(expires_at.ms / 1000);
    for (int i = 0; i < EXPIRY_BYTES; i++)
        raw[i] = (unsigned char)(seconds >> (8 * (EXPIRY_BYTES - 1 - i)));
    compute_mac(key, incident_id, raw, raw + EXPIRY_BYTES);
    toc_base64url_encode(toc_sv_make((const char *)raw, sizeof raw), out);
}

static int check(const unsigned char key[TOC_ACK_KEY_BYTES], struct toc_sv incident_id,
                 struct toc_sv raw, struct toc_ts now, struct toc_err *err) {
    unsigned char expected[MAC_BYTES];
    const unsigned char *p = (const unsigned char *)raw.p;
    if (raw.n != EXPIRY_BYTES + MAC_BYTES)
        return toc_errf(err, TOC_EAUTH, "this link is not complete");
    compute_mac(key, incident_id, p, expected);
    if (sodium_memcmp(expected, p + EXPIRY_BYTES, MAC_BYTES) != 0)
        return toc_errf(err, TOC_EAUTH, "this link is not valid for this incident");
    uint64_t seconds = 0;
    for (int i = 0; i < EXPIRY_BYTES; i++)
        seconds = seconds << 8 | p[i];
    if (now.ms / 1000 >= (int64_t)seconds)
        return toc_errf(err, TOC_ETOO_OLD, "this link has expired: open the incident and log in");
    return 0;
}

int toc_ack_token_verify(const unsigned char key[TOC_ACK_KEY_BYTES], struct toc_sv incident_id,
                         struct toc_sv token, struct toc_ts now, struct toc_err *err) {
    struct toc_buf raw = TOC_BUF_INIT;
    int rc = token.n > 256 || toc_base64_decode(token, &raw)
                 ? toc_errf(err, TOC_EAUTH, "this link is not complete")
                 : check(key, incident_id, toc_buf_sv(&raw), now, err);
    toc_buf_fini(&raw);
    return rc;
}

static void append_link(struct toc_sv base, struct toc_sv incident_id, const char *verb,
                        struct toc_sv token, struct toc_buf *out) {
    while (toc_sv_ends_with(base, TOC_SV("/")))
        base.n--;
    toc_buf_append_sv(out, base);
    toc_buf_append_cstr(out, "/api/tocsin/v1/incidents/");
    toc_percent_encode(incident_id, out);
    toc_buf_printf(out, "/%s?token=%.*s", verb, TOC_SV_ARG(token));
}

void toc_ack_link_page(struct toc_sv base_url, struct toc_sv incident_id, struct toc_sv token,
                       struct toc_buf *out) {
    append_link(base_url, incident_id, "ack", token, out);
}

void toc_ack_link_post(struct toc_sv base_url, struct toc_sv incident_id, struct toc_sv token,
                       struct toc_buf *out) {
    append_link(base_url, incident_id, "acknowledge-link", token, out);
}
