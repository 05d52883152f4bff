#include "guard/digest.h"

#include <sodium.h>

void toc_sha256_text(struct toc_sv in, char out[TOC_SHA256_TEXT]) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, (const unsigned char *)(in.p ? in.p : ""), in.n);
    sodium_bin2hex(out, TOC_SHA256_TEXT, digest, sizeof digest);
}
