/*
 * jitter IN OUT SPREAD_MS: a data set of ../shared/bench's perfload whose requests are moved in
 * time by -SPREAD…+SPREAD ms each, as scrapes are that do not begin on the dot. All samples of a
 * request move alike; they stay in order. File format: {u32 compressed bytes, u32 samples, i64
 * newest ms, snappy(prometheus.WriteRequest)} …
 */
#include <snappy-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t g_state = 88172645463325252ULL;

static int64_t draw(int64_t spread) {
    g_state ^= g_state << 13;
    g_state ^= g_state >> 7;
    g_state ^= g_state << 17;
    return (int64_t)(g_state % (uint64_t)(2 * spread + 1)) - spread;
}

static void die(const char *what) {
    fprintf(stderr, "jitter: %s\n", what);
    exit(1);
}

static uint64_t get_varint(const uint8_t *p, size_t n, size_t *at) {
    uint64_t v = 0;
    for (unsigned shift = 0; *at < n && shift < 64; shift += 7) {
        uint8_t b = p[(*at)++];
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return v;
    }
    die("a varint ends early");
    return 0;
}

/* In place: a time of today stays as long as it is. */
static void move_varint(uint8_t *p, size_t n, size_t *at, int64_t by) {
    size_t begin = *at;
    uint64_t v = get_varint(p, n, at) + (uint64_t)by;
    for (size_t i = begin; i < *at; i++, v >>= 7)
        p[i] = (uint8_t)((v & 0x7f) | (i + 1 < *at ? 0x80 : 0));
    if (v)
        die("a time needs more bytes than before");
}

/* Sample: 1 = double, 2 = time. */
static void move_sample(uint8_t *p, size_t n, int64_t by) {
    for (size_t at = 0; at < n;) {
        uint64_t key = get_varint(p, n, &at);
        if (key == 9)
            at += 8;
        else if (key == 16)
            move_varint(p, n, &at, by);
        else
            die("a sample has an unknown field");
    }
}

/* TimeSeries: 1 = label, 2 = sample. Request: 1 = series. */
static void move_message(uint8_t *p, size_t n, int64_t by, bool is_request) {
    for (size_t at = 0; at < n;) {
        uint64_t key = get_varint(p, n, &at), bytes = get_varint(p, n, &at);
        if (bytes > n - at || (key != 10 && key != 18))
            die("a message is not as perfload makes them");
        if (is_request)
            move_message(p + at, bytes, by, false);
        else if (key == 18)
            move_sample(p + at, bytes, by);
        at += bytes;
    }
}

static bool read_exactly(FILE *f, void *p, size_t n) {
    return fread(p, 1, n, f) == n;
}

static void move_file(FILE *in, FILE *out, int64_t spread) {
    enum { MOST = 1 << 24 };
    char *packed = malloc(MOST), *raw = malloc(MOST);
    uint32_t head[2];
    int64_t newest;
    if (!packed || !raw)
        die("no memory");
    while (read_exactly(in, head, sizeof head) && read_exactly(in, &newest, sizeof newest)) {
        size_t n = MOST, packed_n = MOST;
        int64_t by = draw(spread);
        if (head[0] > MOST || !read_exactly(in, packed, head[0]) ||
            snappy_uncompress(packed, head[0], raw, &n) != SNAPPY_OK)
            die("a request cannot be unpacked");
        move_message((uint8_t *)raw, n, by, true);
        if (snappy_compress(raw, n, packed, &packed_n) != SNAPPY_OK)
            die("a request cannot be packed");
        head[0] = (uint32_t)packed_n;
        newest += by;
        if (fwrite(head, sizeof head, 1, out) != 1 || fwrite(&newest, sizeof newest, 1, out) != 1 ||
            fwrite(packed, 1, packed_n, out) != packed_n)
            die("cannot write");
    }
    free(packed);
    free(raw);
}

int main(int argc, char **argv) {
    if (argc != 4)
        die("usage: jitter IN OUT SPREAD_MS (files of one connection)");
    FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
    if (!in || !out)
        die("cannot open a file");
    move_file(in, out, strtoll(argv[3], NULL, 10));
    fclose(in);
    return fclose(out) ? 1 : 0;
}
