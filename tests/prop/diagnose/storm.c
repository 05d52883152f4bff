#include "storm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"

#define T0_MS INT64_C(1787223600000) /* 2026-08-20T09:00:00Z */
enum { TIMEOUT_MS = 600000, DELAY_MS = 2000 };

/* Where one job runs in. */
struct part {
    struct storm *s;
    int job, first_rank, ranks;
    int broken; /* rank */
    int64_t t_ms;
};

const char *storm_name(enum storm_family f) {
    static const char *const names[] = {
#define X(name) #name,
        STORM_TABLE(X)
#undef X
    };
    return names[f];
}

struct toc_sv storm_host(int host, char room[16]) {
    int n = snprintf(room, 16, "node%02d", host);
    return toc_sv_make(room, (size_t)n);
}

struct toc_sv storm_job(int job) {
    return toc_sv_cstr(job ? "llama-70b" : "qwen-7b");
}

static int64_t below(struct storm *s, int64_t n) {
    return (int64_t)toc_rng_below(&s->rng, (uint64_t)n);
}

/* ------------------------------------------------------------------------------------------ lines
 */

static void push(struct part *p, int rank, int host, int64_t t_ms, struct toc_sv text) {
    struct storm *s = p->s;
    struct storm_line l = {
        .arrives_ms = t_ms + below(s, DELAY_MS),
        .host = host,
        .rank = rank,
        .job = p->job,
        .text = text,
    };
    TOC_VEC_PUSH(&s->lines, l);
}

/* What the host's clock shows. */
static struct toc_civil shown(struct storm *s, int host, int64_t t_ms) {
    return toc_ts_civil((struct toc_ts){t_ms + s->skew_ms[host]});
}

static struct toc_sv kept(struct storm *s, const char *fmt, va_list ap) TOC_PRINTF(2, 0);
static struct toc_sv kept(struct storm *s, const char *fmt, va_list ap) {
    char text[1000];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    return toc_arena_dup_sv(&s->arena, toc_sv_make(text, (size_t)TOC_MIN(n, 999)));
}

/* A line of a rank: PyTorch's C++ form, Python's logging, or without a time as tracebacks are. */
static void say(struct part *p, int rank, int64_t t_ms, const char *fmt, ...) TOC_PRINTF(4, 5);
static void say(struct part *p, int rank, int64_t t_ms, const char *fmt, ...) {
    int host = rank / STORM_PER_HOST;
    struct toc_civil c = shown(p->s, host, t_ms);
    char text[1200];
    va_list ap;
    va_start(ap, fmt);
    struct toc_sv body = kept(p->s, fmt, ap);
    va_end(ap);
    int n = snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d,%03d %.*s", (int)c.year,
                     c.month, c.day, c.hour, c.minute, c.second, c.millisecond, TOC_SV_ARG(body));
    push(p, rank, host, t_ms,
         toc_arena_dup_sv(&p->s->arena, toc_sv_make(text, (size_t)TOC_MIN(n, 1199))));
}

/* A dated line, then the traceback, as a program writes them. */
static void raise_error(struct part *p, int rank, int64_t t_ms, const char *what) {
    int host = rank / STORM_PER_HOST;
    struct toc_civil c = shown(p->s, host, t_ms);
    char text[1200];
    int n = snprintf(text, sizeof text,
                     "%04d-%02d-%02d %02d:%02d:%02d,%03d ERROR training loop ended\n"
                     "[rank%d]: Traceback (most recent call last):\n"
                     "[rank%d]:   File \"/work/train.py\", line 812, in step\n"
                     "[rank%d]: %s",
                     (int)c.year, c.month, c.day, c.hour, c.minute, c.second, c.millisecond, rank,
                     rank, rank, what);
    push(p, rank, host, t_ms,
         toc_arena_dup_sv(&p->s->arena, toc_sv_make(text, (size_t)TOC_MIN(n, 1199))));
}

static void kernel(struct part *p, int host, int64_t t_ms, const char *fmt, ...) TOC_PRINTF(4, 5);
static void kernel(struct part *p, int host, int64_t t_ms, const char *fmt, ...) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct toc_civil c = shown(p->s, host, t_ms);
    char text[1200];
    va_list ap;
    va_start(ap, fmt);
    struct toc_sv body = kept(p->s, fmt, ap);
    va_end(ap);
    int n = snprintf(text, sizeof text, "%.3s %2d %02d:%02d:%02d node%02d kernel: %.*s",
                     months + 3 * (c.month - 1), c.day, c.hour, c.minute, c.second, host,
                     TOC_SV_ARG(body));
    push(p, -1, host, t_ms,
         toc_arena_dup_sv(&p->s->arena, toc_sv_make(text, (size_t)TOC_MIN(n, 1199))));
}

/* ----------------------------------------------------------------------------------------- echoes
 */

