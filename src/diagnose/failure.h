/*
 * Error signatures become failures: one thing that went wrong, with the sign that came first as its
 * root, everything that followed as its echo, and causes ranked by evidence. It is fed with hits in
 * any order, asks no clock and touches no file: `now` is when a hit arrived, `at` what its line
 * says. One thread. docs/design/diagnose.md has the rules.
 *
 *   hit ──▶ job (its own, or the one that runs on its host) ──▶ failure in the causal window
 *           ──▶ sign (a possible cause at a place) and echo (count per signature)
 *   tick ─▶ settled? ──▶ root = the earliest sign that no stronger sign explains ──▶ listener
 */
#ifndef TOC_DIAGNOSE_FAILURE_H
#define TOC_DIAGNOSE_FAILURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/time.h"
#include "base/vec.h"
#include "diagnose/failure_rule.h"

/*
 * X(member, default, unit, meaning): zero in the options means the default. A test compares with
 * docs/design/diagnose.md.
 */
#define TOC_FAILURE_LIMIT_TABLE(X)                                                     \
    X(window_ms, 120000, "ms", "signs of one job this near belong to one failure")     \
    X(skew_ms, 5000, "ms", "order of two hosts within this is no evidence")            \
    X(settle_ms, 3000, "ms", "wait after the first possible root before one is named") \
    X(either_settle_ms, 10000, "ms", "the same when all that is seen may be an echo")  \
    X(quiet_ms, 900000, "ms", "a failure ends when nothing was added for so long")     \
    X(restart_hold_ms, 60000, "ms", "or so long after the job began anew")             \
    X(refresh_ms, 15000, "ms", "counts of an open failure are told this often")        \
    X(failures_max, 256, "", "failures at a time")                                     \
    X(signs_max, 1024, "", "places at which possible causes are kept, of one failure") \
    X(jobs_max, 256, "", "jobs whose ranks and hosts are remembered")                  \
    X(members_max, 65536, "", "ranks of one job, hosts of one job or failure")         \
    X(text_bytes_max, 300, "bytes", "kept of a line, after redaction")

struct toc_failure_limits {
#define X(member, value, unit, meaning) int64_t member;
    TOC_FAILURE_LIMIT_TABLE(X)
#undef X
};

/* Everything is borrowed for the call; texts are cut to what is kept. */
struct toc_failure_hit {
    const struct toc_signature *signature; /* its table outlives the failures */
    struct toc_ts at;                      /* of the line, by the clock of its host */
    struct toc_sv job, host;               /* "" = not known */
    int64_t rank, local_rank, pid;         /* -1 = not known */
    struct toc_sv device, code, process, word, operation;
    int64_t sequence;   /* of a collective, -1 = not known */
    int64_t lasted_ms;  /* what the line tells of had lasted so long */
    struct toc_sv text; /* excerpt for people, redacted */
    struct toc_sv file;
    uint64_t line_number;
    uint64_t count; /* equal lines it stands for; 0 = 1 */
};
#define TOC_FAILURE_HIT_INIT \
    ((struct toc_failure_hit){.rank = -1, .local_rank = -1, .pid = -1, .sequence = -1})

/* A set of small numbers; numbers from TOC_RANK_SET_MAX are counted apart. */
enum { TOC_RANK_SET_MAX = 65536 };
struct toc_rank_set {
    uint64_t *words;
    size_t word_count, count;
};

/* A possible cause at one place. Views live as long as the failure. */
struct toc_failure_sign {
    const struct toc_signature *signature;
    const struct toc_failure_rule *rule;
    const struct toc_xid *xid; /* NULL: none */
    enum toc_severity severity;
    struct toc_sv host, device, code, process, operation, text, file;
    uint64_t line_number;
    int64_t rank, pid, sequence;
    int64_t began_ms, first_ms, last_ms; /* began: first less what it had lasted */
    uint64_t count;
};

/* All lines of one signature in a failure. */
struct toc_failure_echo {
    const struct toc_signature *signature;
    const struct toc_failure_rule *rule; /* of the first line */
    enum toc_severity severity;          /* worst */
    uint64_t count;
    int64_t first_ms, last_ms;
    struct toc_rank_set ranks, hosts;
    struct toc_sv text; /* first line */
};

struct toc_failure_change {
    int64_t at_ms;
    struct toc_sv text;
};

enum { TOC_FAILURE_CAUSES_MAX = 4, TOC_FAILURE_SUSPECTS_MAX = 8, TOC_FAILURE_CHANGES_MAX = 8 };

enum toc_failure_state {
    TOC_FAILURE_GATHERING, /* nothing named yet */
    TOC_FAILURE_OPEN,
    TOC_FAILURE_UNEXPLAINED, /* over, and only echoes were seen */
    TOC_FAILURE_ENDED,
};

