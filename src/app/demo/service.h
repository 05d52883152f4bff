/*
 * The demo's inference service: a child process that generates text with the transformer behind an
 * HTTP endpoint, serves its own load (a seeded Poisson stream of requests over real connections)
 * and exports metrics under vLLM's names.
 */
#ifndef TOC_APP_DEMO_SERVICE_H
#define TOC_APP_DEMO_SERVICE_H

#include <stdint.h>

enum toc_demo_serve_fault {
    TOC_DEMO_SERVE_NONE,
    TOC_DEMO_SERVE_LATENCY,
    TOC_DEMO_SERVE_ERROR_BURST
};

struct toc_demo_serve_options {
    uint16_t port;
    uint64_t seed;
    enum toc_demo_serve_fault fault;
    int64_t fault_after_ms, fault_ms;
    double requests_per_s;
};

/* Serves until stopped by a signal; the process's exit code. */
int toc_demo_serve_main(const struct toc_demo_serve_options *o);
/* "latency", "error_burst", "none"; -1 otherwise. */
int toc_demo_serve_fault_parse(const char *name);

#endif
