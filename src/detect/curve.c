#include "detect/curve.h"

#include <stddef.h>

#include "base/attrs.h"

static const struct {
    const char *name, *meaning;
} g_events[] = {
#define EVENT_TEXTS(name, text, meaning) {text, meaning},
    TOC_CURVE_EVENT_TABLE(EVENT_TEXTS)
#undef EVENT_TEXTS
};

const char *toc_curve_event_name(enum toc_curve_event e) {
    return (size_t)e < TOC_ARRAY_LEN(g_events) ? g_events[e].name : "";
}

const char *toc_curve_event_meaning(enum toc_curve_event e) {
    return (size_t)e < TOC_ARRAY_LEN(g_events) ? g_events[e].meaning : "";
}
