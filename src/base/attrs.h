/* Compiler attributes used everywhere, spelled once. */
#ifndef TOC_BASE_ATTRS_H
#define TOC_BASE_ATTRS_H

#define TOC_MUST_CHECK __attribute__((warn_unused_result))
#define TOC_PRINTF(fmt_index, first_arg) __attribute__((format(printf, fmt_index, first_arg)))
#define TOC_NORETURN __attribute__((noreturn))
#define TOC_UNUSED __attribute__((unused))
/* For a function that does no more than prefetch: gcc takes it for one without any effect and drops
 * its calls, unless they were inlined before. */
#define TOC_PREFETCHING static inline __attribute__((always_inline))

#define TOC_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TOC_MIN(a, b) ((a) < (b) ? (a) : (b))
#define TOC_MAX(a, b) ((a) > (b) ? (a) : (b))

/* The object that contains member at ptr. */
#define TOC_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