struct toc_failure {
    uint64_t id; /* counts from 1 */
    enum toc_failure_state state;
    enum toc_kind kind; /* of the root */
    enum toc_severity severity;
    const struct toc_failure_sign *root; /* NULL while gathering and when unexplained */
    double confidence;                   /* of the root, 0..1; a rank order, not a frequency */
    /* Other signs that nothing explains, best first. */
    const struct toc_failure_sign *others[TOC_FAILURE_CAUSES_MAX];
    double other_confidence[TOC_FAILURE_CAUSES_MAX];
    size_t other_count;
    const struct toc_failure_sign *confirmed_by; /* an OOM killer's line about the same process */
    /* A collective that did not finish: ranks that are silent or behind. */
    int64_t suspects[TOC_FAILURE_SUSPECTS_MAX];
    struct toc_sv suspect_hosts[TOC_FAILURE_SUSPECTS_MAX];
    size_t suspect_count, suspect_total;
    bool are_suspects_silent;
    struct toc_failure_change changes[TOC_FAILURE_CHANGES_MAX];
    size_t change_count;
    int64_t began_ms, last_ms;     /* by the clocks of the hosts */
    int64_t opened_ms, arrived_ms; /* by ours */
    uint64_t lines;                /* all hits */
    uint64_t later_roots;          /* roots that came when it was open */
    uint64_t signs_dropped;
    size_t member_count; /* ranks known of its job */
    struct toc_rank_set ranks;
    TOC_VEC(struct toc_sv) jobs;
    TOC_VEC(struct toc_sv) hosts;
    TOC_VEC(struct toc_failure_sign *) signs;
    TOC_VEC(struct toc_failure_echo) echoes;
    /* Inside. */
    struct toc_map host_index; /* name → index + 1 */
    struct toc_arena arena;
    struct toc_rank_set stuck; /* ranks that told of a collective */
    int64_t anchored_ms, either_ms, closed_at_ms, closed_ms, told_ms, judged_ms;
    bool is_dirty, is_news;
};

enum toc_failure_event { TOC_FAILURE_OPENED, TOC_FAILURE_CHANGED, TOC_FAILURE_OVER };

struct toc_failure_listener {
    /* The failure is borrowed for the call. */
    void (*on_failure)(struct toc_failure_listener *l, const struct toc_failure *f,
                       enum toc_failure_event event, struct toc_ts now);
};

struct toc_failures_options {
    const struct toc_failure_rules *rules; /* borrowed */
    const struct toc_xid_table *xids;      /* borrowed */
    struct toc_failure_listener *listener; /* may be NULL */
    struct toc_failure_limits limits;
    bool keeps_unexplained; /* tell the listener of those at the end, too (OVER) */
};

struct toc_failures; /* opaque */
struct toc_failures *toc_failures_new(const struct toc_failures_options *o);
void toc_failures_free(struct toc_failures **f);

void toc_failures_put(struct toc_failures *f, const struct toc_failure_hit *hit, struct toc_ts now);
/* A rank of a job runs on that host. Teaches which host's kernel lines concern the job, and which
 * rank is silent. rank -1: the host alone. */
void toc_failures_member(struct toc_failures *f, struct toc_sv job, int64_t rank,
                         struct toc_sv host, struct toc_ts now);
/* The job begins anew at `at`: later signs are another failure. */
void toc_failures_attempt(struct toc_failures *f, struct toc_sv job, struct toc_ts at,
                          struct toc_ts now);
/* Something was changed (a deployment, a configuration): named when a failure of that job or host
 * follows within an hour. subject "": everything. The last 256 are kept. */
void toc_failures_change(struct toc_failures *f, struct toc_sv subject, struct toc_ts at,
                         struct toc_sv text);
/* Names roots, tells the listener. Meant to run each second. */
void toc_failures_tick(struct toc_failures *f, struct toc_ts now);
/* Nothing more will come: every failure is judged, told and ended. */
void toc_failures_finish(struct toc_failures *f, struct toc_ts now);

/* X(member, reason): why something was left out. */
#define TOC_FAILURE_DROP_TABLE(X)         \
    X(failures, "too_many_failures")      \
    X(signs, "too_many_places")           \
    X(members, "too_many_ranks_or_hosts") \
    X(jobs, "too_many_jobs")              \
    X(unknown, "signature_without_a_rule")

struct toc_failures_counters {
    uint64_t hits, opened, ended, unexplained;
    uint64_t open, gathering; /* now */
#define X(member, reason) uint64_t dropped_##member;
    TOC_FAILURE_DROP_TABLE(X)
#undef X
};
struct toc_failures_counters toc_failures_counters(const struct toc_failures *f);

/* What is known of a failure as a finding: title, summary, causes with evidence, action, cascades.
 * Texts and lists live in the arena. */
struct toc_finding toc_failure_finding(const struct toc_failure *f, struct toc_arena *a);
/* "rank 137 on node17, GPU 0000:3b:00" and the like; "" when nothing is known. */
struct toc_sv toc_failure_place(const struct toc_failure_sign *s, struct toc_arena *a);
/* Who has to act: job, operator, hardware, network, nobody. */
struct toc_sv toc_failure_owner(const struct toc_failure *f);
struct toc_sv toc_failure_title(const struct toc_failure_sign *s, struct toc_arena *a);
struct toc_sv toc_failure_action(const struct toc_failure_sign *s);
const char *toc_failure_state_name(enum toc_failure_state s);

#endif
