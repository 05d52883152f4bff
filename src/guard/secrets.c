#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "guard/guard_priv.h"
#include "sys/random.h"

static void encode(const unsigned char *bytes, size_t n, char *out, size_t out_size) {
    sodium_bin2base64(out, out_size, bytes, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

void toc_secret_new(const char *prefix, char out[TOC_SECRET_TEXT_MAX]) {
    unsigned char bytes[TOC_SECRET_BYTES];
    toc_random_bytes(bytes, sizeof bytes);
    size_t used = (size_t)snprintf(out, TOC_SECRET_TEXT_MAX, "%s", prefix);
    encode(bytes, sizeof bytes, out + used, TOC_SECRET_TEXT_MAX - used);
    sodium_memzero(bytes, sizeof bytes);
}

void toc_secret_hash(const char *domain, struct toc_sv secret, unsigned char out[TOC_HASH_BYTES]) {
    crypto_generichash_state h;
    crypto_generichash_init(&h, NULL, 0, TOC_HASH_BYTES);
    crypto_generichash_update(&h, (const unsigned char *)domain, strlen(domain) + 1);
    crypto_generichash_update(&h, (const unsigned char *)(secret.n ? secret.p : ""), secret.n);
    crypto_generichash_final(&h, out, TOC_HASH_BYTES);
}

void toc_secret_csrf(struct toc_sv cookie, char out[TOC_SECRET_TEXT_MAX]) {
    unsigned char hash[TOC_HASH_BYTES];
    toc_secret_hash("tocsin csrf v1", cookie, hash);
    encode(hash, sizeof hash, out, TOC_SECRET_TEXT_MAX);
}

bool toc_secret_equal(struct toc_sv a, struct toc_sv b) {
    return a.n == b.n && a.n && sodium_memcmp(a.p, b.p, a.n) == 0;
}