static void watchdog(struct part *p, int rank, int64_t t_ms) {
    say(p, rank, t_ms,
        "[rank%d]:[E ProcessGroupNCCL.cpp:629] [Rank %d] Watchdog caught collective operation "
        "timeout: WorkNCCL(SeqNum=4711, OpType=ALLREDUCE, NumelIn=131072000, NumelOut=131072000, "
        "Timeout(ms)=%d) ran for %d milliseconds before timing out.",
        rank, rank, (int)TIMEOUT_MS, (int)TIMEOUT_MS + (int)below(p->s, 900));
}

static void echo(struct part *p, int rank, int64_t t_ms) {
    switch (below(p->s, 7)) {
    case 0:
        raise_error(p, rank, t_ms,
                    "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1970, "
                    "remote process exited or there was a network error, NCCL version 2.21.5");
        break;
    case 1:
        say(p, rank, t_ms,
            "Some NCCL operations have failed or timed out. Due to the asynchronous nature of CUDA "
            "kernels, subsequent GPU operations might run on corrupted/incomplete data.");
        break;
    case 2:
        say(p, rank, t_ms, "To avoid data inconsistency, we are taking the entire process down.");
        break;
    case 3:
        raise_error(p, rank, t_ms,
                    "torch.distributed.DistNetworkError: [c10d] TCPStore recvBytes failed on "
                    "SocketImpl(fd=4): Connection reset by peer TCPStore recvBytes");
        break;
    case 4:
        say(p, rank, t_ms, "Received SIGTERM, ending");
        break;
    case 5:
        say(p, rank, t_ms,
            "node%02d:%d:%d [%d] misc/socket.cc:49 NCCL WARN socketProgress: Connection closed by "
            "remote peer node%02d<41234>",
            rank / STORM_PER_HOST, 4000 + rank, 9000 + rank, rank % STORM_PER_HOST,
            (int)below(p->s, STORM_HOSTS));
        break;
    default:
        say(p, rank, t_ms,
            "E torch/distributed/elastic/multiprocessing/api.py:869] failed "
            "(exitcode: 1) local_rank: %d (pid: %d) of binary: /usr/bin/python3",
            rank % STORM_PER_HOST, 4000 + rank);
    }
}

/* The others: soon (their peer is gone), or when the collective gives up. */
static void others_complain(struct part *p, int silent) {
    for (int i = 0; i < p->ranks; i++) {
        int rank = p->first_rank + i;
        bool is_quick = silent < 0 && below(p->s, 4) == 0;
        int64_t t =
            p->t_ms + (is_quick ? 1000 + below(p->s, 30000) : TIMEOUT_MS + below(p->s, 4000));
        if (rank == silent)
            continue;
        if (!is_quick)
            watchdog(p, rank, t);
        for (int n = is_quick ? 0 : 1; n < STORM_LINES - (rank == p->broken); n++)
            echo(p, rank, t + 50 + n * below(p->s, 700));
    }
}

/* --------------------------------------------------------------------------------------- families
 */

static void xid79(struct part *p, struct storm_truth *truth) {
    int host = p->broken / STORM_PER_HOST;
    if (below(p->s, 2))
        kernel(p, host, p->t_ms - 300,
               "pcieport 0000:16:01.0: AER: Corrected error received: 0000:16:01.0");
    kernel(p, host, p->t_ms,
           "NVRM: Xid (PCI:0000:18:00): 79, pid=%d, name=python3, GPU has fallen off the bus.",
           4000 + p->broken);
    kernel(p, host, p->t_ms + 20, "NVRM: GPU 0000:18:00.0: GPU has fallen off the bus.");
    raise_error(p, p->broken, p->t_ms + 200 + below(p->s, 2500),
                "RuntimeError: CUDA error: unspecified launch failure");
    others_complain(p, -1);
    *truth = (struct storm_truth){TOC_KIND_XID, TOC_KIND_GPU_LOST, "nv_xid", "nv_off_bus", -1, host,
                                  false};
}

/* What application XIDs the driver writes when processes die with work on the GPU. */
static void teardown(struct part *p) {
    for (int i = 0; i < p->ranks; i += STORM_PER_HOST)
        if (below(p->s, 3) == 0)
            kernel(p, (p->first_rank + i) / STORM_PER_HOST, p->t_ms + 5000 + below(p->s, 30000),
                   "NVRM: Xid (PCI:0000:18:00): %d, pid=%d, name=python3, Ch 00000008",
                   below(p->s, 2) ? 43 : 45, 4000 + i);
}

static void exception(struct part *p, struct storm_truth *truth) {
    static const char *const errors[] = {
        "ValueError: not enough values to unpack (expected 2, got 1)",
        "KeyError: 'labels'",
        "omegaconf.errors.ConfigAttributeError: Missing key model",
        "AssertionError",
    };
    raise_error(p, p->broken, p->t_ms, errors[below(p->s, 4)]);
    others_complain(p, -1);
    teardown(p);
    *truth = (struct storm_truth){TOC_KIND_CRASH, TOC_KIND_CRASH, "py_error", NULL, p->broken, -1,
                                  false};
}

