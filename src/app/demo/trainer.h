/*
 * The demo's training run: a child process that trains the transformer on the text that ships with
 * the project and reports through the C SDK. Faults are planted on request; what follows from them
 * (spreading NaN, diverging loss, failing allocation) is real.
 */
#ifndef TOC_APP_DEMO_TRAINER_H
#define TOC_APP_DEMO_TRAINER_H

#include <stdint.h>

/* X(enum, name, what it does) */
#define TOC_DEMO_TRAIN_FAULTS(X)                                                            \
    X(NAN, "nan", "a gradient overflows in one layer and the update spreads NaN")           \
    X(LR_SPIKE, "lr_spike", "the learning rate is 300 times too large")                     \
    X(VANISHING, "vanishing", "gradients shrink 10000-fold at every block on the way back") \
    X(STALL, "stall", "the loop stops without ending, as a hung collective does")           \
    X(SLOW_STEP, "slow_step", "every step takes five times as long")                        \
    X(MEMORY_LEAK, "memory_leak", "every step keeps some memory")                           \
    X(OOM, "oom", "the process runs out of memory and dies")

enum toc_demo_train_fault {
    TOC_DEMO_TRAIN_NONE,
#define X(e, name, what) TOC_DEMO_TRAIN_##e,
    TOC_DEMO_TRAIN_FAULTS(X)
#undef X
};

struct toc_demo_train_options {
    const char *run, *url, *token;
    uint64_t seed;
    enum toc_demo_train_fault fault;
    int64_t fault_at_step;
    int64_t fault_ms;  /* how long the fault lasts before the cause is removed */
    int64_t max_steps; /* 0: until stopped */
    int64_t step_ms;   /* pace: a step takes at least this long */
    uint64_t memory_limit_bytes;
};

/* Trains until stopped by a signal; the process's exit code. 12: out of memory. */
int toc_demo_train_main(const struct toc_demo_train_options *o);
/* -1 when the name is none of the table's. */
int toc_demo_train_fault_parse(const char *name);

enum { TOC_DEMO_EXIT_OUT_OF_MEMORY = 12 };

#endif