static void cuda_oom(struct part *p, struct storm_truth *truth) {
    raise_error(p, p->broken, p->t_ms,
                "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 3 has "
                "a total capacity of 79.15 GiB of which 1.12 GiB is free.");
    others_complain(p, -1);
    *truth =
        (struct storm_truth){TOC_KIND_OOM, TOC_KIND_OOM, "cuda_oom", NULL, p->broken, -1, false};
}

static void ib_link(struct part *p, struct storm_truth *truth) {
    int host = p->broken / STORM_PER_HOST;
    kernel(p, host, p->t_ms, "mlx5_core 0000:5c:00.0 ib0: Link down");
    for (int i = 0; i < p->ranks; i++)
        if (i % 9 == 0 || (p->first_rank + i) / STORM_PER_HOST == host)
            say(p, p->first_rank + i, p->t_ms + 1000 + below(p->s, 15000),
                "NET/IB: Got completion from peer 10.0.0.%d<40554> with "
                "status=IBV_WC_RETRY_EXC_ERR(12) opcode=129 vendor_err=129 hca mlx5_1",
                host);
    others_complain(p, -1);
    *truth = (struct storm_truth){
        TOC_KIND_INFINIBAND, TOC_KIND_INFINIBAND, "ib_link", NULL, -1, host, false};
}

static void storage(struct part *p, struct storm_truth *truth) {
    for (int i = 0; i < p->ranks; i += STORM_PER_HOST)
        kernel(p, (p->first_rank + i) / STORM_PER_HOST, p->t_ms + below(p->s, 3000),
               "nfs: server 10.1.1.9 not responding, timed out");
    for (int i = 0; i < p->ranks; i++)
        if (below(p->s, 3) == 0)
            raise_error(p, p->first_rank + i, p->t_ms + 3500 + below(p->s, 20000),
                        below(p->s, 2) ? "OSError: [Errno 5] Input/output error"
                                       : "RuntimeError: DataLoader worker (pid 12345) exited "
                                         "unexpectedly");
    others_complain(p, -1);
    *truth = (struct storm_truth){
        TOC_KIND_DISK_FAILING, TOC_KIND_DISK_FAILING, "nfs", NULL, -1, -1, false};
}

static void silent_rank(struct part *p, struct storm_truth *truth) {
    others_complain(p, p->broken);
    *truth = (struct storm_truth){
        TOC_KIND_HANG, TOC_KIND_HANG, "nccl_watchdog", NULL, p->broken, -1, true};
}

static void oom_killer(struct part *p, struct storm_truth *truth) {
    int host = p->broken / STORM_PER_HOST, mate = host * STORM_PER_HOST;
    kernel(p, host, p->t_ms - 30,
           "python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0");
    kernel(p, host, p->t_ms,
           "Memory cgroup out of memory: Killed process %d (python3) total-vm:812345kB",
           4000 + p->broken);
    say(p, mate, p->t_ms + 500,
        "E torch/distributed/elastic/multiprocessing/api.py:869] failed (exitcode: -9) local_rank: "
        "%d (pid: %d) of binary: /usr/bin/python3",
        p->broken % STORM_PER_HOST, 4000 + p->broken);
    others_complain(p, p->broken);
    *truth = (struct storm_truth){
        TOC_KIND_OOM_KILL, TOC_KIND_OOM_KILL, "host_oom", NULL, -1, host, false};
}

static struct part part(struct storm *s, int job, int first_rank, int ranks) {
    return (struct part){s,
                         job,
                         first_rank,
                         ranks,
                         first_rank + (int)below(s, ranks),
                         s->begin_ms + 60000 + below(s, 30000)};
}

static int by_arrival(const void *a, const void *b) {
    const struct storm_line *x = a, *y = b;
    return (x->arrives_ms > y->arrives_ms) - (x->arrives_ms < y->arrives_ms);
}

void storm_make(struct storm *s, enum storm_family family, uint64_t seed, int64_t skew_ms) {
    *s = (struct storm){.family = family, .begin_ms = T0_MS, .jobs = 1};
    toc_rng_seed(&s->rng, seed * STORM_FAMILIES + family);
    for (int i = 0; i < STORM_HOSTS; i++)
        s->skew_ms[i] = skew_ms ? below(s, 2 * skew_ms) - skew_ms : 0;
    if (family == STORM_two_jobs) {
        struct part a = part(s, 0, 0, STORM_RANKS / 2);
        struct part b = part(s, 1, STORM_RANKS / 2, STORM_RANKS / 2);
        s->jobs = 2;
        exception(&a, &s->truth[0]);
        cuda_oom(&b, &s->truth[1]);
    } else {
        static void (*const make[])(struct part *, struct storm_truth *) = {
            xid79, exception, cuda_oom, ib_link, storage, silent_rank, oom_killer};
        struct part all = part(s, 0, 0, STORM_RANKS);
        make[family](&all, &s->truth[0]);
    }
    qsort(s->lines.items, s->lines.count, sizeof *s->lines.items, by_arrival);
}

void storm_free(struct storm *s) {
    TOC_VEC_FINI(&s->lines);
    toc_arena_fini(&s->arena);
}
